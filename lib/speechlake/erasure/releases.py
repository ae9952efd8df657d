"""Releases that held what goes: which, what is left of them, and the release that follows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from speechlake.config import loads
from speechlake.contracts import rows_of
from speechlake.erasure.tables import Plan
from speechlake.errors import ConfigError
from speechlake.hold import Hold
from speechlake.questions.releases import is_published
from speechlake.schemas import ERASURES
from speechlake.splits.policy import Policy
from speechlake.splits.verify import digest_now

if TYPE_CHECKING:
    from speechlake.lake import Lake

MAX_NAME = 64
_FOLLOWS = re.compile(r"(.+)\.e(\d+)")


@dataclass(frozen=True)
class Held:
    """A release that held rows of what goes. `successor` is shared by releases of one policy: it is cut once."""

    release: str
    build_id: str
    splits: int
    decisions: int
    successor: str | None
    # Of several releases of one policy the newest, whose policy yields the successor.
    newest: bool


def held(lake: Lake, plan: Plan) -> list[Held]:
    """Releases with rows that go, newest first. As many as releases."""
    from pyspark.sql import functions as F

    rows = lake.read("releases").orderBy(F.col("published_at").desc(), "release").collect()
    taken = {row.release for row in rows}
    counts = {name: _by_build(lake, name, plan) for name in ("splits", "decisions")}
    made: list[Held] = []
    successors: dict[tuple[str, str], str | None] = {}
    for row in rows:
        splits, decisions = (counts[name].get(row.build_id, 0) for name in ("splits", "decisions"))
        if not splits and not decisions:
            continue
        policy = (row.scheme, row.policy_sha256)
        newest = policy not in successors
        if newest:
            successors[policy] = following(row.release, taken) if policy_of(row) else None
            taken.add(successors[policy] or "")
        made.append(Held(row.release, row.build_id, splits, decisions, successors[policy], newest))
    return made


def following(release: str, taken: set[str]) -> str:
    """`2026-11.e1`, or the next number that is free."""
    found = _FOLLOWS.fullmatch(release)
    base, n = (found[1], int(found[2]) + 1) if found else (release, 1)
    while f"{base[: MAX_NAME - 1 - len(f'e{n}')]}.e{n}" in taken:
        n += 1
    return f"{base[: MAX_NAME - 1 - len(f'e{n}')]}.e{n}"


def policy_of(release: Any) -> Policy | None:
    """The policy of a release; None where its text alone does not say it (lists of files, a later version)."""
    try:
        policy = loads(release["policy"], f"release {release['release']}", Policy)
    except ConfigError:
        return None
    whole = policy.digest() == release["policy_sha256"] and not policy.lists.named()
    return policy if whole else None


def record(hold: Hold, releases: Sequence[Held], run_id: str) -> None:
    """Say in `erasures` what went from each release, and the digest of what stayed; once per run."""
    lake = hold.lake
    digests: dict[str, str] = {}
    for each in releases:
        digests.setdefault(each.build_id, digest_now(lake, each.build_id))
    now = datetime.now(UTC)
    rows = [
        {**asdict(each), "run_id": run_id, "rows_digest": digests[each.build_id], "erased_at": now}
        for each in releases
    ]
    hold.append_missing("erasures", rows_of(lake.spark, ERASURES, rows), expected=len(rows))


def explained(lake: Lake, release: Mapping[str, Any], digest: str) -> str | None:
    """Why a release has `digest` and not the one it published: erasures, and nothing else; None where they do not say."""
    from pyspark.sql import functions as F

    mine = F.col("release") == release["release"]
    rows = lake.read("erasures").where(mine).orderBy(F.col("erased_at").desc(), "run_id").collect()
    if not rows or rows[0].rows_digest != digest:
        return None
    # Spark gives the machine's local time; whoever reads it may be elsewhere.
    days = sorted({f"{row.erased_at.astimezone(UTC):%Y-%m-%d}" for row in rows})
    kept, decided = sum(row.splits for row in rows), sum(row.decisions for row in rows)
    follows = f"; {rows[0].successor} follows it" if is_published(lake, rows[0].successor) else ""
    return f"{kept} rows of its sides and {decided} exclusions were erased on {', '.join(days)}{follows}"


def _by_build(lake: Lake, name: str, plan: Plan) -> dict[str, int]:
    from pyspark.sql import functions as F

    from speechlake.erasure.tables import going

    keys = going(lake, name, plan)
    rows = keys.groupBy("build_id").agg(F.count("*").alias("n")).collect() if keys is not None else []
    return {row.build_id: row.n for row in rows}
