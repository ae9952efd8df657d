"""What the command line of extract-signals refuses before anything is measured."""

from __future__ import annotations

import pytest

from speechlake.jobs import calibrate, extract_signals


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--beam-size", "0"),
        ("--beam-size", "many"),
        ("--streams", "-1"),
        ("--batch-seconds", "long"),
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


@pytest.mark.parametrize("said", ["nan", "0,nan", "inf", "-0.1", "0.2,0.1", "0;1", ""])
def test_temperatures_that_are_no_growing_numbers_up_to_one_are_refused(
    said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        extract_signals.arguments().parse_args(["--lake", "x", f"--temperatures={said}"])
    assert f"argument --temperatures: {said}: expected growing numbers from 0 to 1" in capsys.readouterr().err


def test_languages_are_calibrated_in_any_spelling() -> None:
    said = ["--language", "en-US", "--language", "English", "--language", "DE"]
    parsed = calibrate.arguments().parse_args(["--lake", "x", *said])
    calibrate._read(parsed)
    assert parsed.language == ["de", "en"]
