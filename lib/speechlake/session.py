"""The Spark session: settings for a lake on this machine and for a cluster, each with its reason."""

from __future__ import annotations

import errno
import logging
import os
import re
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from speechlake import logs
from speechlake.damage import disk_full, told_by_java
from speechlake.errors import NoSpark, SpeechlakeError, UsageError
from speechlake.this_machine import usable_memory

if TYPE_CHECKING:
    from pyspark import SparkConf
    from pyspark.sql import SparkSession

    from speechlake.health.finding import Finding

EVERYWHERE = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    # With a txn id left over in the session, an unrelated append is dropped silently.
    "spark.databricks.delta.write.txnVersion.autoReset.enabled": "true",
    # `${env:X}` in any SQL text would read the environment.
    "spark.sql.variable.substitute": "false",
    # A worker that is silent for so long is ended; both are needed. Far above the slowest honest recording
    # (hours of audio, a large model, one core): decoders and models have deadlines of their own.
    "spark.python.worker.idleTimeoutSeconds": "43200",
    "spark.python.worker.killOnIdleTimeout": "true",
    # Small batches: a batch is decoded clips' results, and a kill loses at most one chunk anyway.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "4096",
    "spark.sql.session.timeZone": "UTC",
    # Deriving constraints of deep plans can take Spark minutes; the filters it would add skip little here.
    "spark.sql.constraintPropagation.enabled": "false",
    # Asks of every array that is exploded whether it is empty, and computes it once more for that: link keys are hashes.
    "spark.sql.optimizer.excludedRules": "org.apache.spark.sql.catalyst.optimizer.InferFiltersFromGenerate",
    # Java never compiles a method of more than 8,000 bytes (HotSpot's HugeMethodLimit): joining all that is current
    # and judging it was one, and 38 % of its time went to the interpreter. Spark leaves a plan that would become
    # such a method to its single steps. That plan over a million utterances, warm: 34 s without this, 28 with it.
    "spark.sql.codegen.hugeMethodLimit": "8000",
    # A release compiles some five hundred classes, of which Spark remembers a hundred by default: the next one in the
    # session would spell, load and heat up most of them again.
    "spark.sql.codegen.cache.maxEntries": "1000",
    # How rows that are staged become bytes: Java's own way took 8 s more of a million utterances cut again in 81. What
    # is one object there, a text or a list of links, may be as large as the second says.
    "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
    "spark.kryoserializer.buffer.max": "1g",
    # Asks the JVM where in Python each column came from: 60 % of all calls to it.
    "spark.python.sql.dataFrameDebugging.enabled": "false",
    # Keys of storage accounts, and keys that go to executors' environments, are not redacted in event logs
    # and on Spark's pages by default.
    "spark.redaction.regex": "(?i)secret|password|passphrase|token|credential|access[._-]?key|account[._-]?key|api[._-]?key"
    "|sas[._-]|[._]sas|private[._-]?key|jdbc",
    # Thousands of staged files in a plan are of no use to a reader.
    "spark.sql.maxMetadataStringLength": "200",
}

ON_THIS_MACHINE = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    # Snapshot reads and VACUUM start thousands of tiny tasks by default (51 s against 5 s, 2 cores).
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
    # Counting and copying what was just read is dearer than the reading, for tables this small.
    "spark.databricks.delta.stats.collect.using.tableSchema": "true",
    "spark.sql.adaptive.coalescePartitions.minPartitionSize": "1MB",
    # Rows of a table that fit one group of the default 128 MB are read by one core, whatever others do.
    "spark.hadoop.parquet.block.size": str(16 * 2**20),
    # A daemon forked from a Python without native threads serves all workers.
    "spark.python.worker.reuse": "true",
}

# A worker that ends because its device is broken is tried twice on its executor, then elsewhere, where there is one.
ON_A_CLUSTER = {
    "spark.excludeOnFailure.enabled": "true",
    "spark.excludeOnFailure.task.maxTaskAttemptsPerExecutor": "2",
    "spark.excludeOnFailure.task.maxTaskAttemptsPerNode": "3",
}

# The least is what was asked for on every machine before; above 6 nothing was measured.
LEAST_DRIVER_GIB, MOST_DRIVER_GIB = 4, 16
FEW_CORES = 4
# How hot is hot, where the compiler has no core of its own: calls, calls of what loops, both, turns of a loop.
HOT = {
    "InvocationThreshold": 50_000,
    "MinInvocationThreshold": 6_000,
    "CompileThreshold": 150_000,
    "BackEdgeThreshold": 400_000,
}
# Where a user may have named a collector for every Java that is started from here. Java refuses two.
JAVA_OPTIONS_IN = ("SPARK_SUBMIT_OPTS", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS")
COLLECTOR = re.compile(r"-XX:\+Use\w+GC\b")
# What spark-submit takes for a master, before Java looks at it.
MASTER = re.compile(r"local|yarn|spark://|k8s://")
# Where spark-submit's JVM listens for the Python process that it started.
UNDER_SPARK_SUBMIT = "PYSPARK_GATEWAY_PORT"


def spark_session(
    app: str, *, master: str | None = None, extra: dict[str, str] | None = None
) -> SparkSession:
    """A session for `app`: spark-submit's master, else `master`, else all cores of this machine.

    In one line: UsageError where Java or Delta's jars are missing, or the master is none; NoSpark where it does
    not answer. A running session is returned as it is.
    """
    from pyspark import SparkConf, SparkContext
    from pyspark.sql import SparkSession

    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    if UNDER_SPARK_SUBMIT in os.environ:
        # The JVM runs already and holds what spark-submit was given. A conf that is made before Python knows
        # that JVM is empty, and would put our defaults, master included, over what was given.
        SparkContext._ensure_initialized()
    conf = SparkConf()
    # "4": a task whose worker died is tried again; plain local[N] gives up at the first failure.
    conf.setIfMissing("spark.master", master or os.environ.get("SPEECHLAKE_MASTER") or "local[*,4]")
    conf.setIfMissing("spark.app.name", f"speechlake {app}")
    for settings in (_said_settings(), extra or {}, EVERYWHERE, _local_settings(conf)):
        for name, value in settings.items():
            conf.setIfMissing(name, value)
    _with_jars(conf)
    try:
        spark = SparkSession.builder.config(conf=conf).getOrCreate()
    except Exception as error:
        raise _not_started(str(conf.get("spark.master")), error) from error
    spark.sparkContext.setLogLevel("ERROR")
    # PySpark tells every refused query once more as a JSON object with Java's whole stack.
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    logging.getLogger().addFilter(_no_interrupt)
    _remember_functions(spark)
    return spark


def _remember_functions(spark: SparkSession) -> None:
    """PySpark asks Java twice for each function, by name, whenever a column is made of one: four thousand times for a
    release, and longer than making the column. What Java answers is the same while it runs.
    """
    from py4j.java_gateway import JavaClass

    class Remembering(JavaClass):  # type: ignore[misc]
        def __getattr__(self, name: str) -> object:
            found = super().__getattr__(name)
            self.__dict__[name] = found
            return found

    place, gateway = "org.apache.spark.sql.functions", spark.sparkContext._gateway
    # Where PySpark looks it up by another way, nobody asks for this.
    if gateway is not None:
        gateway.jvm.__dict__[place] = Remembering(place, gateway._gateway_client)


def _no_interrupt(record: logging.LogRecord) -> bool:
    """False for py4j's own word of an interrupt, with its whole stack: the job says it in a line."""
    return not (record.module == "java_gateway" and str(record.msg).startswith("KeyboardInterrupt"))


def on_this_machine(spark: SparkSession) -> bool:
    """Whether tasks run in this session's process: not so in `local-cluster[…]`, whose executors are others."""
    master = spark.sparkContext.master or ""
    return master == "local" or master.startswith("local[")


def _said_settings() -> dict[str, str]:
    """SPEECHLAKE_SPARK_CONF: `name=value` pairs between semicolons, for runs without spark-submit."""
    said = os.environ.get("SPEECHLAKE_SPARK_CONF", "")
    pairs = [pair.strip().partition("=") for pair in said.split(";") if pair.strip()]
    wrong = [name for name, equals, _ in pairs if not equals or not name.startswith("spark.")]
    if wrong:
        raise UsageError(
            f"SPEECHLAKE_SPARK_CONF: {wrong[0]!r} is not spark.name=value", hint="Separate pairs by ';'."
        )
    return {name: value for name, _, value in pairs}


def _local_settings(conf: SparkConf) -> dict[str, str]:
    if not str(conf.get("spark.master", "")).startswith("local"):
        return ON_A_CLUSTER
    # Workers take python3 from PATH otherwise, not the interpreter that has our packages.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    cores = os.cpu_count() or 2
    settings = {
        **ON_THIS_MACHINE,
        "spark.driver.memory": f"{_driver_gib(usable_memory())}g",
        "spark.sql.shuffle.partitions": str(max(2, min(cores, 64))),
    }
    settings["spark.driver.extraJavaOptions"] = " ".join(_java_options(cores))
    return settings


def _driver_gib(usable: int) -> int:
    """Memory that the driver's Java asks for, in GiB, where it runs all tasks too: a quarter of what there is.

    Measured on 24 GB: a million utterances cut again took 105 s with 4 GiB and 99 with 6.
    """
    return min(max(LEAST_DRIVER_GIB, round(usable / (4 << 30))), MOST_DRIVER_GIB)


def _java_options(cores: int) -> Iterator[str]:
    form = "log4j2-json.properties" if logs.is_json() else "log4j2.properties"
    log4j = resources.files("speechlake").joinpath(form)
    if isinstance(log4j, Path):
        yield f"-Dlog4j2.configurationFile={log4j.as_uri()}"
    if cores <= FEW_CORES:
        # Only what is ten times as hot as by default goes to the optimising compiler, which else takes a third of
        # the CPU of a short run. Without it long runs take nearly twice the time.
        # Measured on 2 hyperthreads, CPU seconds without it, so, and by default: two small ingests and
        # extractions 97, 120, 146 (seconds: 102, 106, 105); a million utterances cut again 1,001, 588, not
        # measured (seconds: 557, 313).
        yield from (f"-XX:Tier4{name}={value}" for name, value in HOT.items())
        # G1, Java's default, works beside the tasks and takes their cores: a million utterances cut again took
        # 262 s with it and 243 with this (2 cores).
        if not any(COLLECTOR.search(os.environ.get(name, "")) for name in JAVA_OPTIONS_IN):
            yield "-XX:+UseParallelGC"
    if class_archive().exists():
        # Silent where the archive is not of this Java or these jars: it would say so on standard output.
        # Quoted, because Spark splits what it is told at spaces.
        yield f'"-XX:SharedArchiveFile={class_archive()}"'
        yield "-Xlog:cds*=off"


def _with_jars(conf: SparkConf) -> None:
    """Name Delta's jars, unless they already lie beside Spark's own or came with spark-submit."""
    named = f"{conf.get('spark.jars', '')} {conf.get('spark.jars.packages', '')}"
    if "delta" in named or delta_jars(spark_jars()):
        return
    for folder in filter(None, (os.environ.get("SPEECHLAKE_JARS"), "build/jars")):
        jars = delta_jars(Path(folder))
        if jars:
            others = [jar for jar in (conf.get("spark.jars", "") or "").split(",") if jar]
            conf.set("spark.jars", ",".join([*others, *(str(jar.resolve()) for jar in jars)]))
            return
    raise UsageError(
        "Delta's jars were not found beside Spark's, in $SPEECHLAKE_JARS or in build/jars.",
        hint="`make setup` fetches them once; on a cluster pass --packages io.delta:delta-spark_4.2_2.13:4.4.0.",
    )


def delta_jars(folder: Path) -> list[Path]:
    """Delta's jars in `folder`, sorted."""
    return sorted([*folder.glob("*delta-spark*.jar"), *folder.glob("*delta-storage*.jar")])


def spark_jars() -> Path:
    """The folder of jars of the Spark that would start."""
    import pyspark

    return Path(os.environ.get("SPARK_HOME") or Path(pyspark.__file__).parent) / "jars"


def class_archive() -> Path:
    """Where `scripts/class_archive.py` leaves the classes that jobs need, for Java to map instead of load."""
    return spark_jars() / "speechlake.jsa"


def _not_started(master: str, error: Exception) -> SpeechlakeError:
    """Why there is no session. PySpark's own message names neither the cause in Java nor the master.

    Where the master is one and there is a Java that fits, what keeps it from starting (memory, a port) may pass.
    """
    from py4j.protocol import Py4JJavaError

    by_java = isinstance(error, Py4JJavaError)
    whole = "\n".join(told_by_java(error)) if by_java else str(error).strip()
    full = disk_full(whole)
    if full is not None:
        return full
    said = (whole.splitlines() or [type(error).__name__])[0][:300]
    if "Master URL" in said or not MASTER.match(master):
        return UsageError(
            f"Spark does not start on {master}: {said}",
            hint="local[*,4], spark://HOST:7077, yarn, k8s://URL.",
        )
    unfit = None if by_java else _unfit_java(error)
    if unfit is not None:
        return UsageError(f"Spark does not start: {said}", hint=f"{unfit.found}. {unfit.fix}")
    return NoSpark(
        f"Spark does not start on {master}: {said}",
        hint="Is the master there, and reached from here? Lines above say what Spark tried; docs/cluster.md.",
    )


def _unfit_java(error: Exception) -> Finding | None:
    """What is wrong with the Java that Spark would start, or with its starter; None where that is not it."""
    from speechlake.health.finding import Patient
    from speechlake.health.software import java, spark

    if isinstance(error, OSError) and error.errno in (errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE):
        return None
    checks = (java, spark) if isinstance(error, OSError) else (java,)
    found = [check(Patient()) for check in checks]
    return next((each for each in found if each.state == "mend"), None)
