"""Metrics for Prometheus: names, what counts on, and what a file survives."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from speechlake import job, watching
from speechlake.errors import LeakFound, UsageError
from speechlake.job import Report
from speechlake.metrics import FILE, METRICS, MetricsFile, samples_of, text_of
from speechlake.signals.commit import Measured

CHUNKS = "speechlake_chunks_total"
LEFT = "speechlake_run_left_to_retry"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "speechlake.prom"


@pytest.fixture
def run(file: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs a job whose work is `call`, with a metrics file."""
    monkeypatch.setattr(job, "open_lake", lambda root, app: root)
    monkeypatch.delenv(FILE, raising=False)

    def main(call: Callable[[], Report], *argv: str) -> int:
        arguments = job.parser("A job.")
        arguments.add_argument("--corpus")
        said = ["--lake", "x", "--metrics-file", str(file), *argv]
        return job.main("try", arguments, lambda lake, parsed: call(), said)

    return main


def samples(file: Path) -> dict[tuple[str, ...], float]:
    """{(name without its prefix, labels…): value}"""
    found = samples_of(file.read_text())
    return {(name.removeprefix("speechlake_"), *labels): value for (name, labels), value in found.items()}


def test_names_follow_prometheus_conventions():
    for metric in METRICS.values():
        assert re.fullmatch(r"speechlake_[a-z]+(_[a-z]+)*", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert metric.help.endswith(".")
        assert set(metric.labels) <= {"job", "corpus", "outcome"}
        # Base units only, spelled out: not ms, hours, kB.
        assert not set(metric.name.split("_")) & {"s", "ms", "milliseconds", "minutes", "hours", "kb", "mb"}


def test_the_text_is_as_the_format_asks():
    text = text_of({(CHUNKS, ("extract-signals", 'a "b"\\c\n')): 2.0, (LEFT, ("j", "c")): 0.0})
    assert text == (
        "# HELP speechlake_run_left_to_retry Work that the last run left to a later one.\n"
        "# TYPE speechlake_run_left_to_retry gauge\n"
        'speechlake_run_left_to_retry{job="j",corpus="c"} 0.0\n'
        "# HELP speechlake_chunks_total Chunks that were measured and committed.\n"
        "# TYPE speechlake_chunks_total counter\n"
        'speechlake_chunks_total{job="extract-signals",corpus="a \\"b\\"\\\\c\\n"} 2.0\n'
    )


def test_what_is_written_is_read_again():
    said = {(CHUNKS, ("j", 'odd "}\\ name,\n')): 3.0, (LEFT, ("j", "ж")): 1e-9, (LEFT, ("j", "")): 5.0}
    assert samples_of(text_of(said)) == said


def test_counters_go_on_from_process_to_process_and_gauges_are_replaced(file):
    for left in (5.0, 2.0):
        MetricsFile(file).update([(CHUNKS, ("j", "c"), 1), (LEFT, ("j", "c"), left)])
    assert samples(file) == {("chunks_total", "j", "c"): 2.0, ("run_left_to_retry", "j", "c"): 2.0}


def test_the_file_is_replaced_whole_and_readable_by_others(file):
    MetricsFile(file).update([(CHUNKS, ("j", "c"), 1)])
    before = file.stat().st_ino
    MetricsFile(file).update([(CHUNKS, ("j", "c"), 1)])
    assert file.stat().st_ino != before
    assert file.stat().st_mode & 0o777 == 0o644
    # What else lies there is not read by node-exporter.
    assert [path.name for path in file.parent.glob("*.prom")] == [file.name]


def test_a_folder_of_that_name_is_a_users_mistake(file):
    file.mkdir()
    with pytest.raises(UsageError, match=r"\.prom cannot be read: Is a directory"):
        MetricsFile(file)


def test_two_writers_at_once_lose_nothing(file):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        for _ in range(40):
            pool.submit(lambda: MetricsFile(file).update([(CHUNKS, ("j", "c"), 1)]))
    assert samples(file)["chunks_total", "j", "c"] == 40.0


@pytest.mark.parametrize(
    "foreign", ["node_load1 0.5\n", "not metrics\n", 'speechlake_chunks_total{job="j"} 1\n']
)
def test_a_file_of_somebody_else_is_refused_and_stays(file, run, capsys, foreign):
    file.write_text(foreign)
    assert run(lambda: Report("try")) == 2
    assert file.read_text() == foreign
    assert "what speechlake did not write" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["metrics.txt", "nowhere/metrics.prom"])
def test_a_name_that_cannot_serve_is_refused_before_the_job_begins(tmp_path, run, name):
    def never() -> Report:
        raise AssertionError("the job began")

    assert run(never, "--metrics-file", str(tmp_path / name)) == 2


def leaks() -> Report:
    raise LeakFound("a speaker on two sides")


def breaks() -> Report:
    raise ZeroDivisionError


ENDS = [
    (lambda: Report("try"), "done", 0),
    (lambda: Report("try", "nothing to do"), "nothing to do", 0),
    (lambda: Report("try", refusal=LeakFound("a speaker on two sides")), "LeakFound", 3),
    (leaks, "LeakFound", 3),
    (breaks, "internal error", 5),
]


@pytest.mark.parametrize(
    ("call", "outcome", "code"), ENDS, ids=[f"{o}-{c}-{n}" for n, (_, o, c) in enumerate(ENDS)]
)
def test_a_command_is_counted_by_how_it_ended(file, run, call, outcome, code):
    run(call, "--corpus", "calls")
    run(call, "--corpus", "calls")
    found = samples(file)
    assert found["commands_total", "try", "calls", outcome] == 2.0
    assert found["command_last_exit_code", "try", "calls"] == code
    assert found["command_last_end_timestamp_seconds", "try", "calls", outcome] > 1.7e9


@pytest.mark.parametrize("typed", ["calls\r", "Calls", "a b", "\udcff"])
def test_what_is_typed_as_a_corpus_and_is_no_name_of_one_is_no_label(file, run, typed):
    for _ in range(2):
        assert run(lambda: Report("try"), "--corpus", typed) == 0
    assert samples(file)["commands_total", "try", "", "done"] == 2.0


@pytest.mark.parametrize("scope", ["a\rb", "a\u2028b", "a\x0cb"])
def test_a_label_with_an_end_of_line_is_read_again(file, scope):
    for _ in range(2):
        MetricsFile(file).update([(CHUNKS, ("j", scope), 1)])
    assert samples_of(file.read_bytes().decode()) == {(CHUNKS, ("j", scope)): 2.0}


def test_a_label_that_cannot_be_written_is_a_warning(file, run, capsys):
    def call() -> Report:
        watching.chunk_ended("extract-signals", "\udcff", Measured())
        return Report("try")

    assert run(call) == 0
    assert "metrics are not written" in capsys.readouterr().err


def test_the_environment_names_the_file_too(file, monkeypatch):
    monkeypatch.setattr(job, "open_lake", lambda root, app: root)
    monkeypatch.setenv(FILE, str(file))
    assert job.main("try", job.parser("A job."), lambda lake, parsed: Report("try"), ["--lake", "x"]) == 0
    assert samples(file)["commands_total", "try", "", "done"] == 1.0


def test_a_chunk_counts_its_utterances_by_outcome_and_what_it_took(file, run):
    def call() -> Report:
        took = {"audio_s": 60.0, "cpu_s": 7.5, "device_s": 1.5, "bytes_read": 4096, "model_loads": 2}
        watching.chunk_ended(
            "extract-signals", "c", Measured(utterances=10, errors=2, attempts=1, gone=3, **took)
        )
        return Report("try")

    run(call)
    found = {key[0]: value for key, value in samples(file).items() if "chunk" in key[0] and len(key) == 3}
    assert found.pop("chunk_last_end_timestamp_seconds") > 1.7e9
    assert found == {
        "chunks_total": 1.0,
        "chunk_audio_seconds_total": 60.0,
        "chunk_cpu_seconds_total": 7.5,
        "chunk_device_seconds_total": 1.5,
        "chunk_read_bytes_total": 4096.0,
        "chunk_model_loads_total": 2.0,
    }
    by_outcome = {key[3]: value for key, value in samples(file).items() if key[0] == "chunk_utterances_total"}
    assert by_outcome == {"measured": 4.0, "failed": 2.0, "to retry": 1.0, "gone": 3.0}


def test_without_a_file_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(FILE, raising=False)
    watching.chunk_ended("extract-signals", "c", Measured())
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_becomes_unwritable_is_a_warning_and_not_the_end_of_the_job(file, run, capsys):
    def call() -> Report:
        file.write_text("somebody else's\n")
        watching.chunk_ended("extract-signals", "c", Measured())
        return Report("try")

    assert run(call) == 0
    assert "metrics are not written" in capsys.readouterr().err
