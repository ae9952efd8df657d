"""What Spark says of errors that are not its own: a lake that something outside of it broke, an error of ours on a worker."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from speechlake.errors import (
    Conflict,
    DeviceFailed,
    DiskFull,
    ModelError,
    NoHub,
    SpeechlakeError,
    TableDamaged,
    UsageError,
)
from speechlake.schemas import TABLES

if TYPE_CHECKING:
    from speechlake.lake import Lake

# A data file or a part of the log that is not there, or is not what it was.
GONE: Final = re.compile(
    r"FILE_NOT_EXIST|FILE_NOT_FOUND|FileNotFoundException|FAILED_READ_FILE|No such file or directory|"
    r"TRUNCATED_TRANSACTION_LOG|VERSIONS_NOT_CONTIGUOUS|STATE_RECOVER_ERROR|LOG_FILE_NOT_FOUND|"
    r"MISSING_TRANSACTION_LOG|CANNOT_RECONSTRUCT"
)
# The line of a Python traceback that names what was raised, and the hint below it. Names of audio hold no line feed:
# none can begin such a line.
RAISED: Final = re.compile(
    r"^speechlake\.errors\.(?P<kind>\w+): (?P=kind): (?P<message>.+)(?:\n  (?P<hint>\S.*))?", re.MULTILINE
)
# What opening a model, or a decode child, raises.
ON_WORKERS: Final = {
    kind.__name__: kind for kind in (ModelError, NoHub, DeviceFailed, DiskFull, UsageError, SpeechlakeError)
}
FULL: Final = re.compile(r"No space left on device|Disk quota exceeded")
PAGE: Final = "docs/reliability.md"


def disk_full(said: str) -> DiskFull | None:
    """DiskFull, where an error that says `said` comes down to that; else None."""
    if not FULL.search(said):
        return None
    where = next(line for line in said.splitlines() if FULL.search(line))
    return DiskFull(
        f"no space left, in the lake or where Spark keeps what it sorts (spark.local.dir, /tmp): {where[:300]}",
        hint="Make room and run the same command again: nothing was lost or doubled.",
    )


def raised_on_worker(said: str) -> SpeechlakeError | None:
    """The error of ours that a worker raised, where an error that says `said` comes down to one; else None."""
    found = [match for match in RAISED.finditer(said) if match["kind"] in ON_WORKERS]
    if not found:
        return None
    last = found[-1]
    return ON_WORKERS[last["kind"]](last["message"], hint=last["hint"])


def damage_of(lake: Lake, error: Exception) -> SpeechlakeError | None:
    """TableDamaged, DiskFull or what a worker raised of ours, where that is what `error` comes down to; else None.

    Conflict where the file is gone and the newest version of its table does without it, or the log read anew.
    """
    said = told(error)
    ours = raised_on_worker(said)
    if ours is not None:
        return ours
    full = disk_full(said)
    if full is not None:
        return full
    if not GONE.search(said):
        return None
    root = re.escape(re.sub(r"^file:/*", "/", lake.root))
    found = re.search(rf"{root}/(?P<table>[a-z_]+)/(?P<file>[^\s,;:\"')\]]+)", said)
    if found is None or found["table"] not in TABLES:
        return None
    table, file = found["table"], found["file"].rstrip(".")
    if _is_let_go(lake, table, file):
        return Conflict(
            f"table {table!r} in {lake.root} was read at a version whose file is deleted by now: {file}",
            hint="Run again. Where jobs read for long, let upkeep spare more: maintain-tables --retention.",
        )
    return TableDamaged(
        f"table {table!r} in {lake.root} cannot be read at version {_version(lake, table)}: {file} is gone or damaged",
        hint=f"Put the file back from a copy. Where there is none, move it away if it is there, and let the table "
        f"forget it: speechlake repair-table --lake {lake.root} {table}; {PAGE} says what the next runs make again.",
    )


def told(error: Exception) -> str:
    """What an error says, and what its causes in Java say, which PySpark leaves out of some."""
    return "\n".join((str(error), *told_by_java(error)))


def told_by_java(error: Exception) -> Iterator[str]:
    """What Java's exceptions behind an error say, each with its class, the outermost first."""
    try:
        for cause in causes_in_java(error):
            yield str(cause.toString())
    except Exception:  # Java has ended: no more will be told
        return


def causes_in_java(error: Exception) -> Iterator[Any]:
    """Java's exceptions behind an error, the outermost first."""
    cause: Any = getattr(error, "_origin", None) or getattr(error, "java_exception", None)
    while cause is not None:
        yield cause
        cause = cause.getCause()


def _is_let_go(lake: Lake, table: str, file: str) -> bool:
    """True for a file that the table's newest version does without: others wrote it anew, and upkeep deleted it, or an
    erasure began the log anew."""
    from speechlake.table_files import stored_files

    try:
        if file.startswith("_delta_log/"):
            # What this process remembers of the log names the file.
            jvm: Any = lake.spark._jvm
            jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
            stored_files(lake, table).count()
            return True
        if file.startswith("_"):
            return False
        # Names of data files hold nothing that a filter's text could take for its end.
        return stored_files(lake, table).where(f"file = '{file.rpartition('/')[2]}'").isEmpty()
    except Exception:  # the log itself is what is damaged
        return False


def _version(lake: Lake, table: str) -> str:
    """The newest version of the table, as far as its log can be read."""
    try:
        return str(lake.version(table))
    except Exception:  # the log itself is what is damaged
        return "unknown"
