"""The plan of an erasure: hashes of all that goes, so that what is staged and left behind names nobody.

Rows are (kind, hash). Kinds of `tombstones.KEPT` become tombstones; the others serve this erasure alone:
`manifest_uri` (all generations of a manifest), `link_key`, `run` (whose arguments are redacted) and `warning`
(sentences of releases).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import reduce
from typing import TYPE_CHECKING

from speechlake.erasure.found import Found, Meant, named
from speechlake.erasure.links import lost_keys, lost_links
from speechlake.erasure.request import Request, words
from speechlake.erasure.tombstones import hash_of, hashed
from speechlake.ids import make_id

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake

# Names shorter than this are looked for in the arguments of runs as any other word; file names must be longer,
# so that `.` does not take them all.
SHORTEST_FILE_NAME = 3
ID = r"\b[0-9a-f]{32}\b"


def planned(lake: Lake, request: Request, said: Meant, there: Found, salt: str) -> DataFrame:
    """(kind, hash) of everything that `request` takes out of the lake, each once. Runs nothing."""
    from pyspark.sql import functions as F

    def of(frame: DataFrame, kind: str, *columns: str) -> DataFrame:
        rows = frame.dropna(subset=[*columns])
        return rows.select(F.lit(kind).alias("kind"), hashed(salt, kind, *columns).alias("hash"))

    frames = [
        of(there.utterances, "utterance", "utterance_id"),
        of(there.utterances, "given", "corpus", "source_id"),
        of(there.recordings, "recording", "recording_id"),
        of(there.manifests, "manifest", "corpus", "uri", "sha256"),
        of(there.manifests, "manifest_uri", "corpus", "uri"),
        _named(lake, said, there, salt),
        lost_keys(lake, there.utterances).select(
            F.lit("link_key").alias("kind"), F.col("link_key").alias("hash")
        ),
        _runs(lake, request, said, there),
        _warnings(lake, said, there),
    ]
    return reduce(lambda one, other: one.unionByName(other), frames).distinct()


def _named(lake: Lake, said: Meant, there: Found, salt: str) -> DataFrame:
    """What the request names itself, whether or not a row has it; and `lines` of the corpora that are concerned."""
    from pyspark.sql import functions as F

    plain: dict[str, Collection[str]] = {
        "corpus": said.corpora,
        "lines": said.concerned | {speaker.partition(":")[0] for speaker in said.speakers},
    }
    rows = [(kind, hash_of(salt, kind, value)) for kind, values in plain.items() for value in values]
    # A source id may be others' too, in another recording or manifest: it refuses lines only where it was asked for.
    rows += [(each[0], hash_of(salt, *each)) for each in named(said)]
    rows += [("given", hash_of(salt, "given", *pair)) for pair in said.source_ids]
    # Of a name that no row bears any more, a side may still be remembered.
    rows += [("link_key", make_id("speaker", speaker)) for speaker in said.speakers]
    few = lake.spark.createDataFrame(rows, "kind string, hash string")
    concerned = there.utterances.select("corpus").unionByName(there.recordings.select("corpus")).distinct()
    lines = hashed(salt, "lines", "corpus")
    return few.unionByName(concerned.select(F.lit("lines").alias("kind"), lines.alias("hash")))


def _runs(lake: Lake, request: Request, said: Meant, there: Found) -> DataFrame:
    """Runs whose arguments may name somebody: in full, or by a manifest that lists nobody else."""
    from pyspark.sql import functions as F

    names = sorted({name for subject in request.erase for name in subject.names()})
    files = there.manifests.select(F.element_at(F.split("uri", "[/:]"), -1).alias("name")).distinct()
    listed = files.where(F.length("name") >= SHORTEST_FILE_NAME)
    runs = lake.read("runs")
    by_file = runs.join(F.broadcast(listed), on=F.col("arguments").contains(F.col("name")), how="left_semi")
    of_corpora = F.col("scope").isin(list(said.corpora)) if said.corpora else F.lit(False)
    by_name = runs.where(of_corpora | _says(F.col("arguments"), names))
    ids = by_file.select("run_id").unionByName(by_name.select("run_id"))
    return ids.select(F.lit("run").alias("kind"), F.col("run_id").alias("hash"))


def _warnings(lake: Lake, said: Meant, there: Found) -> DataFrame:
    """Sentences of releases that name a speaker, corpus, recording, clip or link that goes, as their own sha256."""
    from pyspark.sql import functions as F

    told = lake.read("releases").select(F.explode("warnings").alias("warning")).distinct()
    by_name = told.where(_says(F.col("warning"), [*said.speakers, *said.corpora]))
    ids = there.utterances.select(F.explode(F.array("utterance_id", "recording_id")).alias("id")).distinct()
    found = told.select("warning", F.explode(F.regexp_extract_all("warning", F.lit(f"({ID})"))).alias("id"))
    by_id = found.join(ids, on="id", how="left_semi")
    # Sessions, and whatever else a policy linked, that nobody else has.
    values = lost_links(lake, there.utterances).select(
        F.concat(F.lit("'"), "value", F.lit("'")).alias("link")
    )
    by_link = values.join(F.broadcast(told), on=F.col("warning").contains(F.col("link")), how="inner")
    every = (
        by_name.select("warning").unionByName(by_id.select("warning")).unionByName(by_link.select("warning"))
    )
    return every.select(F.lit("warning").alias("kind"), F.sha2("warning", 256).alias("hash"))


def _says(text: Column, names: Sequence[str]) -> Column:
    """True where a text holds one of a few names as a whole word."""
    from pyspark.sql import functions as F

    return F.coalesce(text.rlike(f"(?iu){words(names)}"), F.lit(False))
