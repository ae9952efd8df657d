"""Bring a catalog to what a lake holds: tables where they lie, views by their text. No file of the lake is touched.

What is made here can be told again: a table by its place, a view by the lake and the digest in its properties.
Names that are something else's are refused before anything is made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from speechlake.catalog import texts
from speechlake.errors import UsageError
from speechlake.schemas import TABLES
from speechlake.sql_text import literal, name
from speechlake.views import utterances_now

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from speechlake.lake import Lake

LAKE, DIGEST = "speechlake.lake", "speechlake.digest"
VIEWS: Mapping[str, str] = {
    "all_transcripts": "Texts of manifests and of models, each with its source.",
    "utterances_now": "One row per current utterance: measurements, text, score, duplicates, the last release's decision.",
    "imported_now": "Imported values that are current, one per row.",
}
Done = Literal["created", "refreshed", "unchanged"]


@dataclass(frozen=True)
class Target:
    """A database of a catalog."""

    spark: SparkSession
    catalog: str
    database: str

    def full(self, table: str) -> str:
        """The whole name of a table or view, quoted."""
        return name(self.catalog, self.database, table)

    def sql(self, statement: str) -> list[dict[str, str]]:
        """Run one statement; its rows."""
        return [row.asDict() for row in self.spark.sql(statement).collect()]


@dataclass(frozen=True)
class There:
    """What stands under a name: a view with its properties, or a table with its place."""

    is_view: bool
    location: str = ""
    properties: Mapping[str, str] | None = None


def register(lake: Lake, target: Target, *, with_views: bool = True) -> dict[str, Done]:
    """Make the database where it is missing, and every table and view of the lake in it; what was done, by name.

    A table that was never written is a view without rows until it is, so that every query works; without views
    it is left out. UsageError where a name is taken by what was not made for this lake; nothing is made then.
    """
    target.sql(
        f"CREATE DATABASE IF NOT EXISTS {name(target.catalog, target.database)} COMMENT 'A speechlake lake'"
    )
    written = lake.versions()
    made = [*TABLES, *VIEWS] if with_views else [table for table in TABLES if table in written]
    there = {found: _there(target, found) for found in made}
    taken = [found for found, what in there.items() if what is not None and not _is_ours(lake, found, what)]
    if taken:
        raise UsageError(
            f"{target.catalog}.{target.database} holds {', '.join(taken)}, not made for {lake.root}",
            hint="Name another --database, or drop those: an external table's files stay where they are.",
        )
    done = {}
    for table, contract in TABLES.items():
        if table in written:
            done[table] = _table(lake, target, table, there[table])
        elif with_views:
            empty = texts.nothing_of(contract)
            done[table] = _view(lake, target, table, contract.comment, empty, there[table])
    for view, text in _texts(lake, target) if with_views else ():
        done[view] = _view(lake, target, view, VIEWS[view], text, there[view])
    return done


def _texts(lake: Lake, target: Target) -> Iterator[tuple[str, str]]:
    yield "all_transcripts", texts.all_transcripts(target.full)
    yield "utterances_now", texts.utterances_now(target.full, utterances_now(lake).columns)
    yield "imported_now", texts.imported_now(target.full)


def _table(lake: Lake, target: Target, table: str, there: There | None) -> Done:
    """An external table at the lake's own place."""
    if there is not None and not there.is_view:
        return "unchanged"
    if there is not None:
        target.sql(f"DROP VIEW {target.full(table)}")
    place = literal(lake.path(table))
    target.sql(f"CREATE TABLE {target.full(table)} USING DELTA LOCATION {place}")
    return "created" if there is None else "refreshed"


def _view(lake: Lake, target: Target, view: str, comment: str, text: str, there: There | None) -> Done:
    digest = hashlib.sha256(text.encode()).hexdigest()[:32]
    if there is not None and there.is_view and (there.properties or {}).get(DIGEST) == digest:
        return "unchanged"
    if there is not None and not there.is_view:
        # The lake's table was there and is gone; its place in the catalog is all that is dropped.
        target.sql(f"DROP TABLE {target.full(view)}")
    told = (
        f"COMMENT {literal(comment)} TBLPROPERTIES ('{LAKE}' = {literal(lake.root)}, '{DIGEST}' = '{digest}')"
    )
    target.sql(f"CREATE OR REPLACE VIEW {target.full(view)} {told} AS {text}")
    return "created" if there is None else "refreshed"


def _there(target: Target, found: str) -> There | None:
    """What stands under a name of the database; None where nothing does."""
    if not target.spark.catalog.tableExists(target.full(found)):
        return None
    rows = {
        row["col_name"]: row["data_type"]
        for row in target.sql(f"DESCRIBE TABLE EXTENDED {target.full(found)}")
    }
    if rows.get("Type") != "VIEW":
        return There(False, rows.get("Location") or "")
    said = target.sql(f"SHOW TBLPROPERTIES {target.full(found)}")
    return There(True, properties={row["key"]: row["value"] for row in said})


def _is_ours(lake: Lake, found: str, there: There) -> bool:
    if there.is_view:
        return (there.properties or {}).get(LAKE) == lake.root
    return found in TABLES and lake.files.qualified(there.location) == lake.files.qualified(lake.path(found))
