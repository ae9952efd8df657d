"""What a shell and a scheduler see: exit codes, the last line of stdout, the list of jobs."""

from __future__ import annotations

import importlib
import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from speechlake import cli, job
from speechlake.commands import build_splits, ingest_manifests
from speechlake.corpora import load_corpora
from speechlake.errors import Busy, ConfigError, LeakFound, Overtaken, SpeechlakeError, UsageError
from speechlake.job import Report
from speechlake.lake import Lake

PROJECT = Path(__file__).resolve().parent.parent
TOO_MANY = LeakFound("speaker s1 stands in train and test", hint="Look at the gate's rows.")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs a job whose work is `call`, on a lake that nobody opens."""
    monkeypatch.setattr(job, "open_lake", lambda root, app: root)

    def main(call: Callable[[], Report], *argv: str) -> int:
        return job.main("try", job.parser("A job."), lambda lake, parsed: call(), argv)

    return main


def raising(error: BaseException) -> Callable[[], Report]:
    def call() -> Report:
        raise error

    return call


def ended_with_java() -> Report:
    """SIGTERM to a whole process group: Java is gone when a lock or a stage is let go of."""
    try:
        raise KeyboardInterrupt
    finally:
        raise ConnectionRefusedError(111, "Connection refused")


EXITS = [
    ("done", lambda: Report("try"), 0, "done"),
    ("nothing to do", lambda: Report("try", "nothing to do"), 0, "nothing to do"),
    ("usage", raising(UsageError("no such corpus")), 2, "UsageError"),
    ("configuration", raising(ConfigError("corpora.yaml: name: missing")), 2, "ConfigError"),
    ("a gate that raises", raising(TOO_MANY), 3, "LeakFound"),
    ("a gate that let rows be written", lambda: Report("try", refusal=TOO_MANY), 3, "done"),
    ("busy", raising(Busy("run r1 holds it")), 4, "Busy"),
    ("overtaken", raising(Overtaken("another driver wrote")), 4, "Overtaken"),
    ("an error of ours", raising(SpeechlakeError("a table cannot be read")), 5, "SpeechlakeError"),
    ("what nobody foresaw", raising(ZeroDivisionError("division by zero")), 5, "ZeroDivisionError"),
    ("interrupted", raising(KeyboardInterrupt()), 5, "interrupted"),
    ("interrupted, and Java too", ended_with_java, 5, "interrupted"),
]


@pytest.mark.parametrize(
    ("call", "code", "outcome"), [row[1:] for row in EXITS], ids=[row[0] for row in EXITS]
)
def test_the_exit_code_and_the_last_line_tell_how_a_job_ended(run, capsys, call, code, outcome):
    assert run(call, "--lake", "somewhere") == code
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (said["job"], said["outcome"]) == ("try", outcome)
    assert said["seconds"] >= 0


def test_the_last_line_holds_run_counts_and_the_next_step(run, capsys, monkeypatch):
    monkeypatch.setattr(cli.shutil, "which", lambda _: "/usr/bin/speechlake")
    report = Report("try", "done", "r1", {"utterances": 3, "text": "ж"}, "speechlake report --lake L")
    assert run(lambda: report, "--lake", "somewhere") == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    del said["seconds"]
    assert said == {
        "job": "try",
        "run_id": "r1",
        "outcome": "done",
        "counts": {"utterances": 3, "text": "ж"},
        "next": "speechlake report --lake L",
    }


def test_a_users_mistake_is_told_in_two_lines_without_a_stack_trace(run, capsys):
    run(raising(UsageError("there is no corpus 'x'", hint="Corpora: a, b.")), "--lake", "somewhere")
    assert capsys.readouterr().err == "UsageError: there is no corpus 'x'\n  Corpora: a, b.\n"


def test_what_a_foreign_name_would_do_to_a_terminal_is_spelled_out(run, capsys):
    evil = UsageError("no file \x1b]0;x\x07 \x9b31m \u202egnp.wav", hint="Look\x1b[2J.")
    run(raising(evil), "--lake", "somewhere")
    said = capsys.readouterr().err
    assert said == "UsageError: no file \\x1b]0;x\\x07 \\x9b31m \\u202egnp.wav\n  Look\\x1b[2J.\n"


def test_an_error_that_nobody_foresaw_shows_where_and_leaves_javas_stack_out(run, capsys):
    run(raising(RuntimeError("it broke\n\tat org.apache.spark.Some.thing(Some.scala:1)")), "--lake", "x")
    said = capsys.readouterr().err
    assert "RuntimeError: it broke" in said
    assert "test_cli.py" in said
    assert "org.apache.spark" not in said


def test_wrong_arguments_exit_2_and_say_so(run, capsys):
    assert run(lambda: Report("try"), "--lake", "x", "--nonsense") == 2
    assert "--nonsense" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--log", "--metrics", "--la"])
def test_a_flag_is_said_whole(run, capsys, flag):
    # `--log-json` is looked for by its whole name before arguments are parsed.
    assert run(lambda: Report("try"), "--lake", "x", flag) == 2
    assert f"unrecognized arguments: {flag}" in capsys.readouterr().err


def test_the_lake_may_come_from_the_environment(monkeypatch, run, capsys):
    monkeypatch.delenv("SPEECHLAKE_LAKE", raising=False)
    assert run(lambda: Report("try")) == 2
    assert "--lake" in capsys.readouterr().err
    monkeypatch.setenv("SPEECHLAKE_LAKE", "from-the-environment")
    assert run(lambda: Report("try")) == 0


def test_help_lists_every_job_that_has_a_file(capsys):
    files = {path.stem for path in (PROJECT / "jobs").glob("[a-z]*.py")}
    assert {cli.file_of(name) for name in cli.JOBS} == files
    assert cli.main(["--help"]) == 0
    told = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")}
    assert told == set(cli.JOBS)


def test_no_arguments_list_the_jobs_too(capsys):
    assert cli.main([]) == 0
    assert "ingest-manifests" in capsys.readouterr().out


def test_an_unknown_job_exits_2_and_names_it(capsys):
    assert cli.main(["transmogrify", "--lake", "x"]) == 2
    assert "there is no job 'transmogrify'\n" in capsys.readouterr().err


def test_a_slip_in_a_jobs_name_is_told_the_nearest(capsys):
    assert cli.main(["explan"]) == 2
    assert "there is no job 'explan'; did you mean 'explain'?\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("job_named", "flag"),
    [
        *(("ingest-manifests", "--max-reject"), ("import-signals", "--max-reject")),
        *(("maintain-tables", "--retention"), ("verify-release", "--sample"), ("report", "--examples")),
        *(("register", "--database"), ("compare-models", "--n"), ("review", "--n")),
    ],
)
def test_the_help_of_a_number_or_name_tells_its_default(job_named, flag, capsys):
    assert cli.main([job_named, "--help"]) == 0
    about = " ".join(capsys.readouterr().out.split("options:")[1].split()).split(f" {flag} ")[1]
    assert "; default " in about.split(" --")[0]


@pytest.mark.parametrize("name", list(cli.JOBS))
def test_the_help_of_a_job_exits_0_and_shows_its_spark_submit_line(name, capsys):
    assert cli.main([name, "--help"]) == 0
    assert f"spark-submit --py-files dist/speechlake.zip jobs/{cli.file_of(name)}.py" in " ".join(
        capsys.readouterr().out.split()
    ).replace("spark-submit jobs/", "spark-submit --py-files dist/speechlake.zip jobs/")


@pytest.mark.parametrize("name", list(cli.JOBS))
def test_what_help_prints_as_it_stands_is_no_wider_than_our_lines(name):
    about = importlib.import_module(f"speechlake.commands.{cli.file_of(name)}").__doc__ or ""
    assert max(map(len, about.splitlines())) <= 120


WRONG_CORPORA = [
    ("corpora: [{name: a}]", "corpora[0].sources"),
    ("corpora: [{name: A b, sources: [x]}]", "corpora[0].name"),
    ("corpora: [{name: a, sources: []}]", "corpora[0].sources"),
    ("corpora: [{name: a, sources: [x], licens: CC0}]", "unknown key 'licens'; did you mean 'licence'"),
    (
        "corpora: [{name: a, sources: [x], format: nemmo}]",
        "format: unknown format 'nemmo'; did you mean 'nemo'",
    ),
    ("corpora: [{name: a, sources: [x], max_reject: 2}]", "corpora[0].max_reject"),
    ("corpora: [{name: a, sources: [x], role: both}]", "corpora[0].role"),
    ("corpora: [{name: a, sources: [x], channels: left}]", "corpora[0].channels"),
    ("corpora: [{name: a, sources: [x], ids: own}]", "corpora[0].ids"),
    ("corpora: [{name: a, sources: [x]}, {name: b}]", "corpora[1].sources"),
    ("corpora: [{name: a, sources: [x]}, {name: a, sources: [y]}]", "named twice: a"),
    ("corpora: []", "corpora"),
    ("corpuses: [{name: a, sources: [x]}]", "corpuses"),
    ("corpora: [", "is not valid YAML"),
    ("", "file"),
]


@pytest.mark.parametrize(("text", "field"), WRONG_CORPORA)
def test_an_error_in_corpora_yaml_names_file_and_field(tmp_path, text, field):
    path = tmp_path / "corpora.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_corpora(path)
    assert str(path) in str(error.value)
    assert field in str(error.value)


def test_every_wrong_field_of_corpora_yaml_is_named_at_once(tmp_path):
    path = tmp_path / "corpora.yaml"
    path.write_text("corpora: [{name: a, sources: [x], max_reject: 2, role: both, ids: own}]")
    with pytest.raises(ConfigError) as error:
        load_corpora(path)
    assert all(name in str(error.value) for name in ("max_reject", "role", "ids"))


def test_relative_sources_and_roots_are_taken_from_the_files_folder(tmp_path):
    path = tmp_path / "corpora.yaml"
    path.write_text("corpora: [{name: a, sources: [x.jsonl, 's3://b/m.jsonl'], roots: {audio: clips}}]")
    (corpus,) = load_corpora(path)
    assert corpus.sources == (str(tmp_path / "x.jsonl"), "s3://b/m.jsonl")
    assert corpus.roots == {"audio": str(tmp_path / "clips")}


@pytest.mark.parametrize("root", ["", "/", "s3://"])
def test_a_lake_without_a_name_is_not_the_present_folder(root):
    nothing: Any = None
    with pytest.raises(UsageError, match="names no folder"):
        Lake(nothing, root)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (["--audio-root", "/a", "--audio-root", "/b"], "names 'audio' twice: '/a' and '/b'"),
        (["--audio-root", "x=/a", "--audio-root", "x=/b"], "names 'x' twice: '/a' and '/b'"),
        (["--column", "text=a", "--column", "text=b"], "names 'text' twice: 'a' and 'b'"),
        (["--column", "text"], "--column 'text': expected NAME=VALUE"),
        (
            ["--suffix", "opus"],
            "--suffix: expected a dot and 1-8 letters or digits, such as .opus, found 'opus'",
        ),
        (["--channels", "left"], "--channels: expected mix, auto, each or a channel .* found 'left'"),
        (["--language", "xx"], "--language: 'xx' is no language that is known here$"),
        (["--corpus", "Calls"], "--corpus: expected 1-64 lower-case letters, .* found 'Calls'"),
        (["--max-reject", "2"], "--max-reject: expected 1.0 or less, found 2.0"),
        (["--format", "kaldi9"], "--format: unknown format 'kaldi9'; valid are auto, nemo, common-voice"),
        (["--column", "speaker_id=spk"], "--column: unknown role 'speaker_id'; did you mean 'speaker'?"),
    ],
    ids=[
        *("two roots without a name", "a root twice", "a column twice", "a column without a name"),
        *("a suffix without a dot", "a channel that there is not", "a language that there is not"),
        *("a name in capitals", "more than all", "a format that there is not"),
        "a role that there is not",
    ],
)
def test_a_name_that_is_given_twice_or_not_at_all_or_unknown_is_refused(said, told):
    parsed = ingest_manifests.arguments().parse_args(["--lake", "l", "--corpus", "c", "m.jsonl", *said])
    with pytest.raises(UsageError, match=told):
        ingest_manifests.corpus_of(parsed)


def test_roots_and_columns_of_the_command_line_have_their_names():
    said = ["--audio-root", "/a/b=c", "--audio-root", "far=s3://b", "--column", "text=said"]
    parsed = ingest_manifests.arguments().parse_args(["--lake", "l", "--corpus", "c", "m.jsonl", *said])
    corpus = ingest_manifests.corpus_of(parsed)
    assert corpus.roots == {"audio": "/a/b=c", "far": "s3://b"}
    assert corpus.columns == {"text": "said"}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("build-splits --policy none.yaml --release r1", "none.yaml: cannot be read"),
        ("build-splits --policy policy.yaml --release r/1", "--release 'r/1': expected"),
        ("build-splits --policy policy.yaml --release .rc1", "that begin with a letter or digit"),
        ("simulate --policy none.yaml", "none.yaml: cannot be read"),
        ("compare-models --old a --new b --policy none.yaml", "none.yaml: cannot be read"),
        ("review --rule r --html page.html --policy none.yaml", "none.yaml: cannot be read"),
        ("review --rule r --html none/page.html", "--html none/page.html: its folder does not exist"),
        ("review --rule r --html page.html --max-mb nan", "--max-mb nan: expected more than 0"),
        ("report --html none/page.html", "--html none/page.html: its folder does not exist"),
        ("report --examples 5", "--examples are clips on a page"),
        (
            "sql --csv-file none/rows.csv query",
            "--csv-file none/rows.csv: is a folder, or its folder does not exist",
        ),
        ("import-signals --name n --column a --max-reject 7 t.jsonl", "--max-reject 7.0: expected a share"),
        ("report --price-per-device-hour -1", "the price per device hour is -1.0"),
        ("status --corpora none.yaml", "none.yaml: cannot be read"),
        ("pipeline --corpora none.yaml --until ingest-manifests", "none.yaml: cannot be read"),
        ("pipeline --corpora none.yaml --extractor audio --model m", "--model is for the extractor whisper"),
        ("extract-signals --extractor audio --model m", "--model is for the extractor whisper"),
        ("ingest-manifests --corpus c --column text m.jsonl", "--column 'text': expected NAME=VALUE"),
        ("import-signals --name n --column a:b t.jsonl", "--column 'a:b': type 'b'"),
        ("segment-recordings --min-s 9 --max-s 1", "--min-s 9, --max-s 1 and"),
        ("profile --set whisper", "--set 'whisper': expected"),
        ("maintain-tables --retention 8d", "--retention 192h: expected"),
        ("calibrate --language klingonese", "klingonese"),
        ("erase-speakers --request none.yaml", "none.yaml: cannot be read"),
    ],
)
def test_what_needs_no_lake_to_be_refused_is_refused_before_spark_starts(
    monkeypatch, tmp_path, capsys, said, told
):
    monkeypatch.setattr(job, "open_lake", lambda *_: pytest.fail("Spark was started"))
    monkeypatch.chdir(tmp_path)
    Path("policy.yaml").write_text("name: n\nsplits: {scheme: main, salt: 1}\n")
    name, *flags = said.split()
    assert cli.main([name, "--lake", "l", *flags]) == 2
    seen = capsys.readouterr()
    assert told in seen.err
    assert json.loads(seen.out)["outcome"] in ("UsageError", "ConfigError")


def test_a_policy_is_read_once_before_the_lake_is_opened(monkeypatch, tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text("name: n\nsplits: {scheme: main, salt: 1}\n")
    built = []
    monkeypatch.setattr(job, "open_lake", lambda root, app: file.unlink())
    monkeypatch.setattr(job, "existing", lambda lake: lake)
    monkeypatch.setattr(
        build_splits, "run", lambda _, policy, text, **__: built.append((policy.name, text)) or Report("try")
    )
    assert build_splits.main(["--lake", "l", "--policy", str(file), "--release", "r1"]) == 0
    assert built == [("n", "name: n\nsplits: {scheme: main, salt: 1}\n")]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("sql --limit -1 query", "--limit: -1: expected a whole number, 0 to 2147483646"),
        ("sql --limit 1.5 query", "--limit: 1.5: expected a whole number, 0 to 2147483646"),
        ("sql --limit many query", "--limit: many: expected a whole number, 0 to 2147483646"),
        ("calibrate --clips 49", "--clips: 49: expected a whole number, 50 or more"),
        ("calibrate --clips -2", "--clips: -2: expected a whole number, 50 or more"),
        ("verify-release r1 --sample -5", "--sample: -5: expected a whole number, 0 or more"),
        ("compare-models --old a --new b --n -1", "--n: -1: expected a whole number, 0 or more"),
        ("review --rule r --html p.html --n 0", "--n: 0: expected a whole number, 1 or more"),
        ("report --examples 21", "--examples: 21: expected a whole number, 0 to 20"),
        ("status --extractor wisper", "--extractor: invalid choice: 'wisper'"),
    ],
)
def test_a_count_that_there_cannot_be_is_a_usage_error(monkeypatch, capsys, said, told):
    monkeypatch.setattr(job, "open_lake", lambda *_: pytest.fail("Spark was started"))
    name, *flags = said.split()
    assert cli.main([name, "--lake", "l", *flags]) == 2
    assert told in capsys.readouterr().err


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine that is five hours behind UTC."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "EST5")
        time.tzset()
        yield
    time.tzset()


def test_a_job_tells_times_in_utc_wherever_it_runs(run, new_york):
    told: list[datetime] = []

    def call() -> Report:
        # As PySpark makes a value of a column of timestamps.
        told.append(datetime.fromtimestamp(0))
        return Report("try")

    run(call, "--lake", "somewhere")
    assert told == [datetime(1970, 1, 1)]
    # Whoever calls a job keeps the zone that was set.
    assert (os.environ["TZ"], time.tzname[0]) == ("EST5", "EST")


def test_a_next_step_is_spelled_so_that_it_runs_where_it_is_read(tmp_path, monkeypatch):
    program = tmp_path / "check out" / ".venv" / "bin" / "speechlake"
    program.parent.mkdir(parents=True)
    monkeypatch.setattr(cli.sys, "executable", str(program.with_name("python")))
    monkeypatch.setattr(cli.shutil, "which", lambda _: None)
    assert cli.command("report") == "speechlake report"
    program.touch()
    assert cli.command("report", "--lake", "my lake") == f"'{program}' report --lake 'my lake'"
    monkeypatch.chdir(tmp_path / "check out")
    assert cli.spelled("speechlake report --lake L") == ".venv/bin/speechlake report --lake L"
    assert cli.spelled("open a page") == "open a page"
    monkeypatch.setattr(cli.shutil, "which", lambda _: "/usr/bin/speechlake")
    assert cli.spelled("speechlake report") == "speechlake report"
