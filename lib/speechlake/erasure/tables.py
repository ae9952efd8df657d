"""Which rows go from every table, and which lose a part: by hashes alone, so that a killed erasure finishes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from speechlake.erasure.tombstones import hashed, of_kind
from speechlake.schemas import TABLES

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake

# (kind of hash, columns that are hashed): a row goes where any of these meets the plan.
Ways = tuple[tuple[str, tuple[str, ...]], ...]
_CORPUS: Ways = (("corpus", ("corpus",)),)
_UTTERANCE: Ways = (("utterance", ("utterance_id",)), *_CORPUS)
_RECORDING: Ways = (("recording", ("recording_id",)), *_CORPUS)
_MANIFEST: Ways = (("manifest_uri", ("corpus", "uri")), *_CORPUS)
_OTHERS: Mapping[str, Ways] = {
    "corpora": _CORPUS,
    "manifests": _MANIFEST,
    "recordings": _RECORDING,
    "content_hashes": _RECORDING,
    "repeats": (*_UTTERANCE, *_MANIFEST),
    "quarantine": _MANIFEST,
    "segmentations": (*_UTTERANCE, *_RECORDING),
    # A release names whom its rows were published as, whatever their manifest says by now.
    "splits": (*_UTTERANCE, ("speaker", ("speaker_id",))),
    "audio_pairs": (*_UTTERANCE, ("utterance", ("other_id",)), ("corpus", ("other_corpus",))),
    "import_refusals": (("utterance", ("given",)), ("given", ("corpus", "given")), *_CORPUS),
    "assignments": (("link_key", ("link_key",)),),
    "chunks": _CORPUS,
}
# Tables that hold nothing of a person: models, their parameters, sums over corpora, and what erasure itself writes.
OF_NOBODY = ("extractors", "profiles", "calibrations", "tombstones", "erasures")
# Kinds whose hash is the value: ids, which are hashes already.
_AS_IT_IS = ("link_key", "run", "warning")


def ways_of(name: str) -> Ways:
    """By what rows of table `name` go; none where no row goes."""
    if name in _OTHERS or name in OF_NOBODY or "utterance_id" not in TABLES[name].column_names:
        return _OTHERS.get(name, ())
    return _UTTERANCE


@dataclass(frozen=True)
class Plan:
    """The hashes of an erasure, and which kinds there are: what nobody asked for costs no join."""

    salt: str
    hashes: DataFrame
    kinds: frozenset[str]

    def matching(self, frame: DataFrame, kind: str, *columns: str) -> DataFrame:
        """Rows of `frame` whose columns were planned as `kind`."""
        from pyspark.sql import functions as F

        if kind not in self.kinds:
            return frame.limit(0)
        value = F.col(columns[0]) if kind in _AS_IT_IS else hashed(self.salt, kind, *columns)
        marked = frame.withColumn("hash", value)
        return marked.join(of_kind(self.hashes, kind), on="hash", how="left_semi").drop("hash")


def going(lake: Lake, name: str, plan: Plan) -> DataFrame | None:
    """Keys of the rows of a table that go, each once; None where none can."""
    table, rows = TABLES[name], lake.read(name)
    if not lake.exists(name):
        return None
    found = [
        plan.matching(rows, kind, *columns).select(*table.key)
        for kind, columns in ways_of(name)
        if kind in plan.kinds
    ]
    return reduce(lambda one, other: one.unionByName(other), found).distinct() if found else None


def redacted(lake: Lake, name: str, plan: Plan) -> DataFrame | None:
    """Rows of a table that stay, without what they say of those that go; None where nothing is said."""
    make = _REDACTED.get(name)
    return make(lake.read(name), plan) if make is not None and lake.exists(name) else None


def _lines(rows: DataFrame, plan: Plan) -> DataFrame:
    """Refused lines of the corpora that are concerned: nobody can tell whose they are."""
    from pyspark.sql import functions as F

    said = rows.where("raw_line IS NOT NULL OR detail IS NOT NULL")
    nothing = {name: F.lit(None).cast(kind) for name, kind in (("raw_line", "binary"), ("detail", "string"))}
    return plan.matching(said, "lines", "corpus").withColumns(nothing)


def _refusals(rows: DataFrame, _: Plan) -> DataFrame:
    """Refused rows of imports that named no corpus: whose source id that is, nobody can tell."""
    from pyspark.sql import functions as F

    said = rows.where(of_any_corpus()).where("given IS NOT NULL OR said IS NOT NULL OR detail IS NOT NULL")
    return said.withColumns({name: F.lit(None).cast("string") for name in ("given", "said", "detail")})


def of_any_corpus() -> Column:
    """True for a refused row of an import whose `given` is no utterance's id, and may be a source id of any corpus."""
    from pyspark.sql import functions as F

    is_id = F.coalesce(F.col("given").rlike("^[0-9a-f]{32}$"), F.lit(False))
    return F.col("corpus").isNull() & ~is_id


def _segments(rows: DataFrame, plan: Plan) -> DataFrame:
    """What else was cut out of the same recording stays."""
    from pyspark.sql import functions as F

    key = TABLES["segmentations"].key
    each = rows.select(*key, F.explode("segments.utterance_id").alias("segment"))
    lost = plan.matching(each, "utterance", "segment").groupBy(*key)
    marked = rows.join(lost.agg(F.collect_set("segment").alias("lost")), on=[*key], how="inner")
    left = F.filter("segments", lambda segment: ~F.array_contains("lost", segment["utterance_id"]))
    kept = marked.withColumn("segments", left)
    return kept.withColumn("utterances", F.size("segments").cast("bigint")).drop("lost")


def _values(rows: DataFrame, plan: Plan) -> DataFrame:
    """Decisions about others that name who goes: the copy that was kept, the clip or corpus that was in the way."""
    from pyspark.sql import functions as F

    nothing = {"value": F.lit(None).cast("string")}
    kinds = ("utterance", "recording", "speaker", "corpus")
    found = [plan.matching(rows, kind, "value") for kind in kinds]
    return reduce(lambda one, other: one.unionByName(other), found).withColumns(nothing)


def _marks(rows: DataFrame, plan: Plan) -> DataFrame:
    """What a manifest that goes no longer listed: retired as before, and nobody knows by which."""
    from pyspark.sql import functions as F

    marked = rows.withColumn("uri", F.regexp_extract("retired_in", r"(?s)^(.*)#\d+$", 1))
    by_it = plan.matching(marked, "manifest_uri", "corpus", "uri").drop("uri")
    return by_it.withColumn("retired_in", F.lit("erased"))


def _arguments(rows: DataFrame, plan: Plan) -> DataFrame:
    """Runs without what they were told; a run of a corpus that goes belongs to none."""
    from pyspark.sql import functions as F

    redacted = {"arguments": '{"redacted":"erase-speakers"}', "arguments_sha256": ""}
    of_corpus = plan.matching(rows, "corpus", "scope").select("run_id", F.lit("erased").alias("scope_now"))
    named = plan.matching(rows, "run", "run_id").join(of_corpus, on="run_id", how="left")
    # What an earlier erasure left may say the name of a corpus that goes now.
    scoped = named.where((F.col("arguments") != redacted["arguments"]) | F.col("scope_now").isNotNull())
    scope = F.coalesce("scope_now", "scope")
    return scoped.withColumns({"scope": scope, **{k: F.lit(v) for k, v in redacted.items()}}).drop(
        "scope_now"
    )


def _sentences(rows: DataFrame, plan: Plan) -> DataFrame:
    """Releases without the warnings that name who goes, and without the counts of a corpus that goes."""
    from pyspark.sql import functions as F

    each = rows.select("release", F.explode("warnings").alias("warning")).withColumn(
        "sha", F.sha2("warning", 256)
    )
    lost = (
        plan.matching(each, "warning", "sha").groupBy("release").agg(F.collect_set("warning").alias("lost"))
    )
    counted = rows.select("release", F.explode("counts.corpus").alias("of"))
    gone = plan.matching(counted, "corpus", "of").groupBy("release").agg(F.collect_set("of").alias("gone"))
    nothing = F.array().cast("array<string>")
    left = F.filter("counts", lambda each: ~F.array_contains("gone", each["corpus"]))
    return (
        rows.join(lost.join(gone, on="release", how="full"), on="release", how="inner")
        .withColumns({name: F.coalesce(name, nothing) for name in ("lost", "gone")})
        .withColumns({"warnings": F.array_except("warnings", "lost"), "counts": left})
        .drop("lost", "gone")
    )


_REDACTED: Mapping[str, Callable[[DataFrame, Plan], DataFrame]] = {
    "utterances": _marks,
    "transcripts": _marks,
    "recordings": _marks,
    "quarantine": _lines,
    "import_refusals": _refusals,
    "segmentations": _segments,
    "decisions": _values,
    "runs": _arguments,
    "releases": _sentences,
}
