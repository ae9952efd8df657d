"""Which measured values a rule may name: the columns of `signals_*` contracts, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from speechlake.schemas import TABLES

if TYPE_CHECKING:
    from pyspark.sql import Column

_PREFIX = "signals_"
# Columns that say which measurement a row is, not what was measured.
_IDENTITY = {"corpus", "utterance_id", "content_sha256", "fingerprint", "inputs_hash", "run_id"}


@dataclass(frozen=True)
class Signal:
    """A value that a rule can read: `extractor.column`, with its Spark type."""

    extractor: str
    column: str
    type: str

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

    def value(self) -> Column:
        """The value in a frame of candidates, where measured columns are `<extractor>_<column>`."""
        from pyspark.sql import functions as F

        derived = DERIVED.get(self.name)
        return derived() if derived else F.col(f"{self.extractor}_{self.column}")


def _declared_difference_s() -> Column:
    """Decoded length minus the length the manifest declares, in seconds; null where it declares none."""
    from pyspark.sql import functions as F

    return F.col("audio_duration_s") - F.col("declared_duration_s")


# Numbers that follow from a signal and the manifest; missing where their extractor is.
DERIVED: Mapping[str, Callable[[], Column]] = {"audio.declared_difference_s": _declared_difference_s}


def _measured() -> list[Signal]:
    tables = [table for name, table in TABLES.items() if name.startswith(_PREFIX)]
    return [
        Signal(table.name.removeprefix(_PREFIX), column.name, column.type)
        for table in tables
        for column in table.columns
        if column.name not in _IDENTITY
    ]


def _derived() -> list[Signal]:
    parts = [name.partition(".") for name in DERIVED]
    return [Signal(extractor, column, "double") for extractor, _, column in parts]


SIGNALS: Mapping[str, Signal] = {signal.name: signal for signal in (*_measured(), *_derived())}
EXTRACTORS: tuple[str, ...] = tuple(dict.fromkeys(signal.extractor for signal in SIGNALS.values()))
