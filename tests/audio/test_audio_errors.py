"""Every code says what it means, and travels."""

from __future__ import annotations

import pickle
import re

import pytest

from speechlake.audio.errors import CODES, AudioError


def test_every_code_is_a_word_with_one_sentence() -> None:
    for name, code in CODES.items():
        assert re.fullmatch(r"[A-Z_]+", name)
        assert code.sentence.endswith(".")


def test_only_what_the_machine_did_is_worth_another_run() -> None:
    assert {name for name, code in CODES.items() if code.transient} == {
        "MISSING",
        "STORAGE",
        "DECODER_TIME_OUT",
        "TIME_OUT",
        "OUT_OF_MEMORY",
    }


def test_an_error_knows_its_code_and_survives_a_process_boundary() -> None:
    error = pickle.loads(pickle.dumps(AudioError("TOO_LONG", "more than 60 s")))
    assert (error.code, error.detail, error.transient) == ("TOO_LONG", "more than 60 s", False)
    assert str(error) == "TOO_LONG: more than 60 s"
    assert str(AudioError("STORAGE")) == f"STORAGE: {CODES['STORAGE'].sentence}"


def test_a_code_that_is_not_in_the_table_cannot_be_raised() -> None:
    with pytest.raises(KeyError):
        AudioError("OOPS")
