"""What the command line of extract-signals refuses before anything is measured."""

from __future__ import annotations

import pytest

from speechlake.jobs import extract_signals


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--beam-size", "0"),
        ("--streams", "-1"),
        ("--batch-seconds", "0"),
        ("--batch-seconds", "nan"),
    ],
)
def test_numbers_with_which_every_batch_would_fail_are_refused(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        extract_signals.arguments().parse_args(["--lake", "x", option, value])
    assert f"argument {option}: {value}: expected" in capsys.readouterr().err
