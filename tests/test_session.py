"""What a session on this machine is told."""

from __future__ import annotations

import errno
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pyspark
import pytest

from speechlake import session
from speechlake.errors import DiskFull, NoSpark, UsageError
from speechlake.health import software
from speechlake.health.finding import Finding, fine, mend

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.mark.parametrize(("cores", "told"), [(1, True), (4, True), (5, False), (64, False)])
def test_the_optimising_compiler_is_held_back_where_it_would_take_the_few_cores(
    cores: int, told: bool
) -> None:
    options = list(session._java_options(cores))
    assert ("-XX:Tier4InvocationThreshold=50000" in options) is told


@pytest.mark.parametrize(
    ("variable", "said", "asked"),
    [
        ("SPARK_SUBMIT_OPTS", "-Xms1g", True),
        ("SPARK_SUBMIT_OPTS", "-Xms1g -XX:+UseSerialGC", False),
        ("JAVA_TOOL_OPTIONS", "-XX:+UseZGC", False),
    ],
)
def test_the_collector_that_stops_the_tasks_is_asked_for_unless_one_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, said: str, asked: bool
) -> None:
    for name in session.JAVA_OPTIONS_IN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, said)
    assert ("-XX:+UseParallelGC" in session._java_options(2)) is asked
    assert "-XX:+UseParallelGC" not in session._java_options(64)


def test_a_class_archive_is_named_where_set_up_left_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "spark_jars", lambda: tmp_path)
    assert not [option for option in session._java_options(2) if "cds" in option]
    session.class_archive().touch()
    assert f'"-XX:SharedArchiveFile={tmp_path / "speechlake.jsa"}"' in list(session._java_options(2))


def test_places_with_spaces_in_their_names_stay_one_option_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my checkout"
    folder.mkdir()
    monkeypatch.setattr(session.resources, "files", lambda package: folder)
    monkeypatch.setattr(session, "spark_jars", lambda: folder)
    session.class_archive().touch()
    told = shlex.split(" ".join(session._java_options(64)))
    assert told == [
        f"-Dlog4j2.configurationFile=file://{tmp_path}/my%20checkout/log4j2.properties",
        f"-XX:SharedArchiveFile={folder}/speechlake.jsa",
        "-Xlog:cds*=off",
    ]


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("spark.hadoop.fs.s3a.secret.key", True),
        ("spark.hadoop.fs.s3a.access.key", True),
        ("spark.hadoop.fs.s3a.session.token", True),
        ("spark.executorEnv.AWS_ACCESS_KEY_ID", True),
        ("spark.executorEnv.AWS_SECRET_ACCESS_KEY", True),
        ("spark.hadoop.fs.azure.account.key.name.dfs.core.windows.net", True),
        ("spark.hadoop.fs.azure.sas.container.name.blob.core.windows.net", True),
        ("spark.hadoop.fs.azure.account.oauth2.client.secret", True),
        ("spark.hadoop.fs.gs.auth.service.account.private.key", True),
        ("spark.executorEnv.HF_TOKEN", True),
        ("spark.some.apikey", True),
        ("spark.hadoop.fs.s3a.endpoint", False),
        ("spark.executorEnv.SPEECHLAKE_CACHE", False),
        ("spark.app.name", False),
    ],
)
def test_what_is_secret_is_hidden_in_event_logs_by_its_name(name: str, hidden: bool) -> None:
    assert bool(re.search(session.EVERYWHERE["spark.redaction.regex"], name)) is hidden


@pytest.mark.parametrize(("usable_gib", "asked_gib"), [(2, 4), (16, 4), (23.5, 6), (64, 16), (512, 16)])
def test_a_local_driver_asks_for_a_quarter_of_the_memory_within_bounds(
    usable_gib: float, asked_gib: int
) -> None:
    assert session._driver_gib(int(usable_gib * (1 << 30))) == asked_gib


@pytest.mark.slow
def test_what_spark_submit_was_given_wins_over_our_defaults(tmp_path: Path) -> None:
    script = tmp_path / "told.py"
    script.write_text(
        "from speechlake.session import spark_session\n"
        "conf = spark_session('told').sparkContext.getConf()\n"
        "print('told', conf.get('spark.master'), conf.get('spark.python.worker.reuse'), conf.get('spark.redaction.regex'))\n"
    )
    home = Path(pyspark.__file__).parent
    command = [str(home / "bin" / "spark-submit"), "--master", "local[1]", "--driver-memory", "512m"]
    command += [
        "--conf",
        "spark.python.worker.reuse=false",
        "--conf",
        "spark.redaction.regex=mine",
        str(script),
    ]
    # The tests' own first heap is larger than all of this one.
    ours = {name: value for name, value in os.environ.items() if name != "SPARK_SUBMIT_OPTS"}
    environment = ours | {"SPARK_HOME": str(home), "PYSPARK_PYTHON": sys.executable}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["told", "local[1]", "false", "mine"]


GATEWAY = "[JAVA_GATEWAY_EXITED] Java gateway process exited before sending its port number."
FITS, OLD = (
    fine("java", "Java 17"),
    mend("java", "Java 11 (/usr/bin/java)", "Set JAVA_HOME to a Java 17 to 21."),
)


@pytest.mark.parametrize(
    ("error", "java", "kind", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), FITS, DiskFull, "no space left"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), OLD, NoSpark, "Cannot allocate memory"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), FITS, NoSpark, "refused"),
        (RuntimeError(GATEWAY), FITS, NoSpark, "JAVA_GATEWAY_EXITED"),
        (RuntimeError(GATEWAY), OLD, UsageError, "Java 11 .*Set JAVA_HOME to a Java 17"),
    ],
)
def test_what_keeps_a_java_that_fits_from_starting_is_worth_another_try(
    monkeypatch: pytest.MonkeyPatch, error: Exception, java: Finding, kind: type[Exception], told: str
) -> None:
    monkeypatch.setattr(software, "java", lambda _: java)
    monkeypatch.setattr(software, "spark", lambda _: FITS)
    found = session._not_started("local[*,4]", error)
    assert type(found) is kind
    assert re.search(told, str(found), re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("master", "code", "told"),
    [
        (
            "local[x]",
            2,
            r"UsageError: Spark does not start on local\[x\]: .*Could not parse Master URL: 'local",
        ),
        ("nonsense", 2, "UsageError: Spark does not start on nonsense: .*spark://HOST"),
        ("k8s://https://127.0.0.1:9", 5, "NoSpark: Spark does not start on k8s://https://127.0.0.1:9"),
    ],
    ids=["a master that cannot be read", "a JVM that ends at once", "a cluster that does not answer"],
)
def test_a_master_that_is_none_is_a_usage_error_and_one_that_is_away_is_worth_another_try(
    tmp_path: Path, master: str, code: int, told: str
) -> None:
    command = [str(Path(sys.executable).with_name("speechlake")), "report", "--lake", str(tmp_path)]
    environment = os.environ | {"SPEECHLAKE_MASTER": master}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == code
    assert re.search(told, done.stderr, re.DOTALL)


@pytest.mark.slow
def test_java_is_asked_once_where_a_function_is(spark: SparkSession) -> None:
    from pyspark.sql import functions as F

    known = vars(spark._jvm)["org.apache.spark.sql.functions"]
    vars(known).pop("soundex", None)
    F.soundex("a")
    assert "soundex" in vars(known)
