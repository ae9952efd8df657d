"""Rows of the tables on a release's page, from small frames: joined, ordered, and summed where they are many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from speechlake.page.charts import span, stack
from speechlake.splits.policy import NOT_COMPARED, REASONS

Rows = list[dict[str, Any]]
# Reasons that go before the rules: nobody asked whether the row passes.
SET_ASIDE = ("audio_missing", "evaluation_corpus", NOT_COMPARED)
SUMMED = (
    "clips",
    "declared_hours",
    "hours",
    "clips_kept",
    "hours_kept",
    "hours_scored",
    "hours_not_applicable",
)
# Half as many errors as words fill the bar; more is cut.
ERROR_BAR = 0.5
# Counts of `hours_and_errors` and the classes of their bars.
ERRORS = {"substitutions": "substituted", "deletions": "deleted", "insertions": "inserted"}


def corpora(found: Mapping[str, Rows], models: Mapping[str, str | None], shown: int) -> dict[str, Any]:
    """`parts`, one per corpus and language, most hours first, at most `shown`; their `total`; how many are `left`."""
    more = {name: _by_key(found[name]) for name in ("reasons", "voices", "rates", "bandwidths")}
    largest = max((row["declared_hours"] for row in found["hours"]), default=0.0)
    parts = [
        _part(row, {name: of.get(_key(row), {}) for name, of in more.items()}, models, largest)
        for row in found["hours"]
    ]
    parts.sort(key=lambda part: (-part["declared_hours"], part["corpus"], part["language"] or ""))
    total = {name: sum(row[name] for row in found["hours"]) for name in SUMMED}
    total["share"] = _ratio(total["hours_kept"], total["declared_hours"])
    return {"parts": parts[:shown], "total": total, "left": max(0, len(parts) - shown)}


def _part(
    row: dict[str, Any],
    more: Mapping[str, dict[str, Any]],
    models: Mapping[str, str | None],
    largest: float,
) -> dict[str, Any]:
    reason, voices = more["reasons"], more["voices"]
    kept, whole = _ratio(row["hours_kept"], largest) or 0.0, _ratio(row["declared_hours"], largest) or 0.0
    return {
        **row,
        "share": _ratio(row["hours_kept"], row["declared_hours"]),
        "bar": stack([(kept, "kept"), (whole - kept, "removed")], 1.0),
        "reason": reason.get("reason"),
        "reason_clips": reason.get("clips"),
        "reason_share": _ratio(reason.get("hours"), row["declared_hours"]),
        "errors": _errors(row),
        "judged_by": [
            (models.get(fingerprint) or "unknown model", fingerprint) for fingerprint in row["judges"]
        ],
        "scored_share": _ratio(row["hours_scored"], row["hours"]),
        "speakers": voices.get("speakers"),
        "top_speaker": voices.get("top_speaker"),
        "known": voices.get("known"),
        "native": _native(more["rates"]),
        "more_rates": more["rates"].get("different", 0) - len(more["rates"].get("rates") or []),
        "bandwidth_hz": more["bandwidths"].get("bandwidth_hz"),
        "not_applicable": _ratio(row["hours_not_applicable"], row["hours"]),
    }


def _errors(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Error rate and its parts, of all scored texts together; null where nothing was scored."""
    if not row["judges"]:
        return None
    spoken = row["hits"] + row["substitutions"] + row["deletions"]
    kinds = {kind: _ratio(row[kind], spoken) for kind in ERRORS}
    rate = sum(row[kind] for kind in kinds) / spoken if spoken else None
    return {
        "rate": rate,
        **kinds,
        "bar": stack([(kinds[kind] or 0.0, colour) for kind, colour in ERRORS.items()], ERROR_BAR),
    }


def _native(rates: Mapping[str, Any]) -> list[tuple[int, float | None]]:
    """(rate in Hz, share of all hours whose rate is known), the commonest first."""
    return [
        (rate["sample_rate_hz"], _ratio(rate["hours"], rates["hours"])) for rate in rates.get("rates") or []
    ]


def funnel(rows: Rows, rule_names: Sequence[str]) -> Rows:
    """Steps from what came in to what is kept: name, kind, clips, hours, share of what came in, and a bar."""
    order = _order(rule_names)
    removed = [row for row in rows if row["reason"] is not None and row["measured"]]
    removed.sort(key=lambda row: (order.get(row["reason"], order[""]), row["reason"]))
    unmeasured = [row for row in rows if not row["measured"]]
    came = _step("in the manifests", "whole", rows, "declared_hours")
    steps = [came, _step("not measured", "removed", unmeasured, "declared_hours")]
    steps.append(_step("measured", "whole", [row for row in rows if row["measured"]], "hours"))
    steps += [_step(row["reason"], "removed", [row], "hours") for row in removed]
    steps.append(_step("kept", "kept", [row for row in rows if row["reason"] is None], "hours"))
    return _drawn([step for step in steps if step["clips"] or step["kind"] != "removed"], came["hours"])


def _order(rule_names: Sequence[str]) -> dict[str, int]:
    """Where a reason stands: what sets aside, rules as the policy has them, what is missing (""), the rest."""
    names = [*SET_ASIDE, *rule_names, "", *(name for name in REASONS if name not in SET_ASIDE)]
    return {name: index for index, name in enumerate(names)}


def _step(name: str, kind: str, rows: Rows, hours: str) -> dict[str, Any]:
    clips = sum(row["clips"] for row in rows)
    return {"name": name, "kind": kind, "clips": clips, "hours": sum(row[hours] for row in rows)}


def _drawn(steps: Rows, whole: float) -> Rows:
    """Steps with bars: what is removed hangs where the bar before it ends."""
    left = whole
    for step in steps:
        step["share"] = _ratio(step["hours"], whole)
        if step["kind"] == "removed":
            left -= step["hours"]
            ends = (left, left + step["hours"])
        else:
            left = step["hours"]
            ends = (0.0, left)
        low, high = (_ratio(end, whole) or 0.0 for end in ends)
        step["bar"] = span(low, high, "neutral" if step["kind"] == "whole" else step["kind"])
    return steps


def rules(told: Rows, silent: Rows, heard: Rows) -> Rows:
    """The rules of a release with a bar of the hours that each removes alone, and why some could not be asked.

    `heard` are rows of `rule_precision`: what reviewers said of a rule, under `heard`; null where nobody did.
    """
    most = max((rule["hours_alone"] for rule in told), default=0.0)
    by_rule = {row["rule"]: row for row in heard}
    why: dict[str, list[str]] = {}
    for row in silent:
        why.setdefault(row["rule"], []).append(f"{row['reason']} {row['clips']:,}")
    return [
        {
            **rule,
            "why": ", ".join(why.get(rule["rule"], [])),
            "heard": by_rule.get(rule["rule"]),
            "bar": span(0.0, _ratio(rule["hours_alone"], most) or 0.0, "removed"),
        }
        for rule in told
    ]


def _key(row: Mapping[str, Any]) -> tuple[str, str | None]:
    return row["corpus"], row["language"]


def _by_key(rows: Rows) -> dict[tuple[str, str | None], dict[str, Any]]:
    return {_key(row): row for row in rows}


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None
