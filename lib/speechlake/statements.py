"""What Spark says of a statement that it does not carry out: a mistake in it, or something that passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from speechlake.damage import told_by_java
from speechlake.errors import NoStore, SpeechlakeError, UsageError
from speechlake.files import PASSING, REFUSED

if TYPE_CHECKING:
    from pyspark.errors import PySparkException

# Classes of SQLSTATE: not supported, wrong number of values, values that do not fit, a key said twice, the statement
# itself, a limit of SQL, raised by the statement. Others are the machine's.
MISTAKES: Final = ("0A", "21", "22", "23", "42", "54", "P0")


def refusal_of(error: PySparkException, message: str, *, hint: str) -> SpeechlakeError | None:
    """UsageError with what Spark says behind `message` where the statement is wrong, NoStore where a catalog or store
    does not answer; None for anything else, such as a worker that was lost."""
    from pyspark.errors import AnalysisException

    wrong = isinstance(error, AnalysisException) or (error.getSqlState() or "")[:2] in MISTAKES
    causes = [*told_by_java(error)]
    # A statement that is refused is repeated in what is said of it, and may hold any word.
    asked = "\n".join(causes[1:] if wrong else [str(error), *causes])
    told = str(error).split("JVM stacktrace")[0].strip().split("\n\n")[0]
    if PASSING.search(asked) and not REFUSED.search(asked):
        return NoStore(f"{message}: {told}", hint="Run the same command again once it answers.")
    return UsageError(f"{message}: {told}", hint=hint) if wrong else None
