"""The histograms on a release's page, with the thresholds of its rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from speechlake.page.charts import Bar, histogram
from speechlake.page.render import hours
from speechlake.questions.distributions import DURATION_BINS, ERROR_BINS, ERROR_STEPS

if TYPE_CHECKING:
    from speechlake.splits.policy import Policy

Rows = list[dict[str, Any]]


def charts(found: Mapping[str, Rows], policy: Policy | None) -> dict[str, Markup]:
    """`durations` and `errors`: hours per bin, kept and removed, in minutes where there is less than an hour."""
    return {
        "durations": _chart(
            "Hours by length of clip",
            found["durations"],
            DURATION_BINS,
            ticks=[*((s, f"{s}") for s in range(0, 31, 5)), (31.5, "60+")],
            marks=[(limit, f"{limit:g} s") for limit in _limits(policy, "audio.duration_s") if limit <= 30],
        ),
        "errors": _chart(
            "Hours by error rate",
            found["errors"],
            ERROR_BINS,
            ticks=[(0.5, "none"), *((_place(p / 100), f"{p} %") for p in range(20, 101, 20))],
            marks=[
                (_place(limit), f"{100 * limit:g} %") for limit in _limits(policy, "error_rate") if limit <= 1
            ],
        ),
    }


def _place(rate: float) -> float:
    """Where an error rate stands, in bins: the first holds none."""
    return 1 + ERROR_STEPS * rate


def _chart(
    label: str,
    rows: Rows,
    bins: Sequence[str],
    *,
    ticks: Sequence[tuple[float, str]],
    marks: Sequence[tuple[float, str]],
) -> Markup:
    by_bin = {row["bin"]: row for row in rows}
    highest = max((row["hours_kept"] + row["hours_removed"] for row in rows), default=0.0)
    unit, times = ("h", 1.0) if highest >= 1 else ("min", 60.0)
    bars = [_bar(name, by_bin.get(index), times) for index, name in enumerate(bins)]
    return histogram(bars, label=label, unit=unit, ticks=ticks, marks=marks)


def _bar(name: str, row: Mapping[str, Any] | None, times: float) -> Bar:
    if row is None:
        return Bar(0.0, 0.0, f"{name}: nothing")
    told = " and ".join(
        f"{hours(row[f'hours_{what}'])} {what} in {row[f'clips_{what}']:,} clips"
        for what in ("kept", "removed")
        if row[f"clips_{what}"]
    )
    return Bar(row["hours_kept"] * times, row["hours_removed"] * times, f"{name}: {told}")


def _limits(policy: Policy | None, what: str) -> list[float]:
    """Limits that rules put on a signal (or that the rule `error_rate` puts), where they are the same everywhere."""
    found: set[float] = set()
    for rule in policy.keep if policy else ():
        said = rule.model_dump(mode="json", by_alias=True, exclude_unset=True)
        if what not in (said.get("signal"), said["rule"]):
            continue
        for operator in ("at_least", "at_most", "between"):
            limit = said.get(operator)
            if isinstance(limit, dict) and limit.keys() == {"default"}:
                found |= set(limit["default"] if operator == "between" else [limit["default"]])
    return sorted(found)
