"""What Delta makes of a commit: settings for one write, how a conflict shows, what the log says of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from delta.tables import DeltaMergeBuilder
    from pyspark.sql import DataFrame, SparkSession


@contextmanager
def session_settings(spark: SparkSession, settings: Mapping[str, str]) -> Iterator[None]:
    """Session settings for one write, unset in any case: left over, they drop unrelated appends silently."""
    for name, value in settings.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name in settings:
            spark.conf.unset(name)


def conflicts() -> tuple[type[Exception], ...]:
    """What Delta raises when another transaction was quicker; in Python these have no base of their own."""
    from delta import exceptions as e

    return (
        e.DeltaConcurrentModificationException,
        e.ConcurrentWriteException,
        e.ConcurrentAppendException,
        e.ConcurrentDeleteReadException,
        e.ConcurrentDeleteDeleteException,
        e.ConcurrentTransactionException,
        e.MetadataChangedException,
        e.ProtocolChangedException,
    )


def merging(path: str, rows: DataFrame, on: str) -> DeltaMergeBuilder:
    """A MERGE of `rows`, called s, into the table at `path`, called t, where `on` is true."""
    from delta.tables import DeltaTable

    return DeltaTable.forPath(rows.sparkSession, path).alias("t").merge(rows.alias("s"), on)


def commit_info(commit: str) -> dict[str, Any]:
    """The commitInfo object of a commit's text; empty when it has none."""
    for line in commit.splitlines():
        if line.startswith('{"commitInfo"'):
            return dict(json.loads(line)["commitInfo"])
    return {}
