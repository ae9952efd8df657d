"""Small lakes of every contract version, as text: `upgrade/contract_<version>.json`.

A file says of each table how it is declared and what is in it, so that a lake of that version can be made long
after the code that wrote it is gone. Before `CONTRACT` is raised, and while nothing else has changed, this writes
the present version's file, from a lake that the jobs of this checkout make:

    python tests/frozen_lake.py
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from speechlake.lake import Lake

FOLDER = Path(__file__).resolve().parent / "upgrade"
POLICY = """
name: frozen
text: {prefer: [manifest]}
keep: [{rule: length, signal: audio.duration_s, at_least: 0.4}]
duplicates: {kinds: [exact], keep: [duration]}
splits: {scheme: main, salt: 3, test: {hours: 1, max_share: 0.4}}
"""


def frozen(version: int) -> Mapping[str, Any]:
    """A version's tables by name: `ddl`, `partition_by`, `cluster_by`, `properties`, `rows` as JSON texts."""
    return dict(json.loads((FOLDER / f"contract_{version}.json").read_text(encoding="utf-8")))


def make_frozen_lake(spark: SparkSession, root: Path, version: int, *, only: Collection[str] = ()) -> None:
    """Write the lake of a version, or `only` some of its tables, under `root`, without asking today's contracts."""
    for name, table in frozen(version).items():
        if not only or name in only:
            _make_table(spark, str(root / name), table)


def _make_table(spark: SparkSession, path: str, table: Mapping[str, Any]) -> None:
    from delta.tables import DeltaTable
    from pyspark.sql import functions as F
    from pyspark.sql.types import StructType

    schema = StructType.fromDDL(table["ddl"])
    builder: Any = DeltaTable.create(spark).location(path).addColumns(schema)
    for key, value in table["properties"].items():
        builder = builder.property(key, value)
    if table["partition_by"]:
        builder = builder.partitionedBy(*table["partition_by"])
    if table["cluster_by"]:
        builder = builder.clusterBy(*table["cluster_by"])
    builder.execute()
    if table["rows"]:
        lines = spark.createDataFrame([(row,) for row in table["rows"]], "line string")
        rows = lines.select(F.from_json("line", schema, {"mode": "FAILFAST"}).alias("row")).select("row.*")
        rows.coalesce(1).write.format("delta").mode("append").save(path)


def dumped(spark: SparkSession, root: str, names: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The tables of a lake as `frozen` gives them back."""
    for name in names:
        path = f"{root}/{name}"
        if not Path(path, "_delta_log").is_dir():
            continue
        frame = spark.read.format("delta").load(path)
        detail = spark.sql(f"DESCRIBE DETAIL delta.`{path}`").collect()[0]
        yield (
            name,
            {
                "ddl": frame.schema.toDDL(),
                "partition_by": list(detail.partitionColumns),
                "cluster_by": list(detail.clusteringColumns or []),
                "properties": {
                    key: value for key, value in sorted(detail.properties.items()) if key.startswith("delta.")
                },
                "rows": sorted(frame.toJSON().collect()),
            },
        )


def freeze(spark: SparkSession, root: str, names: list[str], version: int) -> None:
    """Write the file of a version from a lake of it."""
    said = dict(dumped(spark, root, names))
    text = json.dumps(said, ensure_ascii=False, indent=1, sort_keys=True)
    (FOLDER / f"contract_{version}.json").write_text(text + "\n", encoding="utf-8")


def fill(lake: Lake, folder: Path) -> None:
    """What the file of a version holds: two corpora with a copy, a repeat and a refused line, and a release."""
    from job_extractors import AllSpeech, Parrot
    from lake_tools import QUIET, ingest, says, wav, write_lines

    from speechlake.commands import build_splits, extract_signals, find_duplicates, score_transcripts
    from speechlake.config import loads
    from speechlake.signals.audio import Audio
    from speechlake.signals.audio_keys import AudioKeys
    from speechlake.signals.plan import wanted_of
    from speechlake.splits.policy import Policy

    for corpus, seeds in (("calls", (0, 1, 2)), ("reader", (2, 3))):
        lines = []
        for seed in seeds:
            wav(folder / corpus / f"u{seed}.wav", seed=seed, seconds=1.0)
            lines.append(
                says(
                    f"u{seed}.wav",
                    f"text of clip {seed}",
                    id=f"{corpus}{seed}",
                    speaker=f"s{seed}",
                    lang="en",
                )
            )
        more = [lines[0], b"{"] if corpus == "calls" else []
        ingest(lake, write_lines(folder / corpus / "m.jsonl", *lines, *more), corpus=corpus, max_reject=0.5)
    wanted = wanted_of([Audio(), AudioKeys(), AllSpeech(), Parrot()])
    extract_signals.run(lake, wanted, corpus=None, progress=QUIET)
    score_transcripts.run(lake, corpus=None, progress=QUIET)
    find_duplicates.run(lake, progress=QUIET)
    build_splits.run(lake, loads(POLICY, "p", Policy), POLICY, release="r1", progress=QUIET)


def main() -> int:
    """Make a lake by the jobs of this checkout, and keep it as the file of its version."""
    sys.path.insert(0, str(FOLDER.parent))
    from speechlake.lake import Lake
    from speechlake.schemas import TABLES
    from speechlake.schemas.contract import CONTRACT
    from speechlake.session import spark_session

    spark = spark_session("freeze")
    spark.sparkContext.addPyFile(str(FOLDER.parent / "job_extractors.py"))
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(spark, Path(folder) / "lake")
        fill(lake, Path(folder))
        freeze(spark, lake.root, [*TABLES], CONTRACT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
