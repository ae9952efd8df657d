"""Write down which classes Java loads for a job, beside Spark's jars, so that every later command starts sooner.

    .venv/bin/python scripts/class_archive.py

A session that does what jobs do (tables, a merge, a query, a worker in Python) ends, and Java dumps what it
loaded (class-data sharing, 190 MB). `speechlake.session` names the file if it is there; a Java that is another
one, or other jars, take no notice of it.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

LONGEST_DUMP_S = 300.0


def main() -> int:
    """Make the archive; 0 when it is there."""
    from speechlake.session import class_archive

    path = class_archive()
    path.unlink(missing_ok=True)
    # Java dies of an archive that is cut short, so it gets its name when it is whole.
    new = path.with_suffix(".new")
    os.environ["SPARK_SUBMIT_OPTS"] = f'"-XX:ArchiveClassesAtExit={new}" -Xlog:cds*=off'
    if _use() or not new.exists():
        new.unlink(missing_ok=True)
        return 1
    new.rename(path)
    return 0


def _use() -> int:
    """Run two jobs and a worker in Python, and wait for Java, which dumps when it ends; its exit code."""
    from pyspark import SparkContext

    from speechlake.commands import ingest_manifests, sql
    from speechlake.session import spark_session

    spark = spark_session("class archive")
    spark.range(2).mapInArrow(lambda batches: batches, "id long").collect()
    with tempfile.TemporaryDirectory() as folder:
        lake, manifest = f"{folder}/lake", Path(folder) / "m.jsonl"
        manifest.write_text('{"audio_filepath": "a.wav", "text": "t"}\n')
        ingest_manifests.main(["--lake", lake, "--corpus", "c", "--audio-root", folder, str(manifest)])
        sql.main(["--lake", lake, "SELECT corpus, count(*) FROM utterances_now GROUP BY 1 ORDER BY 1"])
    gateway = SparkContext._gateway
    spark.stop()
    if gateway is None:
        return 1
    gateway.shutdown()
    gateway.proc.stdin.close()
    return int(gateway.proc.wait(LONGEST_DUMP_S))


if __name__ == "__main__":
    sys.exit(main())
