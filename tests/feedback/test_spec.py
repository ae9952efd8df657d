"""What an import may be called, and what its fingerprints depend on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from speechlake.errors import UsageError
from speechlake.feedback.identity import identity_of
from speechlake.feedback.spec import Import, ValueColumn, prefix_of, split_name, value_column

LOSS = ValueColumn("loss", "loss", "number")

COLUMNS = [
    ("loss", ValueColumn("loss", "loss")),
    ("loss:number", ValueColumn("loss", "loss", "number")),
    ("loss=CE Loss:number", ValueColumn("loss", "CE Loss", "number")),
    ("loss=a:b:number", ValueColumn("loss", "a:b", "number")),
]


@pytest.mark.parametrize(("said", "column"), COLUMNS)
def test_a_column_has_a_name_a_field_and_maybe_a_type(said, column):
    assert value_column(said) == column


def test_an_unknown_type_is_refused_with_those_that_there_are():
    with pytest.raises(UsageError, match="Types: number, boolean, string"):
        value_column("loss:float")


@pytest.mark.parametrize("name", ["Loss", "1st", "a__b", "a_", "_a", "a-b", "a.b", "", "a" * 65])
def test_a_name_that_a_policy_could_not_write_is_refused(name):
    with pytest.raises(UsageError, match="--name"):
        Import(name, columns=(LOSS,))
    with pytest.raises(UsageError, match="--column NAME=COLUMN"):
        Import("asr", columns=(ValueColumn(name, "loss"),))


WRONG = [
    ({}, "nothing is imported"),
    ({"columns": (LOSS, LOSS)}, "'loss' is named twice"),
    ({"text": "hyp"}, "--text and --kind go together"),
    ({"columns": (LOSS,), "kind": "human"}, "--text and --kind go together"),
    ({"columns": (LOSS,), "version": "a b"}, "--version"),
]


@pytest.mark.parametrize(("said", "why"), WRONG)
def test_an_import_that_contradicts_itself_is_refused(said, why):
    with pytest.raises(UsageError, match=why):
        Import("asr", **said)


NAMES = [
    ("imported.asr3.loss", ("asr3", "loss")),
    ("imported.a_b.c_d", ("a_b", "c_d")),
    ("imported.asr3", None),
    ("imported.asr3.loss.mean", None),
    ("imported.a__b.c", None),
    ("imported.Asr.loss", None),
    ("audio.loss", None),
]


@pytest.mark.parametrize(("name", "parts"), NAMES)
def test_the_name_of_an_imported_value_is_import_and_column(name, parts):
    assert split_name(name) == parts


def test_values_of_different_names_never_share_a_column():
    assert prefix_of("a_b", "c") != prefix_of("a", "b_c")


def test_a_fingerprint_changes_with_version_content_field_and_type_and_not_with_where_the_source_lies():
    spec = Import("asr", columns=(LOSS,))

    def fingerprint(spec: Import, column: ValueColumn = LOSS, sha: str = "s", base: str = "f.jsonl") -> str:
        return identity_of(spec, column, sha, base).fingerprint

    own = fingerprint(spec)
    assert fingerprint(spec, base="elsewhere.jsonl") == own
    others = [
        fingerprint(replace(spec, version="2")),
        fingerprint(spec, sha="t"),
        fingerprint(spec, replace(LOSS, field="CE")),
        fingerprint(spec, replace(LOSS, type="string")),
        fingerprint(replace(spec, name="tts")),
    ]
    assert len({own, *others}) == 6
