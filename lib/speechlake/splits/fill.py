"""Filling sides: groups go to test, else dev, if they fit, else train, in an order that only the salt decides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

# A stratum is filled by one task, in order. 100 bytes a group make 100 MB; at a second of speech a group
# these are 280 hours, above any evaluation set. Groups beyond them train.
GROUPS_IN_ONE_STRATUM = 1_000_000

# (group, hours for test, hours for dev) in any unit: a group's rows may differ in what they are fit for.
Group = tuple[str, int, int]


def fill(groups: Iterable[Group], room_test: int, room_dev: int) -> Iterator[tuple[str, str]]:
    """(group, side) of every group that goes to test or dev, in the order given.

    A group without a row that is fit for a side never goes there; one that does not fit leaves the room
    to the next.
    """
    for group, test, dev in groups:
        if 0 < test <= room_test:
            room_test -= test
            yield group, "test"
        elif 0 < dev <= room_dev:
            room_dev -= dev
            yield group, "dev"


def filled(groups: DataFrame) -> DataFrame:
    """(link_group, side) of the groups that evaluate, from one row per group.

    Takes link_group, stratum, draw (the salted hash), test_ms, dev_ms, room_test_ms, room_dev_ms; the rooms
    are the same in all rows of a stratum.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    order = Window.partitionBy("stratum").orderBy("draw", "link_group")
    fitting = F.col("test_ms").between(1, F.col("room_test_ms")) | F.col("dev_ms").between(
        1, F.col("room_dev_ms")
    )
    first = groups.filter(fitting).withColumn("place", F.row_number().over(order))
    bounded = first.filter(F.col("place") <= GROUPS_IN_ONE_STRATUM)
    return bounded.groupBy("stratum").applyInPandas(_fill_stratum, "link_group string, side string")


def _fill_stratum(groups: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    ordered = groups.sort_values("place")
    room_test, room_dev = int(ordered["room_test_ms"].iloc[0]), int(ordered["room_dev_ms"].iloc[0])
    sizes = zip(ordered["link_group"], ordered["test_ms"], ordered["dev_ms"], strict=True)
    return pd.DataFrame([*fill(sizes, room_test, room_dev)], columns=["link_group", "side"])
