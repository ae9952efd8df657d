"""Airflow itself: started as the documentation says, spoken to over REST, with a picture for the documentation.

make airflow-e2e
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from airflow_server import Airflow, until
from conftest import FAKE_SPARK, PROJECT
from real_corpora import CLIPS, lay_out, mend, tables

PICTURE = PROJECT / "docs" / "images" / "airflow.png"
QUICK = {"model": "whisper-tiny.en", "device": "cpu"}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("e2e")


def started(scratch: Path, **environment: str) -> Airflow:
    """A running Airflow over the real corpora."""
    airflow = Airflow(scratch / "airflow", {"SPEECHLAKE_HOME": str(PROJECT), **environment})
    try:
        airflow.start(
            {
                "speechlake_lake": str(scratch / "lake"),
                "speechlake_corpora": str(lay_out(scratch)),
                "speechlake_policy": str(PROJECT / "lib" / "speechlake" / "policies" / "small-corpus.yaml"),
            }
        )
    except BaseException:
        airflow.stop()
        raise
    return airflow


@pytest.fixture(scope="module")
def replaced(tmp_path_factory):
    """Airflow with a Spark that only writes down what it was asked."""
    scratch = tmp_path_factory.mktemp("replaced")
    airflow = started(
        scratch,
        SPEECHLAKE_SPARK_HOME=str(FAKE_SPARK),
        FAKE_SPARK_LOG=str(scratch / "commands.jsonl"),
        FAKE_SPARK_ENDS=json.dumps([{"job": "status", "says": {"incomplete": ["prompts"], "refused": []}}]),
    )
    yield airflow
    airflow.stop()


@pytest.mark.parametrize(("answer", "erased"), [("Approve", "success"), ("Reject", "skipped")])
def test_an_erasure_waits_for_a_person_and_does_what_the_person_says(replaced, answer, erased):
    request = replaced.home.parent / f"{answer}.yaml"
    request.write_text("speakers: [a]\n")
    run = replaced.trigger("speechlake_erase", {"request": str(request)})
    until(
        lambda: replaced.states("speechlake_erase", run).get("approve") == "awaiting_input", 120, "it waits"
    )
    # People read before they answer. Airflow 3.3 fails a task that goes on in the same turn of its scheduler, of
    # five seconds, in which that takes note that the task's first process has ended.
    time.sleep(15)
    asked = f"/api/v2/dags/speechlake_erase/dagRuns/{run}/taskInstances/approve/-1/hitlDetails"
    assert "cannot be taken back" in replaced.get(asked)["body"]
    replaced.patch(asked, {"chosen_options": [answer]})
    assert replaced.ended("speechlake_erase", run, 120) == "success"
    assert replaced.states("speechlake_erase", run)["erase"] == erased


def test_reconcile_starts_a_run_for_what_the_tables_lack_and_for_nothing_else(replaced):
    replaced.patch("/api/v2/dags/speechlake_corpus", {"is_paused": False})
    run = replaced.trigger("speechlake_reconcile", {})
    assert replaced.ended("speechlake_reconcile", run, 120) == "success"
    started = f"reconcile__{run}"
    assert replaced.ended("speechlake_corpus", started, 300) == "success"
    states = replaced.states("speechlake_corpus", started)
    assert [task for task in states if task.startswith("corpus.ingest")] == ["corpus.ingest[0]"]


@pytest.fixture(scope="module")
def airflow(scratch):
    """Airflow with a real local Spark."""
    airflow = started(scratch)
    yield airflow
    airflow.stop()


@pytest.fixture(scope="module")
def broken_run(airflow):
    """A run over both corpora, one of them broken."""
    run = airflow.trigger("speechlake_corpus", QUICK)
    airflow.ended("speechlake_corpus", run, 1200)
    return run


def test_a_run_over_rest_leaves_the_broken_corpus_behind(airflow, broken_run, scratch):
    states = airflow.states("speechlake_corpus", broken_run)
    assert {task for task, state in states.items() if state == "failed"} == {"corpus.ingest[0]", "outcome"}
    assert [row["corpus"] for row in tables(scratch / "lake", "corpus")["scores"]] == ["prompts"] * CLIPS


def drivers(lake: Path) -> list[int]:
    """Processes of Spark and of jobs that have this lake among their arguments."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                said = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if str(lake).encode() in said and b"jobs/" in said:
                found.append(int(folder.name))
    return found


@pytest.fixture(scope="module")
def killed_run(airflow, broken_run, scratch):
    """A run over the mended corpora, whose first task is killed while its driver runs."""
    mend(scratch)
    run = airflow.trigger("speechlake_corpus", QUICK)
    lake = scratch / "lake"
    until(lambda: bool(drivers(lake)), 300, "a driver runs")
    task = next(pid for pid in drivers(lake) if b"bound_submit" in Path(f"/proc/{pid}/cmdline").read_bytes())
    parent = int(Path(f"/proc/{task}/stat").read_text().rpartition(")")[2].split()[1])
    before = set(drivers(lake))
    os.kill(parent, signal.SIGKILL)
    until(lambda: before.isdisjoint(drivers(lake)), 60, "its driver is gone")
    return run


def test_a_task_that_is_killed_takes_its_driver_along_and_is_tried_again(airflow, killed_run, scratch):
    assert airflow.ended("speechlake_corpus", killed_run, 1800) == "success"


def test_the_mended_corpora_become_a_release(airflow, killed_run, scratch):
    airflow.ended("speechlake_corpus", killed_run, 1800)
    found = tables(scratch / "lake", "corpus", "release", "counts")
    (release,) = found["releases"]
    assert sum(count["utterances"] for count in release["counts"]) == 2 * CLIPS
    assert (
        sorted(row["corpus"] for row in found["signals_whisper"]) == ["broken"] * CLIPS + ["prompts"] * CLIPS
    )


def browser() -> str | None:
    """A Chromium of this machine."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.skipif(browser() is None, reason="no Chromium here: apt-get install chromium")
def test_the_graph_of_a_run_can_be_seen_in_a_browser(airflow, killed_run):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=browser(), args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1600, "height": 700})
        page.add_init_script("localStorage.setItem('default_dag_view', '\"graph\"')")
        page.goto(f"{airflow.url}/dags/speechlake_corpus/runs/{killed_run}")
        page.wait_for_selector("text=find_duplicates", timeout=120_000)
        page.wait_for_selector(".react-flow__node", timeout=120_000)
        page.wait_for_timeout(3000)
        assert page.locator(".react-flow__node").count() >= 5
        PICTURE.parent.mkdir(exist_ok=True)
        page.screenshot(path=str(PICTURE))
        chromium.close()
