"""From a staged parse to tables: classify, judge each manifest, then commit table by table.

Everything here may run again on the same stage after a kill at any point: new rows are told by their
keys, changed ones by their values, and a manifest version whose row is there has landed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from speechlake.contracts import rows_of
from speechlake.hold import Hold
from speechlake.manifests import table_rows as rows
from speechlake.manifests.classify import Verdict, first_of_several, verdicts, what_it_says, with_class
from speechlake.manifests.declared import known_corpus, upsert_corpus
from speechlake.manifests.gone import is_gone
from speechlake.manifests.listed import is_listed, owners, with_cuts_kept
from speechlake.manifests.options import EACH
from speechlake.manifests.retire import (
    retired_recordings,
    retired_transcripts,
    retired_utterances,
    said_by_manifest,
    texts_of_retired,
)
from speechlake.manifests.versions import same_version
from speechlake.schemas import MANIFESTS, TRANSCRIPTS, UTTERANCES
from speechlake.staging import Stage

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake

# What a new corpus has no row of.
FRESH = ("recordings", "utterances", "transcripts", "repeats")


@dataclass
class Ingested:
    """Counts of one commit; `versions` are the rows of `manifests` that it wrote, by uri."""

    lines: int = 0
    utterances: int = 0
    repeats: int = 0
    quarantined: int = 0
    speaker_placeholders: int = 0
    erased: int = 0
    rows_written: int = 0
    versions: dict[str, Any] = field(default_factory=dict)

    def add(self, other: Ingested) -> None:
        """Sum up."""
        self.lines += other.lines
        self.utterances += other.utterances
        self.repeats += other.repeats
        self.quarantined += other.quarantined
        self.speaker_placeholders += other.speaker_placeholders
        self.erased += other.erased
        self.rows_written += other.rows_written
        self.versions |= other.versions


def commit_parse(hold: Hold, stage: Stage, listing: DataFrame, newest: Mapping[str, Any]) -> Ingested:
    """Commit a staged parse of one corpus; the note of the stage names the manifest versions.

    `newest` is what `newest_manifests` says now. Versions that have landed are passed over, unless the note says
    `again`: then the tables are brought to what they say once more, because somebody changed them by hand.
    """
    lake, corpus = hold.lake, hold.scope
    landed = {m["uri"] for m in stage.note["manifests"] if same_version(newest.get(m["uri"]), m)}
    is_again = bool(stage.note.get("again"))
    pending = {m["uri"]: m for m in stage.note["manifests"] if is_again or m["uri"] not in landed}
    if not pending:
        return Ingested()
    parsed = hold.staging.read(stage)
    if len(pending) < len(stage.note["manifests"]):
        parsed = parsed.where(parsed.manifest_uri.isin(list(pending)))
    several = stage.note["corpus"]["channels"] == EACH
    judged, classified, unpersist = _judge(lake, parsed, pending, newest, corpus, landed, several=several)
    good = [v for v in judged if _accepts(pending, v)]
    generations = {
        uri: (newest[uri].generation if uri in newest else 0) + (uri not in landed) for uri in pending
    }
    written = 0
    if good:
        known = known_corpus(lake, corpus)
        # Asked of all that is appended without a look: rows of some of these tables may have been lost by hand.
        is_new = known is None and all(lake.read(name).where(_here(corpus)).isEmpty() for name in FRESH)
        written += upsert_corpus(hold, stage.note["corpus"], known, stage.digest)
        written += _commit_accepted(hold, stage, classified, good, generations, listing, is_new=is_new)
    written += hold.append_missing(
        "quarantine",
        rows.quarantine_rows(classified, corpus, several=several),
        within=_here(corpus),
        digest=stage.digest,
        expected=None if several else sum(v.quarantined for v in judged),
    )
    versions = _manifest_rows(hold, stage, judged, pending, generations)
    written += _commit_manifests(hold, stage, [v for v in versions if v.uri not in landed])
    unpersist()
    return Ingested(
        lines=sum(v.lines for v in judged),
        utterances=sum(v.rows for v in good),
        repeats=sum(v.repeats for v in good),
        quarantined=sum(v.quarantined for v in judged),
        speaker_placeholders=sum(v.speaker_placeholders for v in good),
        erased=sum(v.erased for v in judged),
        rows_written=written,
        versions={version.uri: version for version in versions},
    )


def _accepts(pending: Mapping[str, Any], verdict: Verdict) -> bool:
    """True for an acceptable version, and for one that says the manifest is gone."""
    manifest = pending[verdict.uri]
    return is_gone(manifest) or verdict.acceptable(manifest["max_reject"])


def _here(corpus: str) -> Column:
    """The rows of `corpus`; a literal, so that partitions are pruned."""
    from pyspark.sql import functions as F

    return F.col("corpus") == corpus


def _judge(
    lake: Lake,
    parsed: DataFrame,
    pending: Mapping[str, Any],
    newest: Mapping[str, Any],
    corpus: str,
    landed: Set[str],
    *,
    several: bool,
) -> tuple[list[Verdict], DataFrame, Callable[[], object]]:
    """Verdicts of all pending manifests, their classified lines, and how to let go of what was kept for them.

    A line must not repeat one of a manifest that is refused, so refused manifests are set aside and the
    rest is judged again, until no more are refused (at most once per manifest, in practice twice). Versions
    in `landed` keep what they own.
    """
    from pyspark.sql import functions as F

    refused: dict[str, Verdict] = {}
    aside: list[DataFrame] = []
    while True:
        good = [uri for uri in pending if uri not in refused]
        others = newest.keys() - (pending.keys() - refused.keys())
        # Few are refused; those that are not may be a hundred thousand.
        lines = parsed.where(~parsed.manifest_uri.isin(list(refused))) if refused else parsed
        before = owners(lake, corpus, landed) if landed & pending.keys() else None
        said_twice = first_of_several(lines, before).persist()
        # Counted, so that Spark knows how small it is, and sends it to the lines rather than sorting them.
        said_twice.count()
        classified = with_class(lines, said_twice, _owned_by_others(lake, corpus, good) if others else None)
        judged = verdicts(classified, good, several=several)
        worse = {v.uri: v for v in judged if not _accepts(pending, v)}
        if not worse:
            break
        refused |= worse
        # Of refused manifests the lines that were refused stand in quarantine, and nothing else.
        aside.append(
            classified.where(F.col("manifest_uri").isin(list(worse)) & (F.col("class") == "refused"))
        )
        said_twice.unpersist()
    for unkept in aside:
        classified = classified.unionByName(unkept)
    return [*judged, *refused.values()], classified, said_twice.unpersist


def _owned_by_others(lake: Lake, corpus: str, uris: Sequence[str]) -> DataFrame | None:
    """(utterance_id, owner, says) of utterances that other manifests list and own; None before the first."""
    from pyspark.sql import functions as F

    if not lake.exists("utterances"):
        return None
    # A frame, and no list in the plan: a tree has a hundred thousand manifests.
    judged = F.broadcast(lake.spark.createDataFrame([(uri,) for uri in uris], "manifest_uri string"))
    listed = lake.read("utterances").where(_here(corpus) & is_listed())
    owned = listed.join(judged, on="manifest_uri", how="left_anti")
    texts = (
        lake.read("transcripts")
        .where(_here(corpus) & F.col("retired_in").isNull() & said_by_manifest())
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


def _commit_accepted(
    hold: Hold,
    stage: Stage,
    classified: DataFrame,
    accepted: Sequence[Verdict],
    generations: Mapping[str, int],
    listing: DataFrame,
    *,
    is_new: bool,
) -> int:
    """Recordings, utterances, transcripts and repeats of the accepted manifests, in this order."""
    from pyspark.sql import functions as F

    lake, corpus = hold.lake, hold.scope
    uris = [v.uri for v in accepted]
    others = list(generations.keys() - set(uris))
    lines = classified.where(~F.col("manifest_uri").isin(others)) if others else classified
    winners = lines.where("class = 'utterance'")
    utterances, transcripts = rows.utterance_rows(winners, corpus), rows.transcript_rows(winners, corpus)
    counted = sum(v.rows for v in accepted)

    def append(name: str, frame: DataFrame, expected: int | None = None) -> int:
        return hold.append_missing(
            name, frame, within=_here(corpus), digest=stage.digest, fresh=is_new, expected=expected
        )

    written = append("recordings", rows.recording_rows(winners, listing, corpus), counted)
    labelled = [(uri, f"{uri}#{generations[uri]}") for uri in uris]
    labels = lake.spark.createDataFrame(labelled, "manifest_uri string, label string")
    if not is_new:
        # Read before writing: what these manifests said until now.
        written += _merge_changed(hold, stage, utterances, transcripts, lines, labels)
    written += append("utterances", utterances, counted)
    written += append("transcripts", transcripts, None if counted else 0)
    if not is_new:
        retired = retired_recordings(lake, corpus, labels)
        written += hold.merge("recordings", retired, corpus=corpus, digest=stage.digest)
    # Where a line is several rows, one of an utterance's line may be a repeat.
    several = stage.note["corpus"]["channels"] == EACH
    repeats = None if several else sum(v.repeats for v in accepted)
    return written + append("repeats", rows.repeat_rows(lines, corpus), repeats)


def _merge_changed(
    hold: Hold,
    stage: Stage,
    utterances: DataFrame,
    transcripts: DataFrame,
    lines: DataFrame,
    labels: DataFrame,
) -> int:
    """Update what a changed manifest says differently, and retire what no manifest lists any more."""
    lake, corpus = hold.lake, hold.scope
    known = lake.read("utterances").where(f"corpus = '{corpus}'")
    if lake.exists("segmentations"):
        utterances = with_cuts_kept(utterances, known)
    changed = rows.changed_rows(known, utterances, UTTERANCES.column_names)
    gone = retired_utterances(lake, corpus, lines, labels)
    said = rows.changed_rows(
        lake.read("transcripts").where(f"corpus = '{corpus}'"), transcripts, TRANSCRIPTS.column_names
    )
    unsaid = retired_transcripts(lake, corpus, lines, transcripts, labels)
    if stage.note.get("again"):
        unsaid = unsaid.unionByName(texts_of_retired(lake, corpus, transcripts))
    # Transcripts first: which were said is told through the utterances' owners, not yet moved.
    written = hold.merge("transcripts", said.unionByName(unsaid), corpus=corpus, digest=stage.digest)
    return written + hold.merge("utterances", changed.unionByName(gone), corpus=corpus, digest=stage.digest)


def _manifest_rows(
    hold: Hold,
    stage: Stage,
    judged: Sequence[Verdict],
    pending: Mapping[str, Any],
    generations: Mapping[str, int],
) -> list[Any]:
    """The rows of `manifests` of the judged versions."""
    from pyspark.sql import Row

    def row(v: Verdict) -> Any:
        said = pending[v.uri]
        counts = {name: getattr(v, name) for name in ("lines", "utterances", "repeats", "quarantined")}
        rest = {"corpus": hold.scope, "generation": generations[v.uri], "run_id": stage.note["run_id"]}
        every = {**said, **counts, **rest, "accepted": _accepts(pending, v)}
        return Row(**{name: every[name] for name in MANIFESTS.column_names})

    return [row(v) for v in judged]


def _commit_manifests(hold: Hold, stage: Stage, versions: Sequence[Any]) -> int:
    frame = rows_of(hold.lake.spark, MANIFESTS, versions)
    return hold.append_missing("manifests", frame, digest=stage.digest, fresh=True, expected=len(versions))
