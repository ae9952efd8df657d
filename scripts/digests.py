"""Compare what the code computes with what it computed before: a digest per table, whatever the order of rows.

    .venv/bin/python scripts/digests.py build/demo/lake            # compare with tests/digests.json; 1 if they differ
    .venv/bin/python scripts/digests.py build/demo/lake --write    # write tests/digests.json

Covers the tables of a lake that the demo made, and splits, decisions and assignments of three generated worlds
(tests/splits/world.py), each under a policy of its own. What differs from one run to the next is left out: run ids,
times, keys that hold a file's time, and tables of what a run cost. Names that renames.csv maps to a new one are
compared under the old one; fingerprints and build ids, which follow from names, are compared as the name of their
extractor or release. It is for changes that must not change a value; it is deleted with renames.csv.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import random
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent
EXPECTED = HERE / "tests" / "digests.json"
RENAMES = HERE / "renames.csv"
# Seconds, bytes and model loads of a run.
COSTS = {"chunks", "runs"}
# Run ids and times; keys with a file's time of change; and digests of text in which names stand.
LEFT_OUT = {
    "run_id",
    "listing_key",
    "published_at",
    "policy",
    "policy_sha256",
    "versions_read",
    "rows_digest",
}
# These cover folders of this checkout, or bytes of Ogg streams, whose serial numbers are random.
LEFT_OUT |= {"parser_version", "sha256", "link_key"}
# Content that is not known is named by a listing key.
LISTING = re.compile(r"listing:\S+")
WORLDS, LINES, CLIPS = 3, 150, 90


class Names:
    """Today's names -> the names under which tests/digests.json was written; `values` also replaces parts of text."""

    def __init__(self, values: Mapping[str, str]) -> None:
        rows = [*csv.DictReader(RENAMES.open(encoding="utf-8"))] if RENAMES.exists() else []
        self._old = {
            kind: {row["new"]: row["old"] for row in rows if row["kind"] == kind}
            for kind in ("table", "column", "value")
        }
        self._parts = {**values, str(HERE): "HERE"}

    def table(self, name: str) -> str:
        """Returns the old name of a table."""
        return self._old["table"].get(name, name)

    def column(self, name: str) -> str:
        """Returns the old name of a column."""
        return self._old["column"].get(name, name)

    def value(self, value: Any) -> Any:
        """Returns a value of a column, whatever is in it, under old names, as JSON holds it."""
        if isinstance(value, str):
            for new, old in self._parts.items():
                value = value.replace(new, old)
            return self._old["value"].get(value, LISTING.sub("listing", value))
        if isinstance(value, Mapping):
            return {self.column(str(key)): self.value(item) for key, item in sorted(value.items())}
        if isinstance(value, (list, tuple)):
            items = [self.value(item) for item in value]
            # A map, as Arrow has it: its order means nothing.
            return sorted(items, key=repr) if all(isinstance(item, tuple) for item in value) else items
        return value if isinstance(value, (int, float, bool, type(None))) else repr(value)


def digest(rows: Iterable[Mapping[str, Any]], names: Names) -> dict[str, Any]:
    """Returns how many rows there are, and the sum of their hashes in hex: it does not depend on their order."""
    total = count = 0
    for row in rows:
        kept = {names.column(name): names.value(value) for name, value in row.items() if name not in LEFT_OUT}
        line = json.dumps(kept, sort_keys=True, ensure_ascii=True).encode()
        total += int.from_bytes(hashlib.sha256(line).digest()[:16], "big")
        count += 1
    return {"rows": count, "digest": f"{total % (1 << 128):032x}"}


def of_lake(lake: Path) -> dict[str, Any]:
    """Returns the digests of a lake's tables by name. SystemExit where there is no lake."""
    from deltalake import DeltaTable
    from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

    folders = [folder.parent for folder in sorted(lake.glob("*/_delta_log"))]
    if not folders:
        raise SystemExit(f"there is no lake in {lake}: run make demo")

    def rows(name: str) -> list[dict[str, Any]]:
        # Its own file system would call Python from threads while the interpreter ends.
        files = SubTreeFileSystem(str(lake / name), LocalFileSystem())
        found: list[dict[str, Any]] = (
            DeltaTable(str(lake / name)).to_pyarrow_table(filesystem=files).to_pylist()
        )
        return found

    plain = Names({})
    values = {row["fingerprint"]: f"<{plain.value(row['name'])}>" for row in rows("extractors")}
    values |= {row["build_id"]: f"<{row['release']}>" for row in rows("releases")}
    # Ogg streams again: the demo's have other bytes each time.
    paths = {row["recording_id"]: row["path"] for row in rows("recordings")}
    content = {row["content_sha256"]: paths[row["recording_id"]] for row in rows("content_hashes")}
    values |= {key: f"<{path}>" for key, path in content.items() if path.endswith((".ogg", ".opus"))}
    names = Names(values)
    return {
        names.table(folder.name): digest(rows(folder.name), names)
        for folder in folders
        if names.table(folder.name) not in COSTS
    }


def of_worlds() -> dict[str, Any]:
    """Returns the digests of what three generated worlds are built into."""
    sys.path[:0] = [str(HERE / "tests"), str(HERE / "tests" / "splits")]
    tables, worlds, tests = (import_module(name) for name in ("splits_tables", "world", "test_worlds"))

    from speechlake.session import spark_session
    from speechlake.splits.build import build

    # Tiny tables: compiling a query costs more than interpreting it.
    short = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}
    spark = spark_session("digests", master="local[2]", extra={"spark.sql.shuffle.partitions": "2", **short})
    names, found = Names({}), {}
    for number in range(WORLDS):
        rng = random.Random(number)
        world = worlds.World(rng, CLIPS)
        world.deliver(LINES)
        world.correct(0.2)
        policy, _ = tests.drawn_policy(rng)
        result = build(tables.candidates(spark, *world.rows()), policy, tables.unassigned(spark))
        for table in ("splits", "decisions", "assignments"):
            rows = [row.asDict(recursive=True) for row in getattr(result, table).collect()]
            found[f"world {number}, {table}"] = digest(rows, names)
    spark.stop()
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Compare, or write; 1 where a digest differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("lake", type=Path, help="the lake that the demo made")
    parser.add_argument("--write", action="store_true", help=f"write {EXPECTED.relative_to(HERE)}")
    options = parser.parse_args(argv)
    found = of_lake(options.lake) | of_worlds()
    if options.write:
        EXPECTED.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        print(f"{EXPECTED}: {len(found)} digests")
        return 0
    expected = json.loads(EXPECTED.read_text("utf-8"))
    differ = [name for name in sorted({*found, *expected}) if found.get(name) != expected.get(name)]
    for name in differ:
        print(f"{name}: {found.get(name)}, expected {expected.get(name)}", file=sys.stderr)
    print(f"{len(expected) - len(differ)} of {len(expected)} digests are equal")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
