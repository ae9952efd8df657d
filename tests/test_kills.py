"""Any process can be killed at any moment; the same command again finishes the job, with the same rows."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from process_tools import of_session

from speechlake.commands import extract_signals, ingest_manifests
from speechlake.corpora import make_corpus
from speechlake.lake import Lake
from speechlake.progress import Progress
from speechlake.schemas import TABLES
from speechlake.signals import EXTRACTORS
from speechlake.signals.plan import wanted_of

CLIPS = 24
# Not rows of the data: what runs did and cost.
APART = {"runs", "chunks"}


def values(lake: Lake) -> dict[str, list[str]]:
    """Every table as sorted rows, run ids left out."""
    found = {}
    for name in TABLES:
        if name not in APART and lake.exists(name):
            frame = lake.read(name).drop("run_id")
            found[name] = sorted(str(row.asDict(recursive=True)) for row in frame.collect())
    return found


@pytest.fixture(scope="module")
def corpus(speech: Path, tmp_path_factory):
    """A folder of real clips, as links into the fetched speech's copies."""
    folder = tmp_path_factory.mktemp("corpus")
    for clip in sorted((speech / "en_US_f_Allison").glob("*.wav"))[:CLIPS]:
        (folder / clip.name).write_bytes(clip.read_bytes())
        os.utime(folder / clip.name, ns=(10**18, 10**18))
    return make_corpus(name="clips", sources=(str(folder),), language="en")


@pytest.fixture(scope="module")
def undisturbed(spark, corpus, tmp_path_factory) -> Lake:
    """The lake of a run that nobody killed."""
    lake = Lake(spark, tmp_path_factory.mktemp("undisturbed") / "lake")
    quiet = Progress(quiet=True)
    ingest_manifests.run(lake, corpus, progress=quiet)
    wanted = wanted_of([EXTRACTORS["audio"](), EXTRACTORS["speech"]()])
    extract_signals.run(lake, wanted, corpus=None, progress=quiet)
    return lake


def started(lake: Lake, corpus) -> subprocess.Popen[bytes]:
    """The two jobs as a process group of their own."""
    script = (
        "import sys; from speechlake.commands import ingest_manifests as i, extract_signals as e; lake, source = sys.argv[1:];"
        "sys.exit(i.main(['--lake', lake, '--corpus', 'clips', '--language', 'en', source])"
        " or e.main(['--lake', lake, '--extractor', 'audio', '--extractor', 'speech']))"
    )
    command = [sys.executable, "-c", script, lake.root, corpus.sources[0]]
    return subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def wait_for(process: subprocess.Popen[bytes], lake: Lake, moment: str) -> bool:
    """Wait until `moment` (a path pattern in the lake) shows, or the process ends; True where it still runs."""
    deadline = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline and not any(Path(lake.root).glob(moment)):
        time.sleep(0.02)
    return process.poll() is None


def kill_when(process: subprocess.Popen[bytes], lake: Lake, moment: str, wait_s: float) -> bool:
    """Kill -9 the whole group once `moment` (a path pattern in the lake) shows, `wait_s` later; False if it ended first."""
    wait_for(process, lake, moment)
    time.sleep(wait_s)
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return alive


def finish_and_compare(lake: Lake, corpus, undisturbed: Lake) -> None:
    """The same command again ends with 0, and every table equals that of the undisturbed run."""
    assert started(lake, corpus).wait(timeout=600) == 0
    assert values(Lake(lake.spark, lake.root)) == values(undisturbed)


@pytest.mark.slow
@pytest.mark.long
def test_a_driver_killed_while_it_measures_leaves_a_lake_that_the_same_command_completes(
    lake, corpus, undisturbed
):
    assert kill_when(started(lake, corpus), lake, "_staging/extract-signals/clips/*/*", 0.3)
    assert not lake.exists("signals_speech"), "killed too late to show anything"
    finish_and_compare(lake, corpus, undisturbed)


@pytest.mark.slow
@pytest.mark.long
def test_sigterm_ends_a_measuring_driver_within_half_a_minute_and_the_same_command_completes(
    lake, corpus, undisturbed
):
    process = started(lake, corpus)
    assert wait_for(process, lake, "_staging/extract-signals/clips/*/*")
    process.terminate()
    assert process.wait(timeout=30) == 5
    finish_and_compare(lake, corpus, undisturbed)


@pytest.mark.long
@pytest.mark.parametrize(
    "moment",
    [
        "_staging/ingest-manifests/*/*/*",
        "corpora/_delta_log/*1.json",
        "utterances/_delta_log/*0.json",
        "manifests/_delta_log/*0.json",
        "_staging/extract-signals.plan/*/*",
        "_staging/extract-signals/*/*/*/_SUCCESS",
        "content_hashes/_delta_log/*0.json",
        "signals_audio/_delta_log/*1.json",
        "signals_speech/_delta_log/*0.json",
    ],
)
def test_a_driver_killed_at_any_moment_leaves_a_lake_that_the_same_command_completes(
    lake, corpus, undisturbed, moment
):
    wait_s = random.Random(moment).uniform(0, 0.5)
    assert kill_when(started(lake, corpus), lake, moment, wait_s), "it ended before it could be killed"
    finish_and_compare(lake, corpus, undisturbed)


@pytest.mark.long
@pytest.mark.parametrize("words", ["pyspark.daemon", "speechlake.audio.child"])
@pytest.mark.parametrize("seed", range(5))
def test_workers_and_decode_children_killed_at_random_moments_cost_no_row(
    lake, corpus, undisturbed, words, seed
):
    process = started(lake, corpus)
    assert wait_for(process, lake, "_staging/extract-signals/clips/*/*")
    # On a busy machine a stage is begun long before anybody measures for it.
    while not of_session(process.pid, words) and process.poll() is None:
        time.sleep(0.01)
    rng, killed = random.Random(f"{words}{seed}"), 0
    for _ in range(3):
        time.sleep(rng.uniform(0.05, 0.5))
        there = of_session(process.pid, words)
        if there and process.poll() is None:
            os.kill(rng.choice(there), signal.SIGKILL)
            killed += 1
    process.wait(timeout=600)
    assert killed, "nothing was there to be killed"
    finish_and_compare(lake, corpus, undisturbed)
