"""Lines of JSON as rows of an import: taken as they are, or refused with a reason."""

from __future__ import annotations

from typing import Any

import pytest

from speechlake.feedback.json_values import JsonValues, types_seen
from speechlake.feedback.spec import Import, ValueColumn

SPEC = Import(
    "asr",
    columns=(
        ValueColumn("loss", "loss", "number"),
        ValueColumn("seen", "seen", "boolean"),
        ValueColumn("note", "note", "string"),
    ),
    text="hyp",
    kind="machine",
)


def row(raw: bytes | None, *, offset: int = 7, too_long: bool = False) -> dict[str, Any]:
    return JsonValues(SPEC).row("/data/losses.jsonl", offset, raw, too_long)


def said(raw: bytes) -> dict[str, Any]:
    """{field: value} of a line."""
    return {
        v["field"]: next(x for x in (v["number"], v["flag"], v["word"]) if x is not None)
        for v in row(raw)["said"]
    }


def test_a_line_yields_its_values_each_under_its_type():
    line = b'{"utterance_id": "u1", "loss": 1.5, "seen": false, "note": "hard", "hyp": "so it goes", "more": [1]}'
    assert row(line) | {"said": None} == {
        "given": "u1", "corpus": None, "said": None, "place": "losses.jsonl:7", "reason": None, "detail": None,
    }  # fmt: skip
    assert said(line) == {"loss": 1.5, "seen": False, "note": "hard", "hyp": "so it goes"}


def test_null_and_absent_fields_are_no_values():
    assert said(b'{"utterance_id": "u1", "loss": null, "seen": true}') == {"seen": True}


def test_a_byte_order_mark_is_left_out_at_the_beginning_of_the_file_alone():
    line = b'\xef\xbb\xbf{"utterance_id": "u1", "loss": 2}'
    assert row(line, offset=0)["reason"] is None
    assert row(line)["reason"] == "BAD_JSON"


REFUSED = [
    (b'{"utterance_id": "u1", "loss": "1.5"}', "BAD_TYPE", "loss is a string, expected a number"),
    (b'{"utterance_id": "u1", "loss": true}', "BAD_TYPE", "loss is a boolean, expected a number"),
    (b'{"utterance_id": "u1", "loss": NaN}', "BAD_NUMBER", "NaN"),
    (b'{"utterance_id": "u1", "loss": -Infinity}', "BAD_NUMBER", "-Infinity"),
    (b'{"utterance_id": "u1", "loss": 1e999}', "BAD_NUMBER", "1e999"),
    (b'{"utterance_id": "u1", "loss": 9007199254740993}', "BAD_NUMBER", "loss is beyond 2^53"),
    (b'{"utterance_id": "u1", "seen": 1}', "BAD_TYPE", "seen is a number, expected a boolean"),
    (b'{"utterance_id": "u1", "note": "%s"}' % (b"x" * 1001), "TOO_LONG", "note has 1001 characters, a word has 1000 at most"),
    (b'{"utterance_id": "u1", "note": "a\\u0000b"}', "CONTROL_CHARACTER", "'a\\x00b'"),
    (b'{"utterance_id": 17, "loss": 1}', "BAD_TYPE", "utterance_id is a number, expected a string"),
    (b'{"utterance_id": "u1", "loss": 1, "loss": 2}', "DUPLICATE_KEY", "loss"),
    (b'["u1", 1]', "BAD_TYPE", "a line must be an object, this is an array"),
    (b"not json", "BAD_JSON", "no value at character 0"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "reason", "detail"), REFUSED)
def test_a_line_that_says_something_else_is_refused_with_what_was_found(line, reason, detail):
    found = row(line)
    assert (found["reason"], found["detail"]) == (reason, detail)


def test_a_text_may_be_longer_than_a_word():
    assert row(b'{"utterance_id": "u1", "hyp": "%s"}' % (b"x" * 1001))["reason"] is None


def test_lines_that_could_not_be_read_whole_are_refused_too():
    assert row(None)["reason"] == "UNREADABLE"
    assert row(b'{"utt', too_long=True)["reason"] == "TOO_LONG"


def test_a_refused_line_still_names_its_utterance_where_it_can():
    assert row(b'{"utterance_id": "u1", "loss": "x"}')["given"] == "u1"


def test_the_type_of_a_column_is_that_of_its_first_value():
    lines = [b"broken", b'{"a": null, "b": 1}', b'{"a": "x", "b": "y", "c": []}', b'{"a": 2, "c": true}']
    assert types_seen(lines, ["a", "b", "c", "d"]) == {
        "a": "string",
        "b": "number",
        "c": "boolean",
        "d": None,
    }
