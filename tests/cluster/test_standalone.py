"""On a standalone cluster of two workers jobs yield what they yield on one machine, whoever is lost meanwhile."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import on_gpu
import pytest
from lake_rows import rows
from standalone import GPU, HERE, ROOT, Cluster, ended

pytestmark = [pytest.mark.slow, pytest.mark.long]

JOBS = ROOT / "jobs"
SECRET = {
    "spark.hadoop.fs.s3a.secret.key": "hush-one",
    "spark.executorEnv.AWS_ACCESS_KEY_ID": "hush-two",
    "spark.hadoop.fs.azure.account.key.name.dfs.core.windows.net": "hush-three",
}
ON_GPU = on_gpu.OnGpu().identity().fingerprint
MEASURED = (
    "corpora",
    "recordings",
    "utterances",
    "transcripts",
    "content_hashes",
    "signals_audio",
    "signals_speech",
)


@pytest.fixture(scope="session")
def curated(cluster: Cluster, demo: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lake of the same pipeline on the cluster, under a GPU schedule, with models on the CPU because it says so."""
    lake = tmp_path_factory.mktemp("curated") / "lake"
    found, _ = cluster.run(JOBS / "pipeline.py", *demo.arguments(lake), conf=GPU | SECRET)
    assert found["outcome"] == "done"
    return lake


def test_the_pipeline_leaves_the_same_rows_on_a_cluster_as_on_one_machine(demo: Any, curated: Path) -> None:
    expected, found = rows(demo.lake), rows(curated)
    assert {name: len(table) for name, table in found.items()} == {
        name: len(table) for name, table in expected.items()
    }
    assert [name for name in expected if found[name] != expected[name]] == []
    assert {"signals_whisper", "splits", "decisions", "quarantine", "duplicates", "releases"} <= set(found)


def test_both_workers_measured_each_with_its_own_device_and_no_secret_was_written(
    cluster: Cluster, curated: Path
) -> None:
    log = list(cluster.events())
    added = [event["Executor Info"] for event in log if event["Event"] == "SparkListenerExecutorAdded"]
    given = {
        info["Host"]: info["Resources"]["gpu"]["addresses"]  # type: ignore[index]
        for info in added
    }
    assert given == {"127.0.0.2": ["0"], "127.0.0.3": ["1"]}
    hosts = {
        event["Task Info"]["Host"]  # type: ignore[index]
        for event in log
        if event["Event"] == "SparkListenerTaskEnd"
    }
    assert hosts == set(given)
    written = [path for path in cluster.folder.rglob("*") if path.is_file() and path.suffix != ".jar"]
    told = {
        word: [path.name for path in written if word.encode() in path.read_bytes()]
        for word in SECRET.values()
    }
    # The configuration reached the application: its names are in the log, with their values hidden.
    assert any("fs.s3a.secret.key" in str(event) for event in log)
    assert [word for word, where in told.items() if where] == []


def test_a_task_measures_on_the_device_that_spark_gave_it(
    cluster: Cluster, demo: Any, tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    shutil.copytree(demo.lake, lake)
    cluster.run(HERE / "on_gpu.py", str(lake), conf=GPU)
    heard = [row for row in rows(lake, ["signals_whisper"])["signals_whisper"] if ON_GPU in row]
    measured = [row for row in heard if "('error', None)" in row]
    assert len(heard) == len(rows(lake, ["signals_audio"])["signals_audio"])
    by_device = [sum(f"('text', 'device {device}')" in row for row in measured) for device in (0, 1)]
    assert sum(by_device) == len(measured)
    assert all(by_device)


def test_a_worker_that_is_lost_while_it_measures_costs_no_row(
    cluster: Cluster, demo: Any, tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    asked = [
        "--lake",
        str(lake),
        "--corpora",
        str(demo.folder / "corpora.yaml"),
        "--until",
        "extract-signals",
    ]
    extractors = ["--extractor", "audio", "--extractor", "speech"]
    running = cluster.submitted(JOBS / "pipeline.py", *asked, *extractors)
    try:
        wait_for(lake, "_staging/extract-signals/prompts/*/*/_temporary/0/*", running)
        killed = cluster.kill_worker(0)
        assert not (lake / "signals_speech").exists(), "killed too late to show anything"
        assert len(killed) == 1
        found, _ = ended(running)
    finally:
        running.kill()
        cluster.start_worker(0)
    lost = [event for event in cluster.events() if event["Event"] == "SparkListenerExecutorRemoved"]
    assert found["outcome"] == "done"
    assert lost, "the application did not lose an executor: nothing was shown"
    assert rows(lake, MEASURED) == rows(demo.lake, MEASURED)


def wait_for(lake: Path, moment: str, running: Any) -> None:
    """Wait until `moment`, a pattern of paths in the lake, shows."""
    deadline = time.monotonic() + 600
    while not any(lake.glob(moment)):
        assert running.poll() is None, running.communicate()[1][-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.02)
