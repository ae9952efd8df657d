"""The page of a release: what it keeps and why, to be read, looked at and listened to.

Computed from the tables as they are: what a build decided never changes, what is measured and played is that
of now. The same tables give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import yaml

from speechlake import __version__, questions
from speechlake.config import loads
from speechlake.feedback.precision import has_reviews, reviews, rule_precision
from speechlake.manifests.roots import all_roots
from speechlake.page import release_charts as charts
from speechlake.page.release_examples import examples_of, texts_of
from speechlake.page.release_rows import corpora, funnel, rules
from speechlake.page.render import rendered
from speechlake.questions import distributions, groups, overview
from speechlake.questions.decided import asked_of, decided, policy_of
from speechlake.questions.margins import margins
from speechlake.signals.catalogue import fingerprints
from speechlake.splits.candidates import profile_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.lake import Lake
    from speechlake.progress import Progress
    from speechlake.splits.policy import Policy

Rows = list[dict[str, Any]]
# More corpora and languages than this are summed in the last line of their table.
CORPORA_SHOWN = 200


def release_page(
    lake: Lake,
    release: Mapping[str, Any],
    *,
    examples: int,
    price: float | None = None,
    progress: Progress,
) -> str:
    """HTML of a row of `releases`, with up to `examples` clips on each side of each rule to listen to."""
    policy = policy_of(lake, release)
    progress.say(f"page of release {release['release']}: reading what was decided")
    rows = decided(lake, str(release["build_id"]), policy).persist()
    try:
        said = _of_rows(lake, release, policy, rows, examples, progress)
    finally:
        rows.unpersist()
    return rendered(
        "report.html",
        **said,
        **_of_tables(lake, release, price),
        release=release,
        policy_name=policy.name if policy else None,
        understood=policy is not None,
        changed=questions.tables_changed_since(lake, release),
        asked=_asked(policy),
        lake=lake.root,
        version=__version__,
        bins=groups.SPEAKER_BINS,
    )


def _of_rows(
    lake: Lake,
    release: Mapping[str, Any],
    policy: Policy | None,
    rows: DataFrame,
    examples: int,
    progress: Progress,
) -> dict[str, Any]:
    """Everything that is computed from the decided rows."""
    models = models_of(lake)
    found = {name: collected(frame) for name, frame in _frames(rows).items()}
    nearest = collected(margins(rows, examples)) if examples else []
    recordings = [row["recording_id"] for row in found["recordings"]]
    ids = {example["utterance_id"] for row in nearest for example in row["examples"]}
    ids |= {row["utterance_id"] for row in found["clusters"]}
    texts = texts_of(lake, policy, ids)
    progress.say(f"page of release {release['release']}: {len(ids)} clips to show")
    return {
        "corpora": corpora(found, models, CORPORA_SHOWN),
        "funnel": funnel(found["funnel"], [row["rule"] for row in release["rules"]]),
        "rules": rules(release["rules"], found["not_applicable"], _reviewed(lake, release, policy)),
        "charts": charts.charts(found, policy),
        "examples": examples_of(
            nearest, [r["rule"] for r in release["rules"]], texts, all_roots(lake), models
        ),
        "clusters": [
            {**row, "text": texts.get(row["utterance_id"], {}).get("text")} for row in found["clusters"]
        ],
        "recordings": _placed(lake, recordings, found["recordings"]),
        "superfluous": found["superfluous"][0],
        **{name: found[name] for name in ("duplicates", "speakers", "speaker_sizes")},
    }


def _frames(rows: DataFrame) -> dict[str, DataFrame]:
    return {
        "hours": overview.hours_and_errors(rows),
        "reasons": overview.first_reasons(rows),
        "voices": overview.voices(rows),
        "rates": overview.native_rates(rows),
        "bandwidths": overview.bandwidths(rows),
        "funnel": distributions.funnel(rows),
        "durations": distributions.durations(rows),
        "errors": distributions.error_rates(rows),
        "not_applicable": distributions.not_applicable(rows),
        "duplicates": groups.duplicates_by_kind(rows),
        "superfluous": groups.superfluous(rows),
        "clusters": groups.largest_clusters(rows),
        "speakers": groups.top_speakers(rows),
        "recordings": groups.top_recordings(rows, 5),
        "speaker_sizes": groups.speaker_sizes(rows),
    }


def _of_tables(lake: Lake, release: Mapping[str, Any], price: float | None) -> dict[str, Any]:
    """Everything that is read from small tables."""
    build = str(release["build_id"])
    policy = asked_of(policy_of(lake, release))
    used = fingerprints(profile_of(lake, policy))
    measured = [row for row in collected(lake.read("extractors")) if row["fingerprint"] in used]
    quarantine = collected(questions.quarantine_examples(lake))
    for row in quarantine:
        row["line"] = bytes(row["raw_line"] or b"").decode("utf-8", "backslashreplace")
    return {
        "sides": collected(questions.by_split(questions.splits_of(lake, build))),
        "lines": collected(questions.lines_read(lake)),
        "quarantine": quarantine,
        "releases": collected(questions.published(lake)),
        "measured_by": sorted(measured, key=lambda row: (row["name"], row["fingerprint"])),
        "cost": collected(questions.extraction_cost(lake, price))[0],
        "price": price,
        "prices": [] if price is None else collected(questions.price_by_release(lake, price)),
    }


def _reviewed(lake: Lake, release: Mapping[str, Any], policy: Policy | None) -> Rows:
    """How often each rule is right with the limits of this policy, by the reviews that were imported so far.

    Answers that do not tell their limits come first, so that others count where there are some.
    """
    if policy is None or not has_reviews(lake):
        return []
    # As it was written: answers name a quantile, and not the number that it was pinned to.
    written = loads(str(release["policy"]), f"release {release['release']}", type(policy))
    asked = {rule.rule: written.asked_by(rule.rule) for rule in written.keep}
    found = collected(rule_precision(reviews(lake)))
    return [row for row in found if row["asked"] in (None, asked.get(row["rule"]))]


def collected(frame: DataFrame) -> Rows:
    """The rows of a small frame as plain dictionaries."""
    return [row.asDict(recursive=True) for row in frame.collect()]


def models_of(lake: Lake) -> dict[str, str | None]:
    """Fingerprint -> model id."""
    return {row.fingerprint: row.model_id for row in lake.few("extractors")}


def _placed(lake: Lake, ids: list[str], rows: Rows) -> Rows:
    """The rows of recordings with the root and path of each."""
    from pyspark.sql import functions as F

    there = lake.read("recordings").where(F.col("recording_id").isin(ids))
    places = {
        row.recording_id: f"{row.root}:{row.path}" + (f" » {row.member}" if row.member else "")
        for row in there.select("recording_id", "root", "path", "member").collect()
    }
    return [{**row, "place": places.get(row["recording_id"])} for row in rows]


def _asked(policy: Policy | None) -> dict[str, str]:
    """What each rule asks, as the policy's YAML says it."""

    def told(rule: Any) -> str:
        said = rule.model_dump(mode="json", by_alias=True, exclude_unset=True)
        said.pop("rule", None)
        return yaml.safe_dump(_plain(said), default_flow_style=True, width=10_000, sort_keys=False).strip(
            "{}\n"
        )

    return {rule.rule: told(rule) for rule in policy.keep} if policy else {}


def _plain(said: dict[str, Any]) -> dict[str, Any]:
    """Without the map {default: value} that stands for a value."""
    return {
        key: value["default"] if isinstance(value, dict) and value.keys() == {"default"} else value
        for key, value in said.items()
    }
