"""The way of ingest: list the roots, parse the manifests that changed, commit, retire, re-list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from speechlake.corpora import Corpus
from speechlake.erasure.honoured import manifests_left, refuse_erased, with_erased
from speechlake.errors import SpeechlakeError
from speechlake.hold import Hold
from speechlake.ids import make_id
from speechlake.manifests.channels import Heard, as_heard, each_channel, marked_failed, relisted_manifests
from speechlake.manifests.commit import Ingested, commit_parse
from speechlake.manifests.contract import Source
from speechlake.manifests.declared import (
    corpus_row,
    known_corpus,
    refuse_contradictions,
    refuse_unrooted,
    several_speakers,
    upsert_corpus,
)
from speechlake.manifests.gone import gone_versions, is_gone
from speechlake.manifests.options import EACH, PARSER_VERSION, ParseOptions
from speechlake.manifests.references import Roots, normal
from speechlake.manifests.refused import refusal, refuse_forgotten
from speechlake.manifests.relisting import (
    commit_listing,
    counted,
    drop_listing,
    missing_by_root,
    staged_listing,
)
from speechlake.manifests.roots import require_files
from speechlake.manifests.versions import doubtful, newest_manifests, parser_at, same_version
from speechlake.staging import Stage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass
class IngestResult:
    """What an ingest found and wrote."""

    ingested: Ingested = field(default_factory=Ingested)
    manifests: int = 0
    parsed: int = 0
    gone: int = 0
    erased: int = 0
    unrecognised: int = 0
    first_unrecognised: str | None = None
    listed: int = 0
    unlisted: int = 0
    first_unlisted: str | None = None
    relisted: int = 0
    missing: int = 0
    # Name and URI of a root under which none of its recordings is -> how many there should be.
    empty_roots: dict[tuple[str, str], int] = field(default_factory=dict)
    texts_aside: int = 0
    # Known in a corpus that is declared to have one.
    speakers: int = 0
    refusal: SpeechlakeError | None = None


def ingest(hold: Hold, corpus: Corpus, *, again: bool = False) -> IngestResult:
    """Bring the tables to what `corpus`'s manifests and roots say now.

    `again`: manifests that did not change are parsed too, because somebody changed a table by hand.
    """
    lake = hold.lake
    refuse_erased(lake, corpus.name)
    result = IngestResult()
    # First of all: what an earlier run staged may be what the lake knows of this corpus.
    hold.adopt(lambda stage: result.ingested.add(_adopted(hold, stage)))
    known = known_corpus(lake, corpus.name)
    corpus = corpus.with_known(known)
    row = corpus_row(corpus, known)
    refuse_contradictions(lake, row, known)
    roots = Roots.of(
        {r["name"]: r["uri"] for r in row["roots"]}, {r["name"]: r["former_uris"] for r in row["roots"]}
    )
    listing = staged_listing(hold, row)
    found = counted(listing, row)
    result.listed, result.unlisted, result.first_unlisted = found.files, found.problems, found.first
    if known:
        require_files(lake, row, found.seen)
    newest = newest_manifests(lake, corpus.name)
    sources = _sources(corpus, roots, newest, result)
    refuse_unrooted(corpus.name, sources, roots)
    there = _manifest_versions(hold, corpus, roots, sources, newest)
    refuse_forgotten(lake, corpus, there, newest)
    versions = manifests_left(lake, corpus.name, there)
    result.erased = len(there) - len(versions)
    if corpus.channels == EACH:
        relisted = relisted_manifests(lake, corpus.name, listing) if known else ()
        versions = as_heard(versions, newest, relisted)
    changed = [v for v in versions if again or not same_version(newest.get(v["uri"]), v)]
    gone = gone_versions(corpus, roots, newest, {v["uri"] for v in versions}, again=again) if known else []
    result.manifests, result.parsed, result.gone = len(versions), len(changed), len(gone)
    bring = partial(_brought, hold, corpus, row, roots, listing, result)
    committed = bring(changed, gone, newest, again=again) if changed or gone else Ingested()
    newest |= committed.versions
    # Only now is it known what others say and own. Each is read anew once, as it is the newest then.
    settled: set[str] = set()
    while anew := doubtful(lake, corpus.name, versions, newest, but=settled):
        settled |= {version["uri"] for version in anew}
        result.parsed += len(anew)
        committed.add(bring(anew, [], newest))
        newest |= committed.versions
    result.ingested.add(committed)
    if any(manifest.accepted for manifest in newest.values()):
        # What this run accepted, it wrote with this row; what it wrote of a new corpus, with this listing.
        if known and not any(version.accepted for version in committed.versions.values()):
            result.ingested.rows_written += upsert_corpus(hold, row, known)
        if known:
            result.relisted = commit_listing(hold, listing)
        missing = missing_by_root(lake, corpus.name)
        result.missing = sum(n for n, _ in missing.values())
        for root in row["roots"]:
            n, of = missing.get(root["name"], (0, 0))
            if n and n == of:
                result.empty_roots[root["name"], root["uri"]] = n
        if corpus.single_speaker:
            result.speakers = sum(found.speakers for found in several_speakers(lake, [corpus.name]).collect())
    result.refusal = refusal(lake, corpus.name, {v["uri"]: newest.get(v["uri"]) for v in versions})
    drop_listing(hold)
    return result


def _brought(
    hold: Hold,
    corpus: Corpus,
    row: Mapping[str, Any],
    roots: Roots,
    listing: DataFrame,
    result: IngestResult,
    changed: Sequence[Mapping[str, Any]],
    gone: Sequence[Mapping[str, Any]],
    newest: Mapping[str, Any],
    *,
    again: bool = False,
) -> Ingested:
    """Parse the manifests that changed into a stage, and bring the tables to it and to those that are gone."""
    from speechlake.manifests.parse import parsed_lines

    sources = [Source(**v["source"]) for v in changed]
    lines = parsed_lines(hold.lake.spark, sources, roots=roots, options=_options(corpus))
    if corpus.channels == EACH and changed:
        heard = _heard(hold, corpus, row, lines, listing)
        lines = heard.lines
        result.texts_aside += heard.texts_aside
        changed = marked_failed(changed, newest, heard.failed)
    stage = _staged_parse(hold, corpus, row, lines, changed, gone, again=again)
    committed = commit_parse(hold, stage, listing, newest)
    hold.staging.delete(stage)
    return committed


def _adopted(hold: Hold, stage: Stage) -> Ingested:
    """Commit a stage of an earlier run, whose roots may have been others than those of this run."""
    newest = newest_manifests(hold.lake, hold.scope)
    return commit_parse(hold, stage, staged_listing(hold, stage.note["corpus"]), newest)


def _sources(corpus: Corpus, roots: Roots, newest: Mapping[str, Any], result: IngestResult) -> list[Source]:
    """The manifests at the SOURCEs; counts what is called like one and is none, and what nobody can look at."""
    from speechlake.manifests.detect import detect

    def left_out(uri: str) -> None:
        result.unrecognised += 1
        result.first_unrecognised = result.first_unrecognised or uri

    def unrecognised(uri: str) -> str | None:
        known = newest.get(roots.relative(uri))
        if known is not None and not is_gone(known):
            return str(known.format)  # its lines are refused one by one, rather than it being passed over
        left_out(uri)
        return None

    def unreadable(uri: str) -> None:
        if roots.locate(normal(uri)) is None:  # else the listing told it
            result.unlisted += 1
            result.first_unlisted = result.first_unlisted or uri

    return [
        found
        for given in corpus.sources
        for found in detect(given, corpus.format, unrecognised, left_out, unreadable)
    ]


def _manifest_versions(
    hold: Hold, corpus: Corpus, roots: Roots, sources: Sequence[Source], newest: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """Every manifest found, as the part of its `manifests` row that does not depend on its lines."""
    from speechlake.manifests.hashing import hashes

    by_uri = {source.uri: source for source in sources}
    named = make_id(corpus.namespace, *(name for name, _, _ in roots.declared))[:8]
    parser = f"{PARSER_VERSION}/{_options(corpus).digest()}/{named}"
    places = make_id(*(uri for _, uri, _ in roots.declared))[:8]
    return [
        {
            "uri": (uri := roots.relative(row.uri)),
            "sha256": row.sha256,
            "parser_version": parser_at(parser, places, row.sha256, newest.get(uri)),
            "format": row.format,
            "max_reject": corpus.max_reject,
            "source": by_uri[row.uri].as_json(),
            "ranges": [part.asDict() for part in row.ranges],
        }
        for row in hashes(hold.lake.spark, list(by_uri.values())).collect()
    ]


def _options(corpus: Corpus) -> ParseOptions:
    said = {
        name: getattr(corpus, name)
        for name in ("language", "ids", "channels", "suffix", "relative_to", "quoting")
    }
    return ParseOptions.of(corpus.name, columns=corpus.columns, **said)


def _heard(hold: Hold, corpus: Corpus, row: Mapping[str, Any], lines: DataFrame, listing: DataFrame) -> Heard:
    """A row per channel of lines that stand for all of them."""
    places = {root["name"]: root["uri"] for root in row["roots"]}
    folder = hold.staging.scratch("channels", hold.run_id)
    return each_channel(lines, listing, places, folder, source_ids=corpus.ids == "source")


def _staged_parse(
    hold: Hold,
    corpus: Corpus,
    row: Mapping[str, Any],
    lines: DataFrame,
    changed: Sequence[Mapping[str, Any]],
    gone: Sequence[Mapping[str, Any]],
    *,
    again: bool,
) -> Stage:
    """Parse the changed manifests once, into a stage whose note says how to commit it; of gone ones there is only the note."""
    from pyspark.sql import functions as F

    from speechlake.manifests.hashing import line_number

    ddl = (
        "uri string, manifest_uri string, manifest_sha256 string, parser_version string, "
        "ranges array<struct<range_start:bigint,lines_before:bigint>>"
    )
    named = [(v["source"]["uri"], v["uri"], v["sha256"], v["parser_version"], v["ranges"]) for v in changed]
    versions = F.broadcast(hold.lake.spark.createDataFrame(named, ddl))
    number = line_number(F.col("ranges"), F.col("range_start"), F.col("line_in_range"))
    names = {"speaker_id": "speaker", "speaker_said": "speaker_said"}
    speakers = {
        column: F.when(F.col(name).isNotNull(), F.concat(F.lit(f"{corpus.namespace}:"), name))
        for column, name in names.items()
    }
    staged = (
        lines.join(versions, on="uri", how="inner").withColumn("line_number", number).withColumns(speakers)
    )
    manifests = [
        {k: v for k, v in version.items() if k not in ("source", "ranges")} for version in (*changed, *gone)
    ]
    note = {"run_id": hold.run_id, "corpus": row, "manifests": manifests, "again": again}
    digest = make_id(
        *sorted(f"{m['uri']}@{m['sha256']}@{m['parser_version']}@{m['max_reject']}" for m in manifests)
    )[:16]
    whole = staged.drop("ranges", "uri", "range_start", "line_in_range")
    told = with_erased(hold.lake, corpus.name, corpus.namespace, whole)
    return hold.staging.write(digest, hold.run_id, told, note)
