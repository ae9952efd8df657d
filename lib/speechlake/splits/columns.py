"""Which plain columns a rule may read beside signals: what a corpus and a manifest say of an utterance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column

EXTRAS = "extras."
_EXTRA_CHARACTERS = 64
# Which kind of text is trusted more, all else being equal.
TEXT_KINDS: tuple[str, ...] = ("human", "caption", "machine")


@dataclass(frozen=True)
class Plain:
    """A value that a rule can read without any measurement. `meaning` is for the list in docs/policies.md.

    `of` makes it of `column`, one of a candidate's. `values` are all that it may have; none where they are open.
    """

    name: str
    type: str
    meaning: str
    column: str
    of: Callable[[Column], Column]
    needs: tuple[str, ...] = ()
    is_error: bool = False
    values: tuple[str, ...] = ()

    @property
    def is_number(self) -> bool:
        """Can be compared with `at_least`, `at_most`, `between`: numbers, and extras that may hold one."""
        return self.type in ("bigint", "double") or self.is_extra

    @property
    def is_extra(self) -> bool:
        """A field of the manifest that no column takes: a text, maybe of a number."""
        return self.name.startswith("extras.")

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of a candidate that it is read off."""
        return (self.column,)

    def value(self) -> Column:
        """The value in a frame of candidates."""
        from pyspark.sql import functions as F

        return self.of(F.col(self.column))

    def number(self) -> Column:
        """The value as a number; NaN, which passes nowhere, for a text that is none."""
        from pyspark.sql import functions as F

        value = self.value()
        if not self.is_extra:
            return value
        nan = F.when(value.isNotNull(), F.lit(float("nan")))
        return F.coalesce(value.try_cast("double"), nan)


def column_named(name: str) -> Plain | None:
    """The column that a policy calls `name`; None where there is none."""
    key = name.removeprefix(EXTRAS)
    if key != name and key.strip() == key and key.isprintable() and 0 < len(key) <= _EXTRA_CHARACTERS:
        return _extra(name)
    return COLUMNS.get(name)


def _extra(name: str) -> Plain:
    key = name.removeprefix("extras.")
    meaning = "A field of the manifest that no column takes."
    return Plain(name, "string", meaning, "extras", lambda extras: extras.getItem(key))


def _stored(name: str, type: str, meaning: str, values: tuple[str, ...] = ()) -> Plain:
    return Plain(name, type, meaning, name, lambda column: column, values=values)


COLUMNS: Mapping[str, Plain] = {
    column.name: column
    for column in (
        _stored("corpus", "string", "Name of the corpus."),
        _stored("licence", "string", "Licence of the corpus."),
        _stored("text_tags", "array<string>", "What the texts of the corpus are: prompts, read, …"),
        _stored("language", "string", "Canonical BCP 47 tag, region and script included."),
        _stored("channel", "string", "Channel counted from 0, or mix."),
        _stored("speaker_id", "string", "Namespaced speaker."),
        Plain(
            *("speaker_known", "boolean", "Whether the speaker is known.", "speaker_id"),
            lambda speaker: speaker.isNotNull(),
        ),
        _stored("session_id", "string", "Session or conversation."),
        Plain(
            *("segmented", "boolean", "Cut out of a longer recording by the segmenter.", "origin"),
            lambda origin: origin != "manifest",
        ),
        _stored("declared_duration_s", "double", "Length by the manifest [s]; never trusted."),
        _stored("declared_sample_rate_hz", "bigint", "Sample rate by the manifest [Hz]."),
        _stored("declared_channels", "bigint", "Channels by the manifest."),
        _stored("text", "string", "The text that the policy chose."),
        _stored("text_kind", "string", "human, caption or machine.", TEXT_KINDS),
        _stored("text_source", "string", "Source of the text."),
    )
}
# As an error lists them.
NAMES: tuple[str, ...] = (*COLUMNS, "extras.<name>")
