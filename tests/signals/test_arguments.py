"""What the command line of extract-signals refuses before anything is measured."""

from __future__ import annotations

import shlex
from types import SimpleNamespace
from typing import Any

import pytest

from speechlake.commands import calibrate, extract_signals
from speechlake.errors import UsageError
from speechlake.signals.outlook import without_plan


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


@pytest.mark.parametrize(
    "flag",
    ["--beam-size 2", "--prompt x", "--device cpu", "--streams 2", "--batch-seconds 9", "--quality fast"],
)
def test_flags_of_whisper_are_refused_as_they_were_given_where_it_is_left_out(flag: str) -> None:
    said = ["--lake", "x", "--extractor", "audio", *flag.split()]
    with pytest.raises(
        UsageError, match=f"^UsageError: {flag.split()[0]} is for the extractor whisper"
    ) as error:
        extract_signals._read(extract_signals.arguments().parse_args(said))
    assert error.value.hint == "Add --extractor whisper."
    assert extract_signals.asked_extractors(
        extract_signals.arguments().parse_args([*said, "--extractor", "whisper"])
    )


def test_a_price_is_for_a_plan() -> None:
    said = ["--lake", "x", "--price-per-device-hour", "2"]
    with pytest.raises(UsageError, match="is for --plan"):
        extract_signals._read(extract_signals.arguments().parse_args(said))
    extract_signals._read(extract_signals.arguments().parse_args([*said, "--plan"]))


PLANNED = [
    # arguments of a plan; those of the command that carries it out
    (
        "--lake L --corpus c --plan --model m --retry-given-up",
        "--lake L --corpus c --model m --retry-given-up",
    ),
    ("--plan --lake=L --prompt 'a b' --price-per-device-hour 2", "--lake=L --prompt 'a b'"),
    ("--price-per-device-hour=2 --plan --corpus c", "--lake root --corpus c"),
]


@pytest.mark.parametrize(("planned", "command"), PLANNED)
def test_the_next_step_of_a_plan_is_what_was_planned(planned: str, command: str) -> None:
    lake: Any = SimpleNamespace(root="root")
    assert (
        without_plan("extract-signals", lake, shlex.split(planned)) == f"speechlake extract-signals {command}"
    )
