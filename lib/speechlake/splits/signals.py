"""Which measured values a rule may name: the columns of `signals_*` contracts, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from speechlake.feedback.spec import prefix_of, split_name
from speechlake.schemas import TABLES
from speechlake.text import flags

if TYPE_CHECKING:
    from pyspark.sql import Column

_PREFIX = "signals_"
# Not an extractor's: its rows are values that others measured, each with a name of its own.
_IMPORTED = "signals_imported"
# Columns that say which measurement a row is, not what was measured.
_IDENTITY = {"corpus", "utterance_id", "content_sha256", "fingerprint", "inputs_hash", "run_id"}


@dataclass(frozen=True)
class Signal:
    """A value that a rule can read: `extractor.column`, with its Spark type.

    `needs` names the extractors whose measurement it takes: its own, or those that a derived one follows from.
    """

    extractor: str
    column: str
    type: str
    needs: tuple[str, ...]

    @property
    def name(self) -> str:
        """As a policy writes it."""
        return f"{self.extractor}.{self.column}"

    @property
    def is_number(self) -> bool:
        """Can be compared with `at_least`, `at_most`, `between`."""
        return self.type in ("int", "bigint", "double")

    @property
    def is_error(self) -> bool:
        """The extractor's error code: present in every row, whether or not the measurement succeeded."""
        return self.column == "error"

    def compared_with(self, asked: Any) -> Signal:
        """The signal as a rule reads it that asks for `asked`: itself, but for what was imported."""
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of a candidate that it is read off."""
        own = f"{self.extractor}_{self.column}"
        return DERIVED[self.name].columns if self.name in DERIVED else (own,)

    def value(self) -> Column:
        """The value in a frame of candidates with what a policy derives: its column is `<extractor>_<column>`."""
        from pyspark.sql import functions as F

        return F.col(f"{self.extractor}_{self.column}")


@dataclass(frozen=True)
class Derived:
    """A value that follows from stored ones, without audio; missing where one of `needs` is.

    `of` makes it of `columns`, those of a candidate that it follows from.
    """

    type: str
    needs: tuple[str, ...]
    meaning: str
    columns: tuple[str, ...]
    of: Callable[..., Column]

    def value(self) -> Column:
        """The value in a frame of candidates."""
        from pyspark.sql import functions as F

        return self.of(*map(F.col, self.columns))


def _difference_s(duration_s: Column, declared_s: Column) -> Column:
    """Null where the manifest declares no length."""
    return duration_s - declared_s


def _chars_per_second(text: Column, duration_s: Column) -> Column:
    """Speed of the text that the policy (in views: the manifest) chose; null where there is none."""
    from pyspark.sql import functions as F

    return F.when(text.isNotNull(), flags.chars_per_second(text, duration_s))


# `flags`: published signs of hallucination in Whisper's text; their sources are in `speechlake.text`.
DERIVED: Mapping[str, Derived] = {
    "text.chars_per_second": Derived(
        "double",
        ("audio",),
        "Letters, marks and digits of the chosen text per second of audio [1/s].",
        ("text", "audio_duration_s"),
        _chars_per_second,
    ),
    "audio.declared_difference_s": Derived(
        "double",
        ("audio",),
        "Decoded minus declared length [s].",
        ("audio_duration_s", "declared_duration_s"),
        _difference_s,
    ),
    "flags.repeated_words": Derived(
        "int",
        ("whisper",),
        "Times that a unit of up to 12 words, or 24 characters in scripts without spaces, is said in a row.",
        ("whisper_text",),
        flags.repeated_words,
    ),
    "flags.chars_per_second": Derived(
        "double",
        ("whisper", "audio"),
        "Letters, marks and digits of Whisper's text per second of audio [1/s].",
        ("whisper_text", "audio_duration_s"),
        flags.chars_per_second,
    ),
    "flags.chars_per_speech_second": Derived(
        "double",
        ("whisper", "speech"),
        "The same per second of speech: infinite for text without speech, 0 for no text [1/s].",
        ("whisper_text", "speech_speech_duration_s"),
        flags.chars_per_second,
    ),
    "flags.known_phrase": Derived(
        "boolean",
        ("whisper",),
        "The whole text is a phrase that Whisper is known to say in silence.",
        ("whisper_text",),
        flags.known_phrase,
    ),
    "flags.compression_excess": Derived(
        "double",
        ("whisper",),
        "Compression ratio minus the limit of the text's script: 2.4 for Latin, up to 3.5.",
        ("whisper_text", "whisper_compression_ratio"),
        flags.compression_excess,
    ),
    "flags.runaway": Derived(
        "boolean",
        ("whisper",),
        "The text is a loop, compresses too well for its script, or hit the token limit.",
        ("whisper_text", "whisper_compression_ratio", "whisper_truncated"),
        flags.runaway,
    ),
}


def derived_columns(names: Collection[str] = tuple(DERIVED)) -> dict[str, Column]:
    """Derived values (of `names`, those that are derived) by the name of their column: `<extractor>_<column>`."""
    return {name.replace(".", "_"): DERIVED[name].value() for name in names if name in DERIVED}


def _measured() -> list[Signal]:
    tables = [table for name, table in TABLES.items() if name.startswith(_PREFIX) and name != _IMPORTED]
    return [
        Signal(name, column.name, column.type, (name,))
        for table in tables
        for name in [table.name.removeprefix(_PREFIX)]
        for column in table.columns
        if column.name not in _IDENTITY
    ]


def _derived() -> list[Signal]:
    parts = [(name.partition("."), derived) for name, derived in DERIVED.items()]
    return [Signal(group, column, derived.type, derived.needs) for (group, _, column), derived in parts]


@dataclass(frozen=True)
class Imported(Signal):
    """A value that was imported: `imported.<import>.<column>`. Only the lake knows its type: see `compared_with`."""

    @property
    def name(self) -> str:
        """As a policy writes it."""
        return self.label

    label: str = ""

    def compared_with(self, asked: Any) -> Imported:
        """With the type that makes sense of what a rule asks; a build checks that it was imported as that."""
        return replace(self, type=_type_of(asked))


def _type_of(asked: Any) -> str:
    """Spark type of what an operator compares with; `unknown` for null, `several` for a mixture."""
    if asked is None:
        return "unknown"
    if isinstance(asked, dict | list | tuple):
        kinds = {_type_of(item) for item in (asked.values() if isinstance(asked, dict) else asked)}
        return kinds.pop() if len(kinds) == 1 else "several"
    kinds_of = {bool: "boolean", str: "string"}
    return kinds_of.get(type(asked), "double")


class _Signals(dict[str, Signal]):
    """Every signal by its name; what begins with `imported.` is one wherever its name is strict."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or (isinstance(name, str) and split_name(name) is not None)

    def __missing__(self, name: str) -> Signal:
        found = split_name(name)
        if found is None:
            raise KeyError(name)
        prefix = prefix_of(*found)
        return Imported(prefix, "value", "unknown", (prefix,), name)


# How far machine texts agree on the one that was chosen (`speechlake.splits.medoid`); null for any other text.
AGREEMENT = Signal("text", "agreement", "double", ())

SIGNALS: Mapping[str, Signal] = _Signals(
    (signal.name, signal) for signal in (*_measured(), *_derived(), AGREEMENT)
)
EXTRACTORS: tuple[str, ...] = tuple(dict.fromkeys(signal.extractor for signal in _measured()))
