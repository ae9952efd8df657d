"""For which languages a model may hear short clips in cut windows: the sample, the verdict, where it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from speechlake.schemas import CALIBRATIONS
from speechlake.signals.catalogue import judged
from speechlake.signals.whisper import Whisper
from speechlake.signals.whisper_windows import LONGEST_CUT_S
from speechlake.text.subtags import primary_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.hold import Hold
    from speechlake.lake import Lake
    from speechlake.text.paired import Paired

# Cut windows count as equal while the upper end of the interval of their error rate, minus that of full
# windows, stays below half a point or a twentieth of the error rate, whichever is more: what two decodings
# of one model differ by for other reasons (facts of the design: +-0.4 points between batch and clip by clip).
MARGIN, SHARE = 0.005, 0.05
# Fewer clips decide nothing.
FEWEST_CLIPS = 50
# More clips than one in a hundred whose language is heard as another one, or whose text runs away.
MOST_STRAYS = 0.01


@dataclass(frozen=True)
class Verdict:
    """What a comparison of one language says; `equal`: cut windows may be used."""

    language: str
    equal: bool
    why: str
    paired: Paired
    flips: int
    runaways: int


def to_try(how: Whisper) -> tuple[Whisper, Whisper]:
    """(cut, full): the two extractors that are compared."""
    return replace(how, windows="cut"), replace(how, windows="full")


def calibrated_languages(lake: Lake, fingerprint: str) -> frozenset[str]:
    """Primary subtags whose newest verdict on `fingerprint` (an extractor with cut windows) is equal."""
    return judged(lake).get(fingerprint, ("", frozenset()))[1]


def sampled(lake: Lake, languages: Sequence[str] | None, clips: int) -> DataFrame:
    """(utterance_id) of up to `clips` current utterances per language with a manifest's own text of a person, by a hash.

    Only those whose audio is present and whose length is known, declared or measured: longer ones than a cut window
    holds are heard alike both ways, and say nothing. The sample of a language stays the same while its utterances do.
    The driver holds clips x languages ids.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F
    from pyspark.sql.types import StringType, StructField, StructType

    texts = lake.read("transcripts").where("retired_in IS NULL AND kind != 'machine' AND source = 'manifest'")
    there = lake.read("recordings").where("retired_in IS NULL AND state = 'present'")
    measured = lake.read("signals_audio").groupBy("utterance_id").agg(F.max("duration_s").alias("measured_s"))
    length_s = F.coalesce((F.col("end_ms") - F.col("start_ms")) / 1000, "declared_duration_s", "measured_s")
    ordered = Window.partitionBy("language").orderBy(F.sha2("utterance_id", 256), "utterance_id")
    found = (
        lake.read("utterances")
        .where("retired_in IS NULL AND language IS NOT NULL")
        .join(texts.select("utterance_id"), on="utterance_id", how="left_semi")
        .join(there.select("recording_id"), on="recording_id", how="left_semi")
        .join(measured, on="utterance_id", how="left")
        .where(length_s <= LONGEST_CUT_S)
        .select("utterance_id", primary_of(F.col("language")).alias("language"))
    )
    if languages is not None:
        found = found.where(F.col("language").isin(*languages))
    rows = found.withColumn("n", F.row_number().over(ordered)).where(F.col("n") <= clips).collect()
    schema = StructType([StructField("utterance_id", StringType(), nullable=False)])
    return lake.spark.createDataFrame([(row.utterance_id,) for row in rows], schema)


def in_cut_windows(lake: Lake, cut: str, chosen: DataFrame) -> DataFrame:
    """Those of `chosen` (utterance_id) that `cut` did not hear in a full window, by the length of their audio."""
    from pyspark.sql import functions as F

    length_s = F.try_divide(F.col("tokens"), F.col("tokens_per_second"))
    long = lake.read("signals_whisper").where((F.col("fingerprint") == cut) & (length_s > LONGEST_CUT_S))
    return chosen.join(long.select("utterance_id"), on="utterance_id", how="left_anti")


def verdict(language: str, paired: Paired, changed: Mapping[str, Any]) -> Verdict:
    """Judge cut windows (b) against full ones (a); `changed` is the language's row of `compare.answers.texts`."""
    flips, runaways = int(changed["language_changed"]), int(changed["b_runaway"]) - int(changed["a_runaway"])
    why = _against(paired, flips, runaways)
    return Verdict(language, why is None, why or "not worse", paired, flips, max(0, runaways))


def _against(paired: Paired, flips: int, runaways: int) -> str | None:
    """The first thing that speaks against cut windows."""
    if paired.utterances < FEWEST_CLIPS:
        return f"{paired.utterances} clips, {FEWEST_CLIPS} are needed"
    if paired.high is None or paired.rate_a is None:
        return "no reference text"
    allowed = max(MARGIN, SHARE * paired.rate_a)
    if paired.high > allowed:
        return f"the error rate may be {100 * paired.high:.1f} points higher, {100 * allowed:.1f} are allowed"
    if flips > MOST_STRAYS * paired.utterances:
        return f"{flips} clips change their language"
    if runaways > MOST_STRAYS * paired.utterances:
        return f"{runaways} more texts run away"
    return None


def write_verdicts(hold: Hold, full: str, cut: str, found: Sequence[Verdict]) -> int:
    """Append the verdicts that say something new; rows written. One of too few clips takes no other's place."""
    from pyspark.sql import functions as F

    from speechlake.contracts import rows_of

    known = hold.lake.read("calibrations").where(F.col("fingerprint") == cut).collect()
    newest = {row.language: row for row in sorted(known, key=lambda row: row.n)}
    rows = [
        _row(full, cut, each, newest[each.language].n + 1 if each.language in newest else 1, hold.run_id)
        for each in found
        if each.paired.rate_a is not None and _says_more(each, newest.get(each.language))
    ]
    frame = rows_of(hold.lake.spark, CALIBRATIONS, rows)
    return hold.append_missing("calibrations", frame, expected=len(rows))


def _says_more(each: Verdict, known: Any) -> bool:
    now = (each.paired.utterances, each.paired.rate_b)
    return known is None or (now[0] >= FEWEST_CLIPS and (known.clips, known.cut_error_rate) != now)


def _row(full: str, cut: str, each: Verdict, n: int, run_id: str) -> dict[str, Any]:
    paired = each.paired
    return {
        "fingerprint": cut,
        "full_fingerprint": full,
        "language": each.language,
        "n": n,
        "equal": each.equal,
        "why": each.why,
        "clips": paired.utterances,
        "full_error_rate": paired.rate_a,
        "cut_error_rate": paired.rate_b,
        "difference_low": paired.low,
        "difference_high": paired.high,
        "deletions_difference": paired.deletions,
        "insertions_difference": paired.insertions,
        "language_flips": each.flips,
        "runaways": each.runaways,
        "run_id": run_id,
    }
