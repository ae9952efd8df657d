"""The way of one utterance through all tables: what explain prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from speechlake.cli import command
from speechlake.errors import UsageError
from speechlake.schemas import TABLES

if TYPE_CHECKING:
    from speechlake.lake import Lake

Section = tuple[str, list[str], list[list[Any]]]
LINKS = ("speaker_id", "session_id", "recording_id")


def find(lake: Lake, key: str) -> Any:
    """The row of `utterances` of an id, or of an unambiguous beginning of one of at least 6 digits."""
    from pyspark.sql import functions as F

    if len(key) < 6 or not key.isalnum():
        raise UsageError(
            f"{key!r} is not an utterance id", hint="Give at least the first 6 of its 32 hex digits."
        )
    rows = lake.read("utterances").where(F.col("utterance_id").startswith(key)).limit(2).collect()
    if len(rows) != 1:
        query = command("sql", "--lake", lake.root, "select utterance_id, path, text from utterances_now")
        raise UsageError(
            f"{'no' if not rows else 'more than one'} utterance begins with {key!r} in {lake.root}",
            hint="Give more digits." if rows else f"Ids are found by {query}",
        )
    return rows[0]


def sections(lake: Lake, utterance: Any) -> Iterator[Section]:
    """Title, columns and rows of everything that is known of `utterance`, in the order of the flow."""
    yield _fields("Utterance", utterance)
    yield from _audio(lake, utterance)
    yield _segmentation(lake, utterance)
    yield _rows(
        lake, "Transcripts", "transcripts", utterance, ("source", "kind", "language", "text", "retired_in")
    )
    for name in _extractors():
        yield _signals(lake, name, utterance)
    values = ("name", "number", "flag", "word", "content_sha256", "fingerprint", "run_id")
    yield _rows(lake, "Imported values", "signals_imported", utterance, values)
    yield _rows(
        lake, "Attempts that failed", "attempts", utterance, ("fingerprint", "n", "code", "detail", "run_id")
    )
    columns = (
        "hypothesis_source",
        "reference_source",
        "normaliser",
        "unit",
        "wer",
        "cer",
        "word_hits",
        "word_substitutions",
        "word_deletions",
        "word_insertions",
    )
    yield _rows(lake, "Scores", "scores", utterance, columns)
    yield _links(lake, utterance)
    yield _shared_audio(lake, utterance)
    yield from _releases(lake, utterance)


def _extractors() -> tuple[str, ...]:
    from speechlake.signals import EXTRACTORS

    return tuple(EXTRACTORS)


def _fields(title: str, row: Any) -> Section:
    return (
        title,
        ["column", "value"],
        [[name, value] for name, value in row.asDict().items() if value not in (None, {}, [])],
    )


def _audio(lake: Lake, utterance: Any) -> Iterator[Section]:
    from pyspark.sql import functions as F

    here = (F.col("corpus") == utterance.corpus) & (F.col("recording_id") == utterance.recording_id)
    for row in lake.read("recordings").where(here).collect():
        yield _fields("Recording", row)
    rows = lake.read("content_hashes").where(here).orderBy("listing_key").collect()
    yield (
        "Content",
        ["listing_key", "content_sha256", "size_bytes"],
        [[r.listing_key, r.content_sha256, r.size_bytes] for r in rows],
    )


def _segmentation(lake: Lake, utterance: Any) -> Section:
    """What the segmenter heard in this channel of the recording, whole or cut."""
    from pyspark.sql import functions as F

    columns = ["utterance_id", "fingerprint", "duration_s", "speech_s", "utterances", "error", "run_id"]
    here = (F.col("corpus") == utterance.corpus) & (F.col("recording_id") == utterance.recording_id)
    rows = lake.read("segmentations").where(here & (F.col("channel") == utterance.channel))
    found = rows.orderBy("utterance_id", "content_sha256", "fingerprint").select(*columns).collect()
    return "Segmentation", columns, [list(row) for row in found]


def _rows(lake: Lake, title: str, table: str, utterance: Any, columns: tuple[str, ...]) -> Section:
    from pyspark.sql import functions as F

    here = (F.col("corpus") == utterance.corpus) & (F.col("utterance_id") == utterance.utterance_id)
    rows = lake.read(table).where(here).orderBy(*TABLES[table].key).collect()
    return title, list(columns), [[row[name] for name in columns] for row in rows]


def _signals(lake: Lake, name: str, utterance: Any) -> Section:
    """Every measurement by one extractor, with model and run, as one line per value."""
    from pyspark.sql import functions as F

    here = (F.col("corpus") == utterance.corpus) & (F.col("utterance_id") == utterance.utterance_id)
    models = {row.fingerprint: row for row in lake.few("extractors") if row.name == name}
    lines: list[list[Any]] = []
    for row in (
        lake.read(f"signals_{name}")
        .where(here)
        .orderBy("fingerprint", "content_sha256", "inputs_hash")
        .collect()
    ):
        model = models[row.fingerprint].model_id if row.fingerprint in models else None
        lines.append(
            [
                "measured by",
                f"{row.fingerprint} ({model or 'no model'}), run {row.run_id}, content {row.content_sha256[:16]}",
            ]
        )
        own = {
            k: v
            for k, v in row.asDict(recursive=True).items()
            if k not in ("corpus", "utterance_id", "content_sha256", "fingerprint", "inputs_hash", "run_id")
        }
        lines += [[key, value] for key, value in own.items() if value is not None]
    return f"Signal {name}", ["column", "value"], lines


def _links(lake: Lake, utterance: Any) -> Section:
    """What ties it to others: how many utterances share each link."""
    from pyspark.sql import functions as F

    lines: list[list[Any]] = []
    for name in LINKS:
        if utterance[name] is not None:
            shared = (
                lake.read("utterances")
                .where((F.col(name) == utterance[name]) & F.col("retired_in").isNull())
                .count()
            )
            lines.append([name, utterance[name], shared])
    duplicates = lake.read("duplicates")
    for row in duplicates.where(
        (F.col("corpus") == utterance.corpus) & (F.col("utterance_id") == utterance.utterance_id)
    ).collect():
        lines.append(
            [
                f"{row.kind} duplicates",
                row.cluster_id,
                duplicates.where(F.col("cluster_id") == row.cluster_id).count(),
            ]
        )
        overlap = duplicates.where(F.col("overlap_id") == row.overlap_id).count()
        lines.append(["shares audio", row.overlap_id, overlap])
    return "Links", ["link", "value", "utterances"], lines


def _shared_audio(lake: Lake, utterance: Any) -> Section:
    """Each utterance that it was found to share audio with, and how much; equal samples are no pairs."""
    from pyspark.sql import functions as F

    same = ("kind", "bit_error_rate", "shared_s")
    ends = ("utterance_id", "other_id")
    pairs = lake.read("audio_pairs")
    mine = [
        pairs.where(F.col(one) == utterance.utterance_id).select(F.col(other).alias("other"), *same)
        for one, other in (ends, ends[::-1])
    ]
    rows = mine[0].unionByName(mine[1]).distinct().orderBy("other", *same).collect()
    return "Shared audio", ["other", *same], [list(row) for row in rows]


def _releases(lake: Lake, utterance: Any) -> Iterator[Section]:
    """Side or exclusion in every release, then every rule of the last one as it answers today."""
    from pyspark.sql import functions as F

    releases = lake.read("releases").orderBy("published_at", "release").collect()
    # Tables are divided by build: those that were never published are not looked at.
    builds = [release.build_id for release in releases]
    mine = (F.col("utterance_id") == utterance.utterance_id) & F.col("build_id").isin(builds)
    sides = {row.build_id: row.split for row in lake.read("splits").where(mine).collect()}
    excluded = {row.build_id: row for row in lake.read("decisions").where(mine).collect()}
    lines: list[list[Any]] = []
    for release in releases:
        if release.build_id in sides:
            lines.append([release.release, sides[release.build_id], None, None, None])
        elif release.build_id in excluded:
            row = excluded[release.build_id]
            lines.append([release.release, "excluded", ", ".join(row.failed), row.value, row.threshold])
    yield "Releases", ["release", "decision", "reasons", "value", "asked"], lines
    if releases:
        yield _verdicts(lake, utterance, releases[-1])


def _verdicts(lake: Lake, utterance: Any, release: Any) -> Section:
    from pyspark.sql import functions as F

    from speechlake.config import loads
    from speechlake.splits.candidates import candidates, english_only
    from speechlake.splits.pins import with_numbers
    from speechlake.splits.policy import Policy
    from speechlake.splits.rules import with_verdicts

    title = f"Rules of {release.release}, as they answer today"
    columns = ["rule", "verdict", "reason", "value", "asked", "counts for"]
    try:
        written = loads(release.policy, f"release {release.release}", Policy)
        rows = candidates(lake, written)
    except UsageError as error:
        return title, columns, [[None, "not understood", error.message, None, None, None]]
    policy = with_numbers(written, release.pinned)
    mine = (F.col("corpus") == utterance.corpus) & (F.col("utterance_id") == utterance.utterance_id)
    judged = with_verdicts(rows.where(mine), policy, english_only(lake)).select("verdicts").collect()
    return (
        title,
        columns,
        [[v.rule, v.verdict, v.reason, v.value, v.threshold, " ".join(v.sides)] for v in judged[0].verdicts],
    )
