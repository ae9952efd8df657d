"""Speakers of different sides whose voices are alike: maybe one person under two names. Told, never acted on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from speechlake.checkpoints import checkpointed
from speechlake.splits.policy_values import EVALUATION

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    from pyspark.sql import DataFrame, Row

# Measured (docs/benchmarks.md, "Voices"): of 5,126 pairs of strangers the most alike have 0.904, so that none would
# be told. 0.9 lets one of 5,050 pairs of single clips through: with 100 speakers that evaluate and 10,000 that
# train, 200 false pairs would bury the true ones. Of one person under two names 0.92 finds all with twenty clips a
# name, 90 % with five, 11 % with one.
ALIKE = 0.92
# A speaker's voice is the mean of so many clips, by hash; and so many speakers of the evaluation sides are
# compared, by hash: 2 MB that every task gets. Evaluation sets have fewer.
CLIPS = 20
SPEAKERS = 2_000
PAIRS_TOLD = 3

_VOICE = "side string, speaker_id string, utterance_id string, clips bigint, embedding array<float>"
_PAIR = "speaker string, clip string, side string, other string, other_clip string, other_side string, cosine double"


def alike_voices(measured: DataFrame, splits: DataFrame) -> list[str]:
    """At most one message: how many pairs of speakers on two sides sound alike, and clips to listen to.

    `measured` has utterance_id and speaker_embedding of what was measured, `splits` utterance_id, split and speaker_id.
    Speakers are compared, not clips: those of dev and test with those of all other sides.
    """
    # Three steps read it.
    heard = checkpointed("voices", voices(splits, measured))
    evaluation = F.col("side").isin(list(EVALUATION))
    few = heard.filter(evaluation).orderBy(F.xxhash64("speaker_id"), "speaker_id", "side").limit(SPEAKERS)
    asked = few.collect()
    if not asked:
        return []
    pairs = heard.mapInPandas(_compared(asked), _PAIR)
    total = pairs.agg(F.count("*").alias("n")).collect()[0].n
    most = pairs.orderBy(F.desc("cosine"), "speaker", "other").limit(PAIRS_TOLD).collect()
    return _told(total, most)


def voices(splits: DataFrame, measured: DataFrame) -> DataFrame:
    """One row per side and known speaker: the mean of up to `CLIPS` embeddings, of unit length, and a clip of theirs."""
    from pyspark.sql import Window

    known = splits.filter(F.col("speaker_id").isNotNull())
    rows = known.select("utterance_id", "speaker_id", F.col("split").alias("side")).join(
        measured, "utterance_id", how="inner"
    )
    order = Window.partitionBy("side", "speaker_id").orderBy(F.xxhash64("utterance_id"), "utterance_id")
    first = rows.withColumn("place", F.row_number().over(order)).filter(F.col("place") <= CLIPS)
    return first.groupBy("side", "speaker_id").applyInPandas(_mean, _VOICE)


def _mean(clips: pd.DataFrame) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    ordered = clips.sort_values("place")
    mean = np.stack(ordered["speaker_embedding"].to_list()).mean(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(mean))
    unit = (mean / length if length > 0 else mean).astype(np.float32)
    side, speaker, clip = (ordered[name].iloc[0] for name in ("side", "speaker_id", "utterance_id"))
    row = {
        "side": side,
        "speaker_id": speaker,
        "utterance_id": clip,
        "clips": len(ordered),
        "embedding": [unit],
    }
    return pd.DataFrame(row)


def _compared(asked: list[Row]) -> Any:
    """A function for mapInPandas: pairs of a voice and one of `asked` on another side; two that evaluate count once."""
    told = [(row.side, row.speaker_id, row.utterance_id, list(row.embedding)) for row in asked]

    def compare(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import numpy as np
        import pandas as pd

        matrix: npt.NDArray[np.float32] = np.array([voice for *_, voice in told], dtype=np.float32)
        names = ("speaker", "clip", "side", "other", "other_clip", "other_side", "cosine")
        for batch in batches:
            if batch.empty:
                continue
            cosines = np.stack(batch["embedding"].to_list()) @ matrix.T
            found = []
            for i, j in np.argwhere(cosines >= ALIKE):
                mine = tuple(batch[name].iloc[i] for name in ("speaker_id", "utterance_id", "side"))
                side, speaker, clip, _ = told[j]
                # Of test and dev, each pair is met twice.
                if mine[2] != side and mine[0] != speaker and (mine[2] == "train" or mine[2] < side):
                    found.append((*mine, speaker, clip, side, float(cosines[i, j])))
            yield pd.DataFrame(found, columns=list(names))

    return compare


def _told(total: int, most: list[Row]) -> list[str]:
    if not total:
        return []
    listen = "; ".join(
        f"{row.clip} ({row.side}) and {row.other_clip} ({row.other_side}), {row.cosine:.3f}" for row in most
    )
    return [
        f"{total} pairs of speakers on two sides have voices alike (cosine of means at least {ALIKE:g}): listen to {listen}"
    ]
