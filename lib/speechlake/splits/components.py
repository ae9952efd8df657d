"""Connected components of pairs of link keys: in one task while they fit there, distributed above that.

GraphFrames would serve, but needs a jar per Spark version and keeps checkpoints of its own; both ways here
are a page, and give the same labels: the smallest key of the component.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from speechlake.checkpoints import Staged, checkpointed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame

    Indexes = npt.NDArray[np.int64]

# Edges that one task may hold. Measured on random edges: less than 0.4 GB and 1.7 s for a million, twice that for
# two, so this is some 3.5 GB of one Python worker and 20 seconds.
EDGES_IN_ONE_TASK = 10_000_000

_ROWS_PER_BATCH = 65_536


def components(
    edges: DataFrame, *, staged: Staged = checkpointed, limit: int = EDGES_IN_ONE_TASK
) -> DataFrame:
    """(key, label) of every key in `edges` (low, high): keys have one label when a path connects them.

    The label is the smallest key of the component. Up to `limit` edges one task computes it; above, rounds
    of joins do. Counts the edges, so it runs Spark.
    """
    edges = staged("edges", edges)
    count = edges.count()
    if count == 0:
        return edges.toDF("key", "label")
    return in_one_task(edges) if count <= limit else star_contraction(edges, staged)


def in_one_task(edges: DataFrame) -> DataFrame:
    """Components in a single Python task on an executor."""
    return edges.repartition(1).mapInArrow(label_batches, "key string, label string")


def label_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Components over Arrow batches of edges (low, high); yields batches of (key, label)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    received = list(batches)
    if not received:
        return
    table = pa.Table.from_batches(received)
    keys = pc.unique(pa.chunked_array([*table["low"].chunks, *table["high"].chunks])).sort()
    ends = (pc.index_in(table[name], value_set=keys).to_numpy() for name in ("low", "high"))
    labels = keys.take(pa.array(smallest_members(len(keys), *ends)))
    result = pa.table({"key": keys, "label": labels})
    yield from result.to_batches(max_chunksize=_ROWS_PER_BATCH)


def smallest_members(size: int, low: Indexes, high: Indexes) -> Indexes:
    """The smallest member of each node's component; nodes are 0 … size - 1, edges (low[i], high[i]).

    Rounds over whole arrays: what an edge connects, with all that hangs on it, hangs on the smaller of its two from
    then on, until no edge connects two. Shiloach and Vishkin, "An O(log n) parallel connectivity algorithm" (1982),
    hooks and shortens paths likewise.
    """
    import numpy as np

    label = np.arange(size)
    while len(low):
        one, other = label[low], label[high]
        np.minimum.at(label, np.maximum(one, other), np.minimum(one, other))
        while not np.array_equal(label, above := label[label]):
            label = above
        apart = label[low] != label[high]
        low, high = low[apart], high[apart]
    return label


def star_contraction(edges: DataFrame, staged: Staged = checkpointed) -> DataFrame:
    """Components by alternating large and small stars until nothing changes.

    Kiveris et al., "Connected Components in MapReduce and Beyond" (SoCC 2014): a logarithmic number of
    rounds in practice, each two joins on a key; no node ever gathers its neighbours.
    """
    from pyspark.sql import functions as F

    stars, before = staged("stars 0", _without_loops(edges)), None
    for n in range(1, 1000):
        stars = staged(f"stars {n}", small_star(large_star(stars)))
        # A sum of hashes says whether the set of edges changed, in one pass and in any order.
        digest = F.sum(F.xxhash64("low", "high").cast("decimal(20,0)"))
        after = stars.agg(F.count("*"), digest).first()
        if after == before:
            break
        before = after
    centres = stars.select(F.col("low").alias("key"), F.col("low").alias("label")).distinct()
    return stars.select(F.col("high").alias("key"), F.col("low").alias("label")).unionByName(centres)


def large_star(edges: DataFrame) -> DataFrame:
    """Connect every larger neighbour of a node to the smallest of the node and its neighbours."""
    from pyspark.sql import functions as F

    both = _arrows(edges, "low", "high").unionByName(_arrows(edges, "high", "low"))
    linked = _with_smallest(both).withColumn("smallest", F.least("smallest", "node"))
    return _edges(linked.filter(F.col("other") > F.col("node")), F.col("smallest"), F.col("other"))


def small_star(edges: DataFrame) -> DataFrame:
    """Connect a node and its smaller neighbours to the smallest of these."""
    from pyspark.sql import functions as F

    linked = _with_smallest(_arrows(edges, "high", "low"))
    others = linked.select("smallest", "other")
    selves = linked.select("smallest", F.col("node").alias("other"))
    return _edges(others.unionByName(selves), F.col("smallest"), F.col("other"))


def _arrows(edges: DataFrame, node: str, other: str) -> DataFrame:
    from pyspark.sql import functions as F

    return edges.select(F.col(node).alias("node"), F.col(other).alias("other"))


def _with_smallest(arrows: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    smallest = arrows.groupBy("node").agg(F.min("other").alias("smallest"))
    return arrows.join(smallest, "node", how="inner")


def _edges(frame: DataFrame, low: Column, high: Column) -> DataFrame:
    return _without_loops(frame.select(low.alias("low"), high.alias("high"))).distinct()


def _without_loops(edges: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    return edges.filter(F.col("low") < F.col("high"))
