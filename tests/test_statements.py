"""Whose fault it is that Spark does not carry a statement out: the statement's, a catalog's that is away, or another's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pyspark.errors import AnalysisException, PySparkException

from speechlake.errors import NoStore, SpeechlakeError, UsageError
from speechlake.statements import refusal_of


class OfState(PySparkException):
    """One whose SQLSTATE is its message's first word."""

    def getSqlState(self) -> str:
        return str(self).split()[0]


def caused(error: Any, *said: str) -> Any:
    """`error`, with what Java's exceptions behind it say, the outermost first."""
    cause = None
    for text in reversed(said):
        cause = SimpleNamespace(toString=lambda text=text: text, getCause=lambda cause=cause: cause)
    error._origin = cause
    return error


AWAY = "java.net.ConnectException: Connection refused"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (caused(AnalysisException("no column x")), UsageError),
        (caused(AnalysisException("no column 'timed out'"), "no column 'timed out'"), UsageError),
        (caused(AnalysisException("HiveException: no client"), "HiveException: no client", AWAY), NoStore),
        (caused(OfState("22012 division by zero")), UsageError),
        (caused(OfState("42501 refused")), UsageError),
        (caused(PySparkException("Job aborted"), "SparkException: Job aborted", AWAY), NoStore),
        (caused(PySparkException("Job aborted"), "SparkException: a worker was lost"), None),
        (caused(OfState("XX000 internal")), None),
    ],
)
def test_a_wrong_statement_a_catalog_that_is_away_and_what_broke_otherwise(
    error: Any, kind: type[SpeechlakeError] | None
) -> None:
    found = refusal_of(error, "the catalog refuses", hint="Look.")
    assert (type(found) if found else None) is kind
    if found is not None:
        assert found.message.startswith("the catalog refuses: ")
