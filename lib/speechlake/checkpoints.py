"""Frames that several steps read: computed once, kept on executors, and freed when a job is done with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from speechlake.session import on_this_machine

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# A frame that several steps read goes through a function of this kind, which computes it once and gives it
# back with a plan that starts there. (A cache does not: every plan above repeats the plans below it, and
# after a few layers Spark spends minutes on spelling and comparing them.)
Staged = Callable[[str, "DataFrame"], "DataFrame"]

# What was `checkpointed` since the innermost `freeing` was entered.
_HELD: ContextVar[list[Any] | None] = ContextVar("held", default=None)


def checkpointed(name: str, frame: DataFrame) -> DataFrame:
    """The simplest `Staged`: rows stay on executors, on two of them where there are several.

    They lie there as bytes. Spark's default keeps two objects per row, which Java's collector visits again and again: of
    a million utterances cut again in 89 s it took 8, and of 81 so 3.
    """
    from pyspark.storagelevel import StorageLevel

    one, two = StorageLevel.MEMORY_AND_DISK, StorageLevel.MEMORY_AND_DISK_2
    level = one if on_this_machine(frame.sparkSession) else two
    staged = frame.localCheckpoint(storageLevel=level)
    held = _HELD.get()
    if held is not None:
        held.append(staged._jdf.queryExecution().analyzed().rdd())
    return staged


@contextmanager
def freeing() -> Iterator[None]:
    """Frees all that is `checkpointed` inside when it is left; no frame of it can be read after that.

    Spark else keeps the rows until Java's collector comes to see that nobody names them, and where memory is short
    writes them to disk meanwhile. What that saves was not measured.
    """
    from py4j.protocol import Py4JError

    held: list[Any] = []
    token = _HELD.set(held)
    try:
        yield
    finally:
        _HELD.reset(token)
        # Where Java itself has gone, nothing is left to be freed, and the error that tells of it is not to be hidden.
        with suppress(Py4JError, OSError):
            for rows in held:
                rows.unpersist(False)


# Where it is on, Spark takes structs apart below joins; where it is off, it reads nested columns of files whole.
APART = "spark.sql.optimizer.nestedSchemaPruning.enabled"


@contextmanager
def planned_at_once(spark: SparkSession) -> Iterator[None]:
    """For a frame that is staged inside: on this machine, Spark then knows that its rows lie by the key of its last join,
    and does not move them to join them by it again, as it does where it adapts the plan while it runs. Everywhere it
    leaves structs whole that joins move (`joins.packed`).

    For joins of what is one size, of which there is little to adapt. On a cluster with many partitions a small lake would
    have as many tasks in each shuffle, so there Spark adapts. The setting is the session's: whoever builds in several
    threads of one plans all that is begun meanwhile so. Measured over a million utterances, whose widest rows need
    not be moved again: 92 s to 89.
    """
    names = [APART]
    if on_this_machine(spark):
        names.append("spark.sql.adaptive.enabled")
    before = {name: str(spark.conf.get(name)) for name in names}
    for name in names:
        spark.conf.set(name, "false")
    try:
        yield
    finally:
        for name, value in before.items():
            spark.conf.set(name, value)


def in_place(staged: Staged) -> Staged:
    """As `staged`, with frames that are planned at once: what joins them by the key of their own last join finds their
    rows where it wants them."""

    def planned(name: str, frame: DataFrame) -> DataFrame:
        with planned_at_once(frame.sparkSession):
            return staged(name, frame)

    return planned
