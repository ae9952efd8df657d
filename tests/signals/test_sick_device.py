"""Drills: a device that breaks, stumbles or runs out of memory costs no row and blames no clip."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sick_extractor
from lake_tools import QUIET, ingest, says, tables, wav, write_lines
from pyspark.errors import PySparkException
from sick_extractor import Sick

from speechlake.damage import damage_of
from speechlake.errors import DeviceFailed
from speechlake.signals.plan import wanted_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from speechlake.lake import Lake

CLIPS = 12
# 16 kHz samples of the clip that no device has the memory for.
LONG = 3200

pytestmark = pytest.mark.slow


class Ward:
    """A lake of a few clips and the notes by which its device breaks."""

    def __init__(self, lake: Lake, folder: Path) -> None:
        self.lake, self.notes = lake, folder / "notes"
        self.notes.mkdir()
        names = [f"c{n}.wav" for n in range(CLIPS)]
        for n, name in enumerate(names):
            wav(folder / "audio" / name, seed=n, seconds=LONG / 16_000 if n == 0 else 0.1)
        ingest(
            lake,
            write_lines(folder / "m.jsonl", *(says(name, name) for name in names)),
            roots={"audio": str(folder / "audio")},
        )

    def extract(self) -> Any:
        from speechlake.commands import extract_signals

        return extract_signals.run(self.lake, wanted_of([Sick(str(self.notes))]), corpus="c", progress=QUIET)

    def rows(self) -> tuple[int, int]:
        """Counts of measurements and attempts."""
        found = tables(self.lake, ("signals_whisper", "attempts"))
        assert all(row["text"] == "fine" for row in found["signals_whisper"])
        return len(found["signals_whisper"]), len(found["attempts"])


@pytest.fixture
def ward(spark: SparkSession, tmp_path: Path) -> Ward:
    from speechlake.lake import Lake

    spark.sparkContext.addPyFile(sick_extractor.__file__)
    return Ward(Lake(spark, tmp_path / "lake"), tmp_path)


def test_extract_signals_with_a_context_that_breaks_yields_all_rows(ward: Ward) -> None:
    """The worker whose context broke ends, Spark measures its clips in another, and no attempt is written."""
    (ward.notes / "break_once").touch()
    ward.extract()
    assert not (ward.notes / "break_once").exists()
    assert ward.rows() == (CLIPS, 0)


def test_extract_signals_with_every_worker_broken_fails_and_writes_nothing(ward: Ward) -> None:
    """The job ends with the device's own error and exit code 5; once the device works, the same command measures."""
    (ward.notes / "broken").touch()
    with pytest.raises(PySparkException) as caught:
        ward.extract()
    found = damage_of(ward.lake, caught.value)
    assert isinstance(found, DeviceFailed)
    assert found.exit_code == 5
    assert "CUBLAS_STATUS_EXECUTION_FAILED" in found.message
    assert ward.rows() == (0, 0)
    (ward.notes / "broken").unlink()
    ward.extract()
    assert ward.rows() == (CLIPS, 0)


def test_extract_signals_writes_no_attempt_of_what_fails_once(ward: Ward) -> None:
    """A clip that failed in one worker is measured by a second, fresh one in the same run."""
    (ward.notes / "stumble").touch()
    report = ward.extract()
    assert ward.rows() == (CLIPS, 0)
    assert (report.counts["utterances"], report.counts["attempts"]) == (CLIPS, 0)


def test_extract_signals_writes_an_attempt_of_what_fails_twice(ward: Ward) -> None:
    """A clip that takes all memory, also alone and in a second worker, gets one attempt; the others their rows."""
    (ward.notes / "poison").write_text(str(LONG))
    report = ward.extract()
    assert ward.rows() == (CLIPS - 1, 1)
    assert (report.counts["attempts"], report.counts["unconfirmed"]) == (1, 0)
