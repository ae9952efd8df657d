"""Is a release still what was published: its rows by their digest, its sides by the gate, its files by their bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from speechlake.config import loads
from speechlake.duplicates.known import copies_of
from speechlake.errors import ConfigError
from speechlake.splits.candidates import heard_samples, links, said_assignments
from speechlake.splits.compared import asked_audio, keyed_audio
from speechlake.splits.digest import rows_digest
from speechlake.splits.gate import Asked, leaks
from speechlake.splits.policy import Policy
from speechlake.splits.recall import evaluated_texts, largest_release

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

    from speechlake.lake import Lake

_PLACE = ("corpus", "root", "path", "container", "member", "byte_offset", "byte_length", "content_sha256")
_READ = "path string, expected string, found string, problem string"


def digest_now(lake: Lake, build: str) -> str:
    """The digest of a build's rows as they are stored now."""
    mine = F.col("build_id") == build
    return rows_digest(lake.read("splits").where(mine), lake.read("decisions").where(mine))


def policy_now(release: Mapping[str, Any]) -> str | None:
    """The digest of the policy that stands in a row of `releases`; None where that is not to be had from its text."""
    try:
        policy = loads(release["policy"], f"release {release['release']}", Policy)
    except ConfigError:
        return None
    return None if policy.lists.named() else policy.digest()


def leaks_now(lake: Lake, release: Mapping[str, Any]) -> tuple[DataFrame, str | None]:
    """What the gate finds in a release by all that is known now; why it could not ask for all, or None.

    A copy that was found later counts: what was clean when it was published may not be clean any more.
    """
    note = None
    try:
        policy = loads(release["policy"], f"release {release['release']}", Policy)
        asked = Asked.by(policy)
        linked = links(lake, asked.decontaminate)
    except ConfigError as error:
        asked, linked = Asked(), links(lake)
        note = f"its policy is not understood here, so links are asked by default: {error.message}"
    rows = lake.read("splits").where(F.col("build_id") == release["build_id"])
    assignments = said_assignments(lake, release["scheme"])
    listed = lake.read("fixed_sets").where(F.col("build_id") == release["build_id"])
    sides = listed.select("utterance_id", F.col("side").alias("listed"))
    keyed = keyed_audio(lake, asked_audio(lake, rows, asked.decontaminate))
    copies = None if keyed is None else copies_of(lake, keyed)
    before = largest_release(lake, release["scheme"], but=release["build_id"])
    # What is published later may evaluate by what trains here, and no more there.
    texts = (
        evaluated_texts(lake, release["scheme"], until=release["build_id"])
        if asked.links.compares_texts
        else None
    )
    found = leaks(
        *(rows, linked, assignments, asked, sides),
        heard=heard_samples(lake),
        copies=copies,
        before=before,
        evaluated_texts=texts,
    )
    return found, note


def files_read(lake: Lake, build: str, sample: int, *, seed: int) -> DataFrame:
    """(path, expected, found, problem) of up to `sample` files of a release; `problem` null where all is well.

    The first in the order of a hash with `seed`. Each is read where `corpora` says that its root lies now.
    """
    rows = lake.read("splits").where(F.col("build_id") == build).select(*_PLACE).distinct()
    draw = F.xxhash64(F.lit(str(seed)), *_PLACE)
    roots = lake.read("corpora").select("corpus", F.explode("roots").alias("r"))
    uris = roots.select("corpus", F.col("r.name").alias("root"), F.col("r.uri").alias("uri"))
    few = rows.orderBy(draw, *_PLACE).limit(sample).join(F.broadcast(uris), ["corpus", "root"], how="left")
    tasks = lake.spark.sparkContext.defaultParallelism
    return few.repartition(tasks, "path").mapInPandas(_read, _READ)


def _read(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    import pandas as pd

    for batch in batches:
        yield pd.DataFrame(
            [_one(row) for row in batch.to_dict("records")], columns=["path", "expected", "found", "problem"]
        )


def _one(row: Mapping[Any, Any]) -> tuple[str, str, str | None, str | None]:
    """Path, the hash that the release recorded, the one that was found, and what is wrong."""
    import pandas as pd

    from speechlake.audio.errors import AudioError
    from speechlake.audio.storage import open_audio

    said: dict[str, Any] = {name: None if pd.isna(value) else value for name, value in row.items()}
    path, expected = str(said["container"] or said["path"]), str(said["content_sha256"])
    if said["uri"] is None:
        return (
            path,
            expected,
            None,
            f"root {said['root']!r} of corpus {said['corpus']!r} is not known any more",
        )
    # pandas makes floats of whole numbers where one is missing.
    offset, length = (None if n is None else int(n) for n in (said["byte_offset"], said["byte_length"]))
    try:
        with open_audio(said["uri"], path, byte_offset=offset, byte_length=length) as audio:
            found = audio.content_sha256()
    except AudioError as error:
        return path, expected, None, f"{error.code} {error.detail or ''}".strip()
    return path, expected, found, None if found == expected else "other bytes than the release recorded"
