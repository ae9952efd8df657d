"""The fence: what keeps two drivers apart where there are no locks, by a counter in each table's log.

A job and scope has a transaction counter per table. Its holder reads them once, before any data, and only its
own commits advance them. Delta skips a write whose counter was used already: its log then lacks our mark, and
we were overtaken.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speechlake.lake import Lake

_APP = "spark.databricks.delta.write.txnAppId"
_VERSION = "spark.databricks.delta.write.txnVersion"


class Fence:
    """The counters of one holder. One that is not `raised` fences nothing: locks do."""

    def __init__(self, lake: Lake, app_id: str, *, raised: bool) -> None:
        self.app_id, self.raised = app_id, raised
        self.counters: dict[str, int] = {}
        self._lake = lake

    def read(self, tables: Iterable[str]) -> None:
        """Read the counters, before any data."""
        if self.raised:
            self.counters = {name: self._lake.counter(name, self.app_id) for name in tables}

    def advance(self, table: str) -> None:
        """Our own commit landed."""
        if self.raised:
            self.counters[table] += 1

    def options(self, table: str) -> dict[str, str]:
        """Options of a write that Delta skips when we were overtaken."""
        return {"txnAppId": self.app_id, "txnVersion": self._next(table)} if self.raised else {}

    def settings(self, table: str) -> dict[str, str]:
        """The same as settings of a session, for what takes no options."""
        return {_APP: self.app_id, _VERSION: self._next(table)} if self.raised else {}

    def moved(self) -> str | None:
        """A table whose counter another driver advanced; None where there is none, or the store does not answer."""
        try:
            now = {name: self._lake.counter(name, self.app_id) for name in self.counters}
        except Exception:
            return None
        return next((name for name, own in self.counters.items() if now[name] != own), None)

    def _next(self, table: str) -> str:
        return str(self.counters.get(table, 0) + 1)
