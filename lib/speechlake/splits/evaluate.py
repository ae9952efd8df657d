"""A policy over a lake as it is: what build-splits publishes and simulate only looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from speechlake.checkpoints import Staged, checkpointed, planned_at_once
from speechlake.splits.build import Build, build
from speechlake.splits.candidates import english_only, published_assignments
from speechlake.splits.pins import pinned, taken, used, with_numbers
from speechlake.splits.policy import Policy
from speechlake.splits.recall import evaluated_texts
from speechlake.splits.reuse import joined_candidates

if TYPE_CHECKING:
    from speechlake.lake import Lake


@dataclass(frozen=True)
class Evaluated:
    """A build, the policy with the numbers of its quantiles, and these by their pinned keys."""

    build: Build
    policy: Policy
    numbers: Mapping[str, float]


def evaluated(lake: Lake, policy: Policy, staged: Staged = checkpointed) -> Evaluated:
    """Evaluate `policy` against all that the lake holds and its scheme remembers. Writes nothing.

    What several steps read goes through `staged`, which so sees how far it is.
    """
    rows = joined_candidates(lake, policy)
    with planned_at_once(lake.spark):
        numbers = taken(rows, policy, pinned(lake, policy.splits.scheme))
    meant = with_numbers(policy, numbers)
    assignments = published_assignments(lake, policy.splits.scheme)
    built = build(
        *(rows, meant, assignments),
        english_only=english_only(lake),
        evaluated_texts=evaluated_texts(lake, policy.splits.scheme) if policy.links.compares_texts else None,
        staged=staged,
    )
    return Evaluated(built, meant, used(policy, numbers))
