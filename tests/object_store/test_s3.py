"""A lake and its audio on S3: the same rows as on a disk, whoever is killed or paused, and no secret anywhere."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from demo_share import ODD_NAMES
from lake_rows import rows
from store import BUCKET, Store

pytestmark = [pytest.mark.slow, pytest.mark.long]

LAKE = f"s3a://{BUCKET}/lake"
# What says where and when files lie, which differs between a disk and a store.
PLACES = {
    "corpora": ("roots",),
    "recordings": ("listing_key",),
    "content_hashes": ("listing_key",),
    # It ends in a digest of the roots' URIs.
    **dict.fromkeys(("manifests", "quarantine", "repeats"), ("parser_version",)),
    "runs": ("arguments", "versions_read", "versions_written"),
    "releases": ("versions_read",),
}
# For lakes that several drivers write: S3's conditional put.
SEVERAL = {"spark.delta.logStore.s3a.impl": "speechlake.ConditionalS3LogStore"}
EXTRACT = ("--extractor", "audio", "--extractor", "speech")


def same_rows(store: Store, lake: str, demo: Any, names: tuple[str, ...] | None = None) -> None:
    """Every table on the store equals that of the local run, but for the columns of `PLACES`."""
    found = rows(lake.replace("s3a://", "s3://"), names, without=PLACES, storage_options=store.reader())
    expected = rows(demo.lake, names, without=PLACES)
    assert {name: len(table) for name, table in found.items()} == {
        name: len(table) for name, table in expected.items()
    }
    assert [name for name in expected if found[name] != expected[name]] == []


@pytest.fixture(scope="session")
def curated(store: Store, demo: Any, corpora: Path) -> Store:
    """The store after the pipeline went over the corpora on it, into a lake on it."""
    assert store.run("pipeline", *demo.arguments(LAKE, corpora))["outcome"] == "done"
    return store


def test_a_pipeline_from_s3_into_a_lake_on_s3_leaves_the_rows_of_a_local_one(
    curated: Store, demo: Any
) -> None:
    same_rows(curated, LAKE, demo)
    left = [key for key in curated.keys("lake/_staging") if not key.endswith("/")]
    assert left == []
    assert curated.keys("lake/_locks") == []


def test_audio_is_read_through_pyarrow_and_tables_are_written_through_hadoop(curated: Store) -> None:
    asked = list(curated.requests())
    audio = {agent for method, path, _, agent in asked if method == "GET" and path.endswith(ODD_NAMES)}
    tables = {agent for method, path, _, agent in asked if method == "PUT" and "/_delta_log/" in path}
    assert audio
    assert all("aws-sdk-cpp" in agent for agent in audio)
    assert tables
    assert all("Hadoop" in agent for agent in tables)
    read = {path.rsplit("/", 1)[-1] for method, path, _, _ in asked if method == "GET"}
    assert set(ODD_NAMES) <= read


def test_the_same_pipeline_again_has_nothing_to_do(curated: Store, demo: Any, corpora: Path) -> None:
    assert curated.run("pipeline", *demo.arguments(LAKE, corpora))["outcome"] == "nothing to do"


def test_neither_tables_nor_logs_nor_what_is_said_hold_a_secret(curated: Store) -> None:
    everything = dict(curated.contents(curated.keys("lake")))
    assert len(everything) > 100
    holding = [
        key
        for key, held in everything.items()
        if curated.secret.encode() in held or curated.key.encode() in held
    ]
    assert holding == []
    assert [said for said in curated.outputs if curated.secret in said or curated.key in said] == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "hush-hush-hush"}, "s3a://speech/lake"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "s3a://speech/lake"),
    ],
)
def test_a_store_that_refuses_us_is_told_in_a_line_without_the_secret(
    store: Store, given: dict[str, str], said: str
) -> None:
    code, found, heard = store.ended(store.started("sql", "--lake", LAKE, "select 1", **given))
    assert (code, found["outcome"]) == (2, "UsageError")
    assert f"cannot reach {said}" in heard
    assert "docs/cluster.md" in heard
    assert "hush-hush-hush" not in heard
    assert "Traceback" not in heard


def ingest(lake: str, corpus: str) -> list[str]:
    """Arguments of ingest-manifests for a corpus on the store."""
    place = f"s3://{BUCKET}/corpora/{corpus}"
    return ["--lake", lake, "--corpus", corpus, "--max-reject", "0.5", f"{place}/manifest.jsonl"]


MEASURED = ("recordings", "utterances", "transcripts", "content_hashes", "signals_audio", "signals_speech")


@pytest.fixture(scope="session")
def expected(store: Store, demo: Any) -> dict[str, list[str]]:
    """What an undisturbed run over one corpus on the store yields."""
    lake = f"s3a://{BUCKET}/undisturbed"
    store.run("ingest_manifests", *ingest(lake, "prompts"))
    store.run("extract_signals", "--lake", lake, *EXTRACT)
    return of(store, lake)


def of(store: Store, lake: str) -> dict[str, list[str]]:
    """Rows of the tables that ingest and extraction write."""
    return rows(lake.replace("s3a://", "s3://"), MEASURED, storage_options=store.reader())


def wait_for(store: Store, prefix: str, part: str, process: subprocess.Popen[str]) -> None:
    """Wait until an object below `prefix` has `part` in its name."""
    deadline = time.monotonic() + 600
    while not any(part in key for key in store.keys(prefix)):
        assert process.poll() is None, process.communicate()[1][-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("job", "moment"),
    [("ingest-manifests", "_SUCCESS"), ("extract-signals", ".json"), ("extract-signals", "_SUCCESS")],
)
def test_a_driver_killed_on_a_store_leaves_a_lake_that_the_same_command_completes(
    store: Store, expected: dict[str, list[str]], job: str, moment: str
) -> None:
    name = f"killed-{job}-{moment.strip('._')}"
    lake = f"s3a://{BUCKET}/{name}"
    arguments = {"ingest-manifests": ingest(lake, "prompts"), "extract-signals": ["--lake", lake, *EXTRACT]}
    if job != "ingest-manifests":
        store.run("ingest_manifests", *arguments["ingest-manifests"])
    process = store.started(job.replace("-", "_"), *arguments[job])
    wait_for(store, f"{name}/_staging/{job}/", moment, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    store.run(job.replace("-", "_"), *arguments[job])
    if job == "ingest-manifests":
        store.run("extract_signals", *arguments["extract-signals"])
    assert of(store, lake) == expected


@pytest.mark.parametrize("job", ["ingest-manifests", "extract-signals"])
def test_of_two_drivers_at_once_the_one_that_was_overtaken_ends_with_4_and_no_row_is_lost_or_doubled(
    store: Store, expected: dict[str, list[str]], job: str
) -> None:
    """The first is paused while it stages, as by a stalled machine, and wakes when the second has committed."""
    name = f"two-{job}"
    lake = f"s3a://{BUCKET}/{name}"
    arguments = {"ingest-manifests": ingest(lake, "prompts"), "extract-signals": ["--lake", lake, *EXTRACT]}
    if job != "ingest-manifests":
        store.run("ingest_manifests", *arguments["ingest-manifests"])
    first = store.started(job.replace("-", "_"), *arguments[job])
    try:
        wait_for(store, f"{name}/_staging/{job}/", ".json", first)
        os.killpg(first.pid, signal.SIGSTOP)
        assert store.run(job.replace("-", "_"), *arguments[job])["outcome"] == "done"
    finally:
        os.killpg(first.pid, signal.SIGCONT)
    code, found, said = store.ended(first)
    assert (code, found["outcome"]) == (4, "Overtaken"), said[-3000:]
    if job == "ingest-manifests":
        store.run("extract_signals", *arguments["extract-signals"])
    assert store.run(job.replace("-", "_"), *arguments[job])["outcome"] in ("done", "nothing to do")
    assert of(store, lake) == expected


def test_two_drivers_that_ingest_two_corpora_at_once_both_land(store: Store, demo: Any) -> None:
    lake = f"s3a://{BUCKET}/both"
    odd = ["--lake", lake, "--corpus", "odd", "--single-speaker", "--language", "it"]
    running = [
        store.started("ingest_manifests", *ingest(lake, "prompts"), conf=SEVERAL),
        store.started("ingest_manifests", *odd, f"s3a://{BUCKET}/corpora/odd", conf=SEVERAL),
    ]
    ended = [store.ended(process) for process in running]
    assert [code for code, _, _ in ended] == [0, 0], [said[-3000:] for _, _, said in ended]
    names = ("recordings", "utterances", "transcripts", "manifests", "quarantine")
    found = rows(lake.replace("s3a://", "s3://"), names, without=PLACES, storage_options=store.reader())
    for name, local in rows(demo.lake, names, without=PLACES).items():
        mine = [row for row in local if "('corpus', 'prompts')" in row or "('corpus', 'odd')" in row]
        assert found[name] == mine, name
    runs = DeltaTable(f"s3://{BUCKET}/both/runs", storage_options=store.reader())
    first, second = runs.to_pyarrow_table().to_pylist()
    assert first["started_at"] < second["finished_at"]
    assert second["started_at"] < first["finished_at"], "one ended before the other began: nothing was shown"


def test_two_drivers_that_measure_one_corpus_at_once_yield_what_one_yields(
    store: Store, expected: dict[str, list[str]]
) -> None:
    lake = f"s3a://{BUCKET}/race"
    store.run("ingest_manifests", *ingest(lake, "prompts"), conf=SEVERAL)
    running = [store.started("extract_signals", "--lake", lake, *EXTRACT, conf=SEVERAL) for _ in range(2)]
    ended = [store.ended(process) for process in running]
    codes = sorted(code for code, _, _ in ended)
    assert codes in ([0, 0], [0, 4]), [said[-3000:] for _, _, said in ended]
    store.run("extract_signals", "--lake", lake, *EXTRACT, conf=SEVERAL)
    assert of(store, lake) == expected
