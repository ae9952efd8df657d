"""Several policies over one lake in one session: what one joins of all utterances is there for the next.

Joining all that is known of an utterance takes a third of a release, and is the same whatever a limit is. Policies are
named beforehand, in their order, so that the frame of the first has the columns of those that follow it and ask for the
same of the lake. It lies in memory, and where that is short on Spark's local disk.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING
from uuid import uuid4

from speechlake.checkpoints import planned_at_once
from speechlake.errors import ConfigError
from speechlake.feedback.current import refuse_unknown
from speechlake.splits.build import columns_read
from speechlake.splits.candidates import TABLES_READ, candidates
from speechlake.splits.policy_links import FoundSet

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.lake import Lake
    from speechlake.splits.policy import Policy

# Sections of a policy that candidates do not depend on. Of rules they have the columns, which are compared by name: of
# each extractor that a rule reads, the fingerprint is one.
NOT_ASKED = ("keep", "overrides", "caps", "weights", "links", "splits")
# Where sides are remembered: each release writes there, and it is no part of candidates.
NOT_JOINED = ("assignments",)


@dataclass(frozen=True)
class _Joined:
    """Candidates with `columns`, and of what they were made; null where that is not certain."""

    made_of: str | None
    columns: frozenset[str]
    rows: DataFrame


class _Reuse:
    def __init__(self, policies: Sequence[Policy]) -> None:
        self.waiting = [*policies]
        self.joined: _Joined | None = None

    def begin(self, policy: Policy) -> None:
        """Neither it nor those before it wait any more: they were there already, or refused."""
        places = (n for n, each in enumerate(self.waiting) if each is policy)
        if (place := next(places, None)) is not None:
            del self.waiting[: place + 1]

    def free(self) -> None:
        from py4j.protocol import Py4JError

        # As in `checkpoints.freeing`: Java may have gone.
        with suppress(Py4JError, OSError):
            if self.joined is not None:
                self.joined.rows.unpersist()
        self.joined = None


_REUSE: ContextVar[_Reuse | None] = ContextVar("reuse", default=None)


@contextmanager
def reusing(policies: Sequence[Policy]) -> Iterator[None]:
    """Inside, `joined_candidates` of one of `policies` serve those that follow it; what is kept is freed at the end."""
    reuse = _Reuse(policies)
    token = _REUSE.set(reuse)
    try:
        yield
    finally:
        _REUSE.reset(token)
        reuse.free()


def joined_candidates(lake: Lake, policy: Policy) -> DataFrame:
    """The `candidates` of `policy` with the columns that a build reads: those joined for an earlier policy where they
    are the same, that is where no table that they are made of was written since."""
    reuse = _REUSE.get()
    only = columns_read(policy)
    if reuse is None:
        return candidates(lake, policy, only=only)
    from pyspark.sql import functions as F

    reuse.begin(policy)
    refuse_unknown(lake, policy)
    made_of, joined = _made_of(lake, policy), reuse.joined
    if joined is not None and joined.made_of == made_of and joined.columns >= only:
        return joined.rows
    reuse.free()
    known = (each for each in reuse.waiting if _is_known(lake, each))
    others = [*takewhile(lambda each: _asked(each) == _asked(policy), known)]
    if not others:
        return candidates(lake, policy, only=only)
    columns = frozenset(only.union(*map(columns_read, others)))
    rules = tuple(rule for each in (policy, *others) for rule in each.rules())
    with planned_at_once(lake.spark):
        # Spark finds what it keeps by the plan, and to it two versions of a table are one plan: a mark tells them apart.
        mark = F.lit(uuid4().hex).alias("mark")
        frame = candidates(lake, policy.model_copy(update={"keep": rules}), only=columns).select("*", mark)
        # Planned here: the versions that are read are those of now.
        rows = frame.persist()
    reuse.joined = _Joined(None, columns, rows)
    # Where a table was written meanwhile, nobody knows whether before it was read or after.
    if _made_of(lake, policy) == made_of:
        reuse.joined = _Joined(made_of, columns, rows)
    return rows


def _made_of(lake: Lake, policy: Policy) -> str:
    tables = {name: lake.state(name) for name in TABLES_READ if name not in NOT_JOINED}
    return json.dumps([lake.root, tables, _asked(policy)])


def _asked(policy: Policy) -> str:
    """At least what candidates depend on of a policy, but for the columns that its rules read."""
    said = {name: each for name, each in policy.meaning().items() if name not in NOT_ASKED}
    # The policy of a release means its lists, and has none of them beside it.
    found = [side for side, fixed in policy.lists.named().items() if isinstance(fixed, FoundSet)]
    return json.dumps([said, found], sort_keys=True)


def _is_known(lake: Lake, policy: Policy) -> bool:
    """False where its own build will be refused: another's is not to be refused for it."""
    try:
        refuse_unknown(lake, policy)
    except ConfigError:
        return False
    return True
