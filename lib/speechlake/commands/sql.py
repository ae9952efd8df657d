"""SQL: a query over the tables and views of a lake, printed as a table, or as CSV of all its rows.

Views: every table by its name, `utterances_now` (one row per current utterance with its signals as
`<extractor>_<column>`, its text, score, cluster, and the last release's decision), `all_transcripts`, and
`imported_now` (the values of imports that are current). As of every job the last line of stdout is a JSON object,
behind the CSV too, unless that goes to a file.

    spark-submit jobs/sql.py --lake s3a://corpus/lake "select language, count(*) from utterances_now group by 1"
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from speechlake import job, logs
from speechlake.damage import damage_of
from speechlake.errors import UsageError
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.outputs import CSV_FILE, require_folder, write_csv
from speechlake.statements import refusal_of
from speechlake.terminal import console, show
from speechlake.views import register_views

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

NAME = "sql"
ROWS = 100
# Spark counts a limit in 32 bits, and one row more is asked for.
MAX_ROWS = 2**31 - 2
# Spark's commands that only tell something.
_TELLS = re.compile(r"(?:Show|Describe|Explain)\w*")
# What is no query either, though Spark does not call it a command.
_NO_QUERY = re.compile(r"Insert\w+|\w+Statement|Call|UnresolvedExecuteImmediate")


def arguments() -> argparse.ArgumentParser:
    """Every knob of this job; text becomes typed values here and nowhere deeper."""
    made = job.parser(__doc__)
    made.add_argument(
        "--limit",
        type=job.whole(0, MAX_ROWS),
        help=f"rows that are printed at most; default {ROWS}, or all rows as CSV",
    )
    form = made.add_mutually_exclusive_group()
    form.add_argument(
        "--csv", action="store_true", help="print CSV rather than a table, and the JSON line behind it"
    )
    form.add_argument(
        "--csv-file", type=Path, metavar="FILE", help="write CSV to a file; nothing else is in it"
    )
    made.add_argument("query", help="one query: SELECT, WITH, FROM, VALUES, TABLE, SHOW, DESCRIBE or EXPLAIN")
    return made


def run(
    lake: Lake, query: str, *, limit: int | None = None, as_csv: bool = False, file: Path | None = None
) -> Report:
    """Print the first `limit` rows that `query` yields, or write them to `file` as CSV, and say where there are more;
    UsageError where it is no query, or Spark refuses it."""
    from pyspark.errors import PySparkException

    as_csv = as_csv or file is not None
    most = ROWS if limit is None and not as_csv else limit
    _require_query(lake, query)
    views = register_views(lake, query)
    # A query names views; files by path (`parquet.`/etc``) are not for it.
    lake.spark.conf.set("spark.sql.runSQLOnFiles", "false")
    try:
        frame = lake.spark.sql(query)
        some = frame if most is None else frame.limit(most + 1)
        there = write_csv(some, file, most) if as_csv else _show(some, most)
    except PySparkException as error:
        found = damage_of(lake, error) or refusal_of(
            error, "Spark refuses the query", hint=f"Views: {', '.join(views)}."
        )
        if found is None:
            raise
        raise found from None
    finally:
        lake.spark.conf.unset("spark.sql.runSQLOnFiles")
    if most is None or there <= most:
        return Report(NAME, counts={"rows": there})
    logs.say(f"only the first {most} rows are printed; --limit N prints more")
    return Report(NAME, counts={"rows": most, "more_rows": True}, next_step="--limit N shows more")


def _require_query(lake: Lake, query: str) -> None:
    """UsageError for a statement that changes something: through a view it would reach its table without a lock."""
    from py4j.java_gateway import is_instance_of
    from pyspark.errors import ParseException

    gateway = lake.spark.sparkContext._gateway
    command = "org.apache.spark.sql.catalyst.plans.logical.Command"
    try:
        plan = lake.spark._jsparkSession.sessionState().sqlParser().parsePlan(query)
    except ParseException:
        return  # Spark says it again when it is to run it
    if _TELLS.fullmatch(plan.getClass().getSimpleName()):
        return
    # What is inserted stands below its WITH, and several times below one FROM.
    pending = [plan]
    while pending:
        node = pending.pop()
        name = str(node.getClass().getSimpleName())
        if is_instance_of(gateway, node, command) or _NO_QUERY.fullmatch(name):
            raise UsageError(
                f"sql takes one query and changes nothing, and this is {name}: {' '.join(query.split())[:100]}",
                hint="Queries begin with SELECT, WITH, FROM, VALUES or TABLE; SHOW, DESCRIBE and EXPLAIN are taken too.",
            )
        below = node.children()
        pending += [below.apply(n) for n in range(below.size())]


def _show(frame: DataFrame, most: int | None) -> int:
    """Print up to `most` rows as a table; how many there are."""
    rows = frame.collect()
    show(console(), "", frame.columns, rows[:most])
    return len(rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit code."""
    return job.main(
        NAME,
        arguments(),
        lambda lake, parsed: run(
            job.existing(lake), parsed.query, limit=parsed.limit, as_csv=parsed.csv, file=parsed.csv_file
        ),
        argv,
        read=_read,
    )


def _read(parsed: argparse.Namespace) -> None:
    require_folder(parsed.csv_file, CSV_FILE)


if __name__ == "__main__":
    sys.exit(main())
