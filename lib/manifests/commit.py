"""From a staged parse to tables: classify, judge each manifest, then commit table by table.

Everything here may run again on the same stage after a kill at any point: new rows are told by their
keys, changed ones by their values, and a manifest version whose row is there has landed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from speechlake.hold import Hold
from speechlake.manifests import table_rows as rows
from speechlake.manifests.classify import Verdict, verdicts, what_it_says, with_class
from speechlake.manifests.retire import retired_recordings, retired_transcripts, retired_utterances
from speechlake.schemas import MANIFESTS, TRANSCRIPTS, UTTERANCES
from speechlake.staging import Stage

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake


@dataclass
class Ingested:
    """Counts of one commit; `refused` names the manifests that were not accepted, with their counts."""

    lines: int = 0
    utterances: int = 0
    repeats: int = 0
    quarantined: int = 0
    rows_written: int = 0
    refused: list[Verdict] = field(default_factory=list)

    def add(self, other: Ingested) -> None:
        """Sum up."""
        self.lines += other.lines
        self.utterances += other.utterances
        self.repeats += other.repeats
        self.quarantined += other.quarantined
        self.rows_written += other.rows_written
        self.refused += other.refused


def commit_parse(hold: Hold, stage: Stage, listing: DataFrame) -> Ingested:
    """Commit a staged parse of one corpus; the note of the stage names the manifest versions."""
    lake, corpus = hold.lake, hold.scope
    newest = newest_manifests(lake, corpus)
    pending = {m["uri"]: m for m in stage.note["manifests"] if not _landed(newest.get(m["uri"]), m)}
    if not pending:
        return Ingested()
    parsed = hold.staging.read(stage)
    judged, classified = _judge(
        lake, parsed.where(parsed.manifest_uri.isin(list(pending))), pending, newest, corpus
    )
    accepted = [v.uri for v in judged if v.acceptable(pending[v.uri]["max_reject"])]
    generations = {uri: (newest[uri].generation if uri in newest else 0) + 1 for uri in pending}
    written = 0
    if accepted:
        written += _commit_corpus(hold, stage)
        written += _commit_accepted(hold, stage, classified, accepted, generations, listing)
    written += hold.append_missing(
        "quarantine", rows.quarantine_rows(classified, corpus), within=_here(corpus), digest=stage.digest
    )
    written += _commit_manifests(hold, stage, judged, pending, generations)
    good = [v for v in judged if v.uri in accepted]
    return Ingested(
        lines=sum(v.lines for v in judged),
        utterances=sum(v.utterances for v in good),
        repeats=sum(v.repeats for v in good),
        quarantined=sum(v.quarantined for v in judged),
        rows_written=written,
        refused=[v for v in judged if v.uri not in accepted],
    )


def newest_manifests(lake: Lake, corpus: str) -> dict[str, Any]:
    """The newest generation of each manifest of `corpus`, by uri: one row a manifest, on the driver."""
    from pyspark.sql import functions as F

    latest = lake.read("manifests").where(F.col("corpus") == corpus)
    columns = [name for name in MANIFESTS.column_names if name != "generation"]
    best = latest.groupBy("uri").agg(F.max(F.struct("generation", *columns)).alias("m")).select("m.*")
    return {row.uri: row for row in best.collect()}


def same_version(known: Any, manifest: Mapping[str, Any]) -> bool:
    """True when `known`, a row of `manifests`, is this very version under this parser and limit."""
    return known is not None and all(
        known[name] == manifest[name] for name in ("sha256", "parser_version", "max_reject")
    )


_landed = same_version


def _here(corpus: str) -> Column:
    """The rows of `corpus`; a literal, so that partitions are pruned."""
    from pyspark.sql import functions as F

    return F.col("corpus") == corpus


def _judge(
    lake: Lake, parsed: DataFrame, pending: Mapping[str, Any], newest: Mapping[str, Any], corpus: str
) -> tuple[list[Verdict], DataFrame]:
    """Verdicts of all pending manifests, and their classified lines.

    A line must not repeat one of a manifest that is refused, so refused manifests are set aside and the
    rest is judged again, until no more are refused (at most once per manifest, in practice twice).
    """
    refused: dict[str, Verdict] = {}
    while True:
        good = [uri for uri in pending if uri not in refused]
        classified = with_class(
            parsed.where(parsed.manifest_uri.isin(good)), _owned_by_others(lake, corpus, good)
        )
        judged = verdicts(classified, good)
        worse = {v.uri: v for v in judged if not v.acceptable(pending[v.uri]["max_reject"])}
        refused |= worse
        if not worse:
            # Of refused manifests only the lines that were refused by the parser or the rules stand in quarantine.
            aside = with_class(parsed.where(parsed.manifest_uri.isin(list(refused))), None)
            everything = classified.unionByName(aside.where("class = 'refused'")) if refused else classified
            return [*judged, *refused.values()], everything


def _owned_by_others(lake: Lake, corpus: str, uris: Sequence[str]) -> DataFrame | None:
    """(utterance_id, owner, says) of current utterances that other manifests own; None when there are none."""
    from pyspark.sql import functions as F

    if not lake.exists("utterances"):
        return None
    mine = (F.col("corpus") == corpus) & F.col("retired_in").isNull()
    owned = lake.read("utterances").where(mine & ~F.col("manifest_uri").isin(list(uris)))
    if owned.isEmpty():
        return None
    texts = (
        lake.read("transcripts")
        .where(mine)
        .groupBy("utterance_id")
        .agg(F.collect_list(F.struct("source", "text_sha256")).alias("texts"))
    )
    said = owned.join(texts, on="utterance_id", how="left").withColumn(
        "texts", F.coalesce("texts", F.array().cast("array<struct<source:string,text_sha256:string>>"))
    )
    return said.select(
        "utterance_id",
        F.concat_ws("@", "manifest_uri", "byte_offset").alias("owner"),
        what_it_says().alias("says"),
    )


def _commit_corpus(hold: Hold, stage: Stage) -> int:
    """The corpus's own row: appended, or updated where what is declared of it changed."""
    return upsert_corpus(hold, stage.note["corpus"], stage.digest)


def upsert_corpus(hold: Hold, row: Mapping[str, Any], digest: str = "") -> int:
    """Write the row of a corpus, when it is new or differs."""
    from speechlake.contracts import struct_of
    from speechlake.schemas import CORPORA

    spark = hold.lake.spark
    frame = spark.createDataFrame([tuple(row[name] for name in CORPORA.column_names)], struct_of(CORPORA))
    known = hold.lake.read("corpora").where(_here(hold.scope))
    if known.isEmpty():
        return hold.append_missing("corpora", frame, digest=digest)
    if frame.exceptAll(known).isEmpty():
        return 0
    return hold.merge("corpora", frame, corpus=hold.scope, digest=digest)


def _commit_accepted(
    hold: Hold,
    stage: Stage,
    classified: DataFrame,
    accepted: Sequence[str],
    generations: Mapping[str, int],
    listing: DataFrame,
) -> int:
    """Recordings, utterances, transcripts and repeats of the accepted manifests, in this order."""
    from pyspark.sql import functions as F

    lake, corpus = hold.lake, hold.scope
    lines = classified.where(F.col("manifest_uri").isin(list(accepted)))
    winners = lines.where("class = 'utterance'")
    here: Column = F.col("corpus") == corpus
    first_time = not lake.exists("utterances") or lake.read("utterances").where(here).isEmpty()
    written = hold.append_missing(
        "recordings", rows.recording_rows(winners, listing, corpus), within=here, digest=stage.digest
    )
    utterances, transcripts = rows.utterance_rows(winners, corpus), rows.transcript_rows(winners, corpus)
    if not first_time:
        labels = {uri: f"{uri}#{generations[uri]}" for uri in accepted}
        # Read before writing: what these manifests said until now.
        written += _merge_changed(hold, stage, utterances, transcripts, lines, labels)
    written += hold.append_missing("utterances", utterances, within=here, digest=stage.digest)
    written += hold.append_missing("transcripts", transcripts, within=here, digest=stage.digest)
    if not first_time:
        written += hold.merge(
            "recordings",
            retired_recordings(lake, corpus, "; ".join(sorted(labels.values()))),
            corpus=corpus,
            digest=stage.digest,
        )
    return written + hold.append_missing(
        "repeats", rows.repeat_rows(lines, corpus), within=here, digest=stage.digest
    )


def _merge_changed(
    hold: Hold,
    stage: Stage,
    utterances: DataFrame,
    transcripts: DataFrame,
    lines: DataFrame,
    labels: Mapping[str, str],
) -> int:
    """Update what a changed manifest says differently, and retire what no manifest lists any more."""
    lake, corpus = hold.lake, hold.scope
    changed = changed_rows(
        lake.read("utterances").where(f"corpus = '{corpus}'"), utterances, UTTERANCES.column_names
    )
    gone = retired_utterances(lake, corpus, lines, labels)
    said = changed_rows(
        lake.read("transcripts").where(f"corpus = '{corpus}'"), transcripts, TRANSCRIPTS.column_names
    )
    unsaid = retired_transcripts(lake, corpus, lines, transcripts, labels)
    # Transcripts first: which were said is told through the utterances' owners, not yet moved.
    written = hold.merge("transcripts", said.unionByName(unsaid), corpus=corpus, digest=stage.digest)
    return written + hold.merge("utterances", changed.unionByName(gone), corpus=corpus, digest=stage.digest)


def changed_rows(known: DataFrame, said: DataFrame, columns: Sequence[str]) -> DataFrame:
    """Rows of `said` whose key `known` has with other values. Maps are compared as sorted entries."""
    from pyspark.sql import functions as F

    key = ["utterance_id", *(name for name in ("source", "text_sha256") if name in columns)]

    def values(prefix: str) -> Column:
        flat = [
            F.to_json(F.array_sort(F.map_entries(f"{prefix}.{name}")))
            if name == "extras"
            else F.col(f"{prefix}.{name}")
            for name in columns
            if name not in key
        ]
        return F.struct(*[column.alias(f"c{i}") for i, column in enumerate(flat)])

    both = said.alias("s").join(known.alias("k"), on=key, how="inner")
    return both.where(~values("s").eqNullSafe(values("k"))).select(
        *[name if name in key else F.col(f"s.{name}") for name in columns]
    )


def _commit_manifests(
    hold: Hold,
    stage: Stage,
    judged: Sequence[Verdict],
    pending: Mapping[str, Any],
    generations: Mapping[str, int],
) -> int:
    from speechlake.contracts import struct_of

    def row(v: Verdict) -> tuple[Any, ...]:
        said = pending[v.uri]
        counts = {name: getattr(v, name) for name in ("lines", "utterances", "repeats", "quarantined")}
        rest = {"corpus": hold.scope, "generation": generations[v.uri], "run_id": stage.note["run_id"]}
        every = {**said, **counts, **rest, "accepted": v.acceptable(said["max_reject"])}
        return tuple(every[name] for name in MANIFESTS.column_names)

    frame = hold.lake.spark.createDataFrame([row(v) for v in judged], struct_of(MANIFESTS))
    return hold.append_missing("manifests", frame, within=_here(hold.scope), digest=stage.digest)
