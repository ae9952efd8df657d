"""What is submitted, to the letter, and that every job understands it.

REBUILD_GOLDEN=1 writes the files in golden/ anew; look at their diff.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from conftest import PROJECT, PYTHON, Run

GOLDEN = Path(__file__).with_name("golden")
REQUEST = "request.yaml"
# (name of the golden file, DAG, parameters, tasks that are taken for done)
RUNS = [
    ("speechlake_corpus", "speechlake_corpus", {"release": "2026-11"}, None),
    (
        "speechlake_corpus_by_hand",
        "speechlake_corpus",
        {"corpora": ["calls"], "model": "whisper-tiny.en", "device": "cuda", "build": False},
        None,
    ),
    (
        "speechlake_splits",
        "speechlake_splits",
        {"policy": "/policies/strict.yaml", "release": "strict-1"},
        None,
    ),
    ("speechlake_maintenance", "speechlake_maintenance", {}, None),
    ("speechlake_maintenance_plan", "speechlake_maintenance", {"plan": True}, None),
    ("speechlake_reconcile", "speechlake_reconcile", {}, None),
    # dag.test() would wait for the person; the end-to-end test answers over REST.
    ("speechlake_erase", "speechlake_erase", {"request": REQUEST}, "approve"),
]


@pytest.fixture(scope="module")
def seen():
    """Runs that were made already, by name, with the folder of their files."""
    return {}


@pytest.fixture
def rendered(seen, lake, fake_spark, run_dag, monkeypatch):
    """`rendered(name, dag, parameters, mark)`: the run, with every command recorded, and the folder of its files."""
    monkeypatch.delenv("SPEECHLAKE_CACHE", raising=False)
    fake_spark({"job": "status", "says": {"incomplete": [], "refused": []}})
    (lake / REQUEST).write_text("speakers: [a]\n")

    def run(name: str, dag_id: str, said: dict[str, Any], mark: str | None) -> tuple[Run, Path]:
        if name not in seen:
            said = {key: str(lake / value) if value == REQUEST else value for key, value in said.items()}
            found = run_dag(dag_id, said, mark=mark)
            assert found.state == "success", found.states
            seen[name] = found, lake
        return seen[name]

    return run


def told(run: Run, scratch: Path) -> str:
    """Commands as a person would read them, without what differs from machine to machine."""
    places = {
        str(scratch): "$TMP",
        str(PROJECT / "tests" / "airflow" / "fake_spark"): "$SPARK",
        str(PROJECT): "$HOME",
        run.run_id: "$RUN",
    }
    blocks = set()
    for said in run.commands:
        environment = [f"{name}={value}" for name, value in said["environment"].items()]
        lines = [" \\\n    ".join([*environment, "spark-submit", *_pairs(said["arguments"])])]
        blocks.add("\n".join(lines))
    text = "\n\n".join(sorted(blocks, key=_order(run))) + "\n"
    for place, name in places.items():
        text = text.replace(place, name)
    return text


def _pairs(arguments: list[str]) -> Iterable[str]:
    """Quoted, a flag with its value on one line."""
    line: list[str] = []
    for argument in map(shlex.quote, arguments):
        takes_one = len(line) == 1 and line[0].startswith("-") and "=" not in line[0]
        if argument.startswith("-") or not takes_one:
            yield from [" ".join(line)] if line else []
            line = []
        line.append(argument)
    yield " ".join(line)


def _order(run: Run) -> Any:
    """Like the tasks, which are sorted by their corpus and then by their place in the flow."""
    files = [next(a for a in said["arguments"] if a.endswith(".py")) for said in run.commands]

    def key(block: str) -> Any:
        return next(n for n, file in enumerate(files) if file in block), block

    return key


@pytest.mark.parametrize(("name", "dag_id", "said", "mark"), RUNS, ids=[run[0] for run in RUNS])
def test_commands_are_the_golden_ones(rendered, name, dag_id, said, mark):
    found, file = told(*rendered(name, dag_id, said, mark)), GOLDEN / f"{name}.txt"
    if os.environ.get("REBUILD_GOLDEN"):
        file.write_text(found)
    assert found == file.read_text()


PARSE = """
import importlib, json, sys
for name, arguments in json.load(sys.stdin):
    try:
        module = importlib.import_module(f"speechlake.commands.{name}")
        module.arguments().parse_args(arguments)
    except ModuleNotFoundError as error:
        print(f"{name}: {error}")
    except SystemExit as stop:
        print(f"{name}: ended with {stop.code} for {arguments}")
"""


def understood(commands: list[dict[str, Any]]) -> str:
    """What the jobs' own parsers have against the arguments that follow the job's file; '' for nothing."""
    calls = []
    for said in commands:
        at = next(n for n, argument in enumerate(said["arguments"]) if argument.endswith(".py"))
        calls.append([Path(said["arguments"][at]).stem, said["arguments"][at + 1 :]])
    assert calls
    done = subprocess.run(
        [PYTHON, "-c", PARSE], input=json.dumps(calls), capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize(("name", "dag_id", "said", "mark"), RUNS, ids=[run[0] for run in RUNS])
def test_every_command_is_understood_by_the_parser_of_its_job(rendered, name, dag_id, said, mark):
    run, _ = rendered(name, dag_id, said, mark)
    assert understood(run.commands) == ""


def test_a_flag_that_a_job_does_not_know_is_noticed():
    wrong = [{"arguments": ["--master", "x", "/jobs/find_duplicates.py", "--lake", "l", "--no-such-flag"]}]
    assert "find_duplicates: ended with 2" in understood(wrong)


EVERYTHING = """\
corpora:
  - name: all.of-it
    sources: [a/m.tsv, "s3://b/-m.tsv"]
    format: tsv
    roots: {audio: a, other: "s3://b/c=d"}
    licence: CC BY-SA 4.0
    language: "no"
    speaker_namespace: librivox
    single_speaker: true
    channels: 0
    ids: source
    text_tags: [read, "two words"]
    role: evaluation
    max_reject: 0.25
    columns: {text: sentence, speaker: who}
    suffix: .opus
    relative_to: root
    quoting: none
    segment: {longer_than_s: 60, min_s: 1, max_s: 20.5, discard_text: true}
  - {name: nothing, sources: [x]}
  - {name: several, sources: [x], single_speaker: false, role: training, segment: true}
  - {name: taken-back, sources: [x], licence: null, language: null, speaker_namespace: null, text_tags: []}
  - {name: read-without, sources: [x], suffix: null, columns: {}}
"""

ROUND_TRIP = """
import json, sys
sys.path.append(sys.argv[2])
from speechlake_airflow.corpora import corpora_of
from speechlake.corpora import KEPT, READING, Corpus, load_corpora
from speechlake.commands import ingest_manifests as job, segment_recordings
declared = load_corpora(sys.argv[1])
for corpus, said in zip(declared, corpora_of(sys.argv[1], "[]"), strict=True):
    ingested = job.corpus_of(job.arguments().parse_args(["--lake", "l", *said["ingest"]]))
    # The pipeline's own affair.
    assert ingested == corpus.model_copy(update={"segment": None}), (ingested, corpus)
    assert (said["name"], said["segment"]) == (corpus.name, corpus.segment is not None)
    if corpus.segment is not None:
        cut = segment_recordings.arguments().parse_args(["--lake", "l", *said["cut"]])
        assert segment_recordings.segmenter_of(cut) == corpus.segment.segmenter(), said["cut"]
        assert cut.discard_text == corpus.segment.discard_text
    # What the file does not say is not said, so that the lake's own word stays.
    assert ingested.model_fields_set & {*KEPT} == corpus.model_fields_set & {*KEPT}, said["ingest"]
    # Who says nothing of how manifests are read is asked whether he forgot it.
    assert bool(ingested.model_fields_set & {*READING}) == bool(corpus.model_fields_set & {*READING}), said["ingest"]
usual, full = Corpus(name="n", sources=("s",)), declared[0]
print([name for name in Corpus.model_fields if getattr(full, name) == getattr(usual, name)])
"""


def test_the_flags_of_ingest_say_all_that_the_file_says(tmp_path):
    (tmp_path / "corpora.yaml").write_text(EVERYTHING)
    command = [PYTHON, "-c", ROUND_TRIP, str(tmp_path / "corpora.yaml"), str(PROJECT / "airflow_dags")]
    done = subprocess.run(command, capture_output=True, text=True)
    # Every field was said otherwise than by default: a new one has to be added above and to the flags.
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
