"""Register: tables and views of a lake in a catalog, for those who bring their own SQL and no speechlake.

Every table becomes an external table where it lies, and `utterances_now`, `all_transcripts` and `imported_now`
become views whose text plain Spark with Delta understands. Views follow promotions and releases by themselves;
run it again after an upgrade, and when a table was written for the first time. Run again, it changes nothing
else, and it refuses names that it did not make.

    spark-submit --py-files dist/speechlake.zip jobs/register.py --lake s3a://corpus/lake --database speech
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from speechlake import job
from speechlake.catalog.register import Target, register
from speechlake.errors import UsageError
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.progress import Progress
from speechlake.statements import refusal_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NAME = "register"
SESSION_CATALOG = "spark_catalog"
STRICT = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)


def arguments() -> argparse.ArgumentParser:
    """Every knob of this job; text becomes typed values here and nowhere deeper."""
    made = job.parser(__doc__)
    made.add_argument(
        "--catalog",
        default=SESSION_CATALOG,
        type=_strict,
        help="catalog that Spark's settings know; default the session's, which is Hive's where "
        "spark.sql.catalogImplementation says so",
    )
    made.add_argument(
        "--database", default="speechlake", type=_strict, help="made where it is missing; default speechlake"
    )
    made.add_argument("--tables-only", action="store_true", help="for catalogs that hold no views")
    return made


def _strict(text: str) -> str:
    if not STRICT.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name of letters, digits and underscores")
    return text


def run(
    lake: Lake,
    *,
    catalog: str = SESSION_CATALOG,
    database: str = "speechlake",
    with_views: bool = True,
    progress: Progress,
) -> Report:
    """Register the lake and count what was done; UsageError where the catalog refuses."""
    from pyspark.errors import PySparkException

    try:
        done = register(lake, Target(lake.spark, catalog, database), with_views=with_views)
    except PySparkException as error:
        refused = refusal_of(
            error, f"the catalog {catalog} refuses", hint="For one without views: --tables-only."
        )
        if refused is None:
            raise
        raise refused from None
    changed = [name for name, what in done.items() if what != "unchanged"]
    progress.say(
        f"{catalog}.{database}: {', '.join(changed) or 'everything'} {'made' if changed else 'is as it was'}"
    )
    counted = Counter(done.values())
    return Report(
        NAME,
        "done" if changed else "nothing to do",
        counts={what: counted[what] for what in ("created", "refreshed", "unchanged")},
        next_step=f'spark-sql -e "select * from {catalog}.{database}.utterances_now limit 5"',
    )


def require_lasting(spark: SparkSession, catalog: str) -> None:
    """UsageError for the catalog that ends with this process."""
    kept = spark.conf.get("spark.sql.catalogImplementation", "in-memory")
    if catalog == SESSION_CATALOG and kept == "in-memory":
        raise UsageError(
            "this session's catalog is kept in memory, and would be gone when the command ends",
            hint="Set spark.sql.catalogImplementation=hive (SPEECHLAKE_SPARK_CONF, or --conf of spark-submit) "
            "and where its metastore is, or name a --catalog.",
        )


def _call(lake: Lake, parsed: argparse.Namespace) -> Report:
    require_lasting(lake.spark, parsed.catalog)
    return run(
        job.existing(lake),
        catalog=parsed.catalog,
        database=parsed.database,
        with_views=not parsed.tables_only,
        progress=Progress(),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; the exit code."""
    return job.main(NAME, arguments(), _call, argv)


if __name__ == "__main__":
    sys.exit(main())
