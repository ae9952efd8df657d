"""The request: who and what is to be erased, why, and on whose word. A YAML file, checked before anything is read.

reference: privacy-2026-17      # stands in the lake: names nobody
requested_by: privacy office    # stands in the report alone
date: "2026-11-25"
erase:
  - {speaker: "1272", namespace: librispeech}
  - {speaker: "0012", corpus: calls}        # in the namespace of that corpus
  - {path: interviews/anna.wav, corpus: calls}
  - {recording: 5f0c…}
  - {utterance: 91ab…}
  - {source_id: call-0007, corpus: calls}
  - {corpus: pilot}
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from speechlake.config import Section, like, loads, text_of
from speechlake.corpora import Name
from speechlake.errors import UsageError
from speechlake.ids import canonical_json, recording_id

Id = Annotated[str, like("[0-9a-f]{32}", "an id of 32 hex digits")]
Text = Annotated[str, Field(min_length=1, max_length=1000)]
Kind = Literal["speaker", "recording", "utterance", "source_id", "corpus"]

# What a subject may say, and with what.
SHAPES: tuple[tuple[frozenset[str], Kind], ...] = (
    (frozenset({"speaker", "namespace"}), "speaker"),
    (frozenset({"speaker", "corpus"}), "speaker"),
    (frozenset({"recording"}), "recording"),
    (frozenset({"path", "corpus"}), "recording"),
    (frozenset({"path", "corpus", "root"}), "recording"),
    (frozenset({"path", "corpus", "member"}), "recording"),
    (frozenset({"path", "corpus", "root", "member"}), "recording"),
    (frozenset({"utterance"}), "utterance"),
    (frozenset({"source_id", "corpus"}), "source_id"),
    (frozenset({"corpus"}), "corpus"),
)


class Subject(Section):
    """One entry of a request: a speaker of a namespace, a recording, an utterance, or a whole corpus."""

    speaker: Text | None = None
    namespace: Name | None = None
    corpus: Name | None = None
    recording: Id | None = None
    path: Text | None = None
    root: Name | None = None
    member: Text | None = None
    utterance: Id | None = None
    source_id: Text | None = None

    @model_validator(mode="after")
    def _has_a_shape(self) -> Subject:
        if self._said() not in dict(SHAPES):
            shapes = "; ".join(", ".join(sorted(shape)) for shape, _ in SHAPES)
            raise PydanticCustomError(
                "subject", f"says {', '.join(sorted(self._said())) or 'nothing'}; expected one of: {shapes}"
            )
        return self

    def _said(self) -> frozenset[str]:
        return frozenset(name for name, value in self.model_dump().items() if value is not None)

    @property
    def kind(self) -> Kind:
        """What it is."""
        return dict(SHAPES)[self._said()]

    @property
    def recording_id(self) -> str | None:
        """Of a recording: its id, also where it is named by its path."""
        if self.path is not None and self.corpus is not None:
            return recording_id(self.corpus, self.root or "audio", self.path, self.member)
        return self.recording

    def names(self) -> Iterator[str]:
        """What may name a person, or is the name of a corpus that goes: nothing of this may stay in the lake."""
        corpus = self.corpus if self.kind == "corpus" else None
        yield from (name for name in (self.speaker, self.path, self.member, self.source_id, corpus) if name)

    def told(self) -> str:
        """For people."""
        return ", ".join(f"{name} {value}" for name, value in self.model_dump().items() if value is not None)


class Request(Section):
    """A request for erasure."""

    reference: Annotated[
        str,
        like(
            "[A-Za-z0-9][A-Za-z0-9 ._:/#-]{0,99}",
            "1-100 letters, digits, blanks and any of ._:/#- that begin with a letter or digit",
        ),
    ]
    requested_by: Text
    date: Annotated[str, like(r"\d{4}-\d{2}-\d{2}", "a day such as 2026-11-25")]
    erase: Annotated[
        tuple[Subject, ...],
        BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value),
        Field(min_length=1, max_length=10_000),
    ]

    @field_validator("date")
    @classmethod
    def _is_a_day(cls, value: str) -> str:
        try:
            date.fromisoformat(value)
        except ValueError:
            raise PydanticCustomError("date", f"{value!r} is no day") from None
        return value

    @model_validator(mode="after")
    def _reference_names_nobody(self) -> Request:
        for subject in self.erase:
            for name in subject.names():
                if has_word(self.reference, name):
                    raise PydanticCustomError(
                        "reference", "reference stays in the lake and must not hold what is erased"
                    )
        return self

    def canonical(self) -> str:
        """What is to be erased, in one spelling: the same for the same request."""
        said = [subject.model_dump(exclude_none=True) for subject in self.erase]
        return canonical_json([self.reference, sorted(said, key=canonical_json)])


def has_word(text: str, name: str) -> bool:
    """True where `name` stands in `text` and is no part of a longer word, whatever the case."""
    return re.search(words([name]), text, re.IGNORECASE) is not None


def words(names: Sequence[str]) -> str:
    """A regular expression, for Python and Java alike, of any of `names` as a whole word; nothing for none.

    Also where its accents are characters of their own, as file names of macOS have them, or are not.
    """
    forms = dict.fromkeys(form for name in names for form in (name, *_forms(name)))
    # Python's escapes mean the same to Java.
    each = "|".join(map(re.escape, forms)) or r"(?!)"
    return rf"(?<![A-Za-z0-9])(?:{each})(?![A-Za-z0-9])"


def _forms(name: str) -> tuple[str, str]:
    return unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)


def load_request(path: str | Path, *, sha256: str | None = None) -> Request:
    """The request in a YAML file; ConfigError names file, field, and what was expected.

    UsageError where the very bytes that are read do not have `sha256`, those that somebody approved.
    """
    text = text_of(path)
    found = hashlib.sha256(text.encode("utf-8")).hexdigest()
    if sha256 not in (None, found):
        raise UsageError(
            f"--request {path} has sha256 {found}, expected {sha256}",
            hint="It was changed since: look at it again with --plan.",
        )
    return loads(text, str(path), Request)
