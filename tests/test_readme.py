"""The README and docs/ say what is so: tables, commands, flags, variables, examples and links."""

import ast
import importlib
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from speechlake.cli import JOBS, file_of
from speechlake.corpora import KEPT, Corpus, load_corpora
from speechlake.manifests.contract import Source
from speechlake.manifests.formats import FORMATS
from speechlake.manifests.options import ParseOptions
from speechlake.manifests.record import Record
from speechlake.models.registry import REGISTRY
from speechlake.signals import DEFAULT_EXTRACTORS, EXTRACTORS
from speechlake.splits.columns import NAMES
from speechlake.splits.policy import load_policy

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
README = PAGES[0].read_text("utf-8")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, *kinds: str) -> list[str]:
    """Code blocks of a page, of the named kinds."""
    return [text for kind, text in BLOCK.findall(page.read_text("utf-8")) if kind in kinds]


def commands(page: Path) -> list[list[str]]:
    """Words of every command of a page's shell blocks, continued lines joined, comments left out."""
    lines = "\n".join(blocks(page, "", "sh")).replace("\\\n", " ").splitlines()
    known = re.compile(r"\s*(?:\.venv/bin/)?(?:speechlake|make|spark-submit)\b")
    return [shlex.split(line, comments=True) for line in lines if known.match(line)]


def jobs_called(page: Path) -> list[tuple[str, list[str]]]:
    """(job, arguments) of every call of a job, by the command or by spark-submit; shell redirections cut off."""
    found = []
    for words in commands(page):
        words = words[: next((n for n, word in enumerate(words) if re.match(r"\d?>", word)), len(words))]
        if words[0].endswith("spark-submit"):
            (n,) = [n for n, word in enumerate(words) if word.startswith("jobs/")]
            (name,) = [name for name in JOBS if file_of(name) == Path(words[n]).stem]
            found.append((name, words[n + 1 :]))
        elif words[0].endswith("speechlake"):
            found.append((words[1], words[2:]))
    return found


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/readme_tables.py as a module."""
    spec = importlib.util.spec_from_file_location("readme_tables", ROOT / "scripts" / "readme_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "readme_tables", module)
    spec.loader.exec_module(module)
    return module


def test_the_generated_tables_are_current(tables: ModuleType) -> None:
    assert tables.main(["--check"]) == 0, "run scripts/readme_tables.py"


def test_a_table_that_is_not_current_is_told_and_mended(tables: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(README.replace("Refused lines", "Lines refused"), "utf-8")
    assert tables.main(["--check", str(page)]) == 1
    assert tables.main([str(page)]) == 0
    assert page.read_text("utf-8") == README


def test_every_plain_column_of_rules_is_told_with_its_meaning(tables: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "policies.md"
    page.write_text(
        (ROOT / "docs" / "policies.md").read_text("utf-8").replace("Namespaced speaker", "Speaker")
    )
    assert tables.main(["--check", str(page)]) == 1
    assert tables.main([str(page)]) == 0
    (table,) = re.findall(
        r"<!-- begin columns -->(.*)<!-- end columns -->", page.read_text("utf-8"), re.DOTALL
    )
    told = re.findall(r"^\| `([\w.<>]+)` \| .* \| .+ \|$", table, re.MULTILINE)
    assert [name for name in told if name in NAMES] == [*NAMES]
    assert "| `speaker_id` | string | Namespaced speaker. |" in page.read_text("utf-8")


@pytest.mark.slow
def test_the_documented_columns_are_those_of_the_view(tables: ModuleType, lake) -> None:
    from speechlake.views import utterances_now

    found = {field.name: field.dataType.simpleString() for field in utterances_now(lake).schema.fields}
    assert {name: kind for name, kind, _ in tables.rows_of_view()} == found
    assert len(utterances_now(lake).columns) == len(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_job_that_is_shown_exists_and_takes_the_arguments_shown(page: Path) -> None:
    wrong = []
    for name, arguments in jobs_called(page):
        if name not in JOBS:
            wrong.append(f"no job {name}")
            continue
        parser = importlib.import_module(f"speechlake.commands.{file_of(name)}").arguments()
        parser.exit_on_error = False
        try:
            parser.parse_args(arguments)
        except (Exception, SystemExit) as error:
            wrong.append(f"{name} {arguments}: {error}")
    assert wrong == []


def test_the_readme_shows_every_job() -> None:
    assert {name for name, _ in jobs_called(PAGES[0])} == set(JOBS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_where_our_spark_submit_is_called_its_python_is_named_before(page: Path) -> None:
    # It asks that Python where Spark lies, and fails with a python3 that has no PySpark.
    shown = "\n".join(blocks(page, "", "sh"))
    before, called, _ = shown.partition("\n.venv/bin/spark-submit")
    assert not called or "export PYSPARK_PYTHON=$PWD/.venv/bin/python" in before


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_target_that_is_shown_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    inline = re.findall(r"`make ([a-z0-9-]+)", page.read_text("utf-8"))
    shown = {word for words in commands(page) if words[0] == "make" for word in words[1:2]}
    assert {*shown, *inline} <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_variable_of_ours_that_is_named_is_read(page: Path) -> None:
    folders = (ROOT / "lib", ROOT / "airflow_dags")
    source = "\n".join(file.read_text("utf-8") for folder in folders for file in folder.rglob("*.py"))
    named = set(re.findall(r"SPEECHLAKE_[A-Z_]+", page.read_text("utf-8")))
    assert {name for name in named if f'"{name}"' not in source} == set()


def test_every_variable_of_ours_that_is_read_is_in_the_readme() -> None:
    source = "\n".join(file.read_text("utf-8") for file in (ROOT / "lib").rglob("*.py"))
    assert set(re.findall(r'"(SPEECHLAKE_[A-Z_]+)"', source)) <= set(
        re.findall(r"SPEECHLAKE_[A-Z_]+", README)
    )


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"], ids=lambda page: page.name
)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        if "://" in target:
            continue
        if (file and not (page.parent / file).exists()) or (not file and anchor not in anchors):
            wrong.append(target)
    assert wrong == []


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"], ids=lambda page: page.name
)
def test_every_file_of_the_repository_that_is_named_exists(page: Path) -> None:
    folders = "jobs|lib|schemas|policies|scripts|tests|docs|demo"
    # A path that goes on with `<` is a pattern for a new file.
    named = re.findall(rf"(?<![\w/.-])(?:{folders})/[\w./-]++(?!<)", page.read_text("utf-8"))
    assert [name for name in named if not (ROOT / name.rstrip(".-")).exists()] == []


def test_the_example_of_corpora_is_valid_and_its_fields_are_all_told(tmp_path: Path) -> None:
    (example,) = [text for text in blocks(PAGES[0], "yaml") if text.startswith("corpora:")]
    (tmp_path / "corpora.yaml").write_text(example, "utf-8")
    calls, reader = load_corpora(tmp_path / "corpora.yaml")
    assert calls.sources[0] == str(tmp_path / "calls/2026-10.jsonl")
    assert (reader.language, reader.single_speaker) == ("no", True)
    section = README.split("| field | flag")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", section, re.MULTILINE) == list(Corpus.model_fields)


def test_all_that_takes_back_what_the_lake_remembers_is_told_and_does(tmp_path: Path) -> None:
    (told,) = [line for line in README.splitlines() if line.startswith("What was said of a corpus stays")]
    taken_back = re.findall(r"`(\w+: [^`]+)`", told)
    fields = ", ".join(["name: c", "sources: [x]", *taken_back])
    (tmp_path / "corpora.yaml").write_text(f"corpora: [{{{fields}}}]\n", "utf-8")
    (corpus,) = load_corpora(tmp_path / "corpora.yaml")
    usual = Corpus(name="c", sources=("x",))
    assert {name: getattr(corpus, name) for name in KEPT} == {name: getattr(usual, name) for name in KEPT}
    assert {each.split(":")[0] for each in taken_back} == {*KEPT} - {"channels", "ids"}


def test_the_example_of_a_policy_is_valid(tmp_path: Path) -> None:
    (example,) = [text for text in blocks(PAGES[0], "yaml") if text.startswith("name:")]
    (use,) = re.findall(r"`(use: \{.*\})`", README)
    (tmp_path / "policy.yaml").write_text(f"{example}{use}\n", "utf-8")
    policy = load_policy(tmp_path / "policy.yaml")
    assert [rule.rule for rule in policy.keep][-1] == "error_rate"
    assert [each.model for each in policy.use["whisper"]] == ["whisper-small.en", "whisper-base"]


def test_every_manifest_format_and_every_model_is_told() -> None:
    section = README.split("## Manifest formats")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`([\w-]+)`", row)} == set(FORMATS)
    models = README.split("## Models")[1].split("\n## ")[0]
    assert set(re.findall(r"`(whisper-[\w.-]+)`", models)) == set(REGISTRY)


def test_what_is_told_to_be_optional_is_what_runs_only_when_it_is_named() -> None:
    section = README.split("| extractor | gives")[1].split("\n\n")[0]
    told = re.findall(r"^\| `(\w+)`", section, re.MULTILINE)
    assert told == [name for name in EXTRACTORS if name not in DEFAULT_EXTRACTORS]


def test_every_view_is_told_where_sql_is() -> None:
    from speechlake.catalog.register import VIEWS

    (line,) = [line for line in README.splitlines() if line.startswith("**3. Ask why.**")]
    assert {name for name in VIEWS if f"`{name}`" in line} == set(VIEWS)


def test_the_suffix_that_is_told_of_a_format_is_the_one_that_its_parser_takes() -> None:
    (row,) = [line for line in README.splitlines() if line.startswith("| `suffix` |")]
    told = {name: suffix for suffix, name in re.findall(r"`(\.\w+)` for `([\w-]+)`", row)}
    lines = {
        "librispeech": (None, b"1-2-3 TEXT"),
        "ljspeech": (None, b"LJ1|text"),
        "common-voice": ("client_id\tpath\tsentence", b"c\tclip\ttext"),
    }
    taken = {}
    for name, (header, line) in lines.items():
        source = Source("/data/x", name, 0, header)
        found = FORMATS[name].parse(line, FORMATS[name].context(source, ParseOptions.of("c")))
        assert isinstance(found, Record)
        taken[name] = Path(str(found.audio)).suffix
    assert told == taken


def test_every_place_that_tells_rules_apart_is_named_to_whoever_adds_one() -> None:
    (told,) = [line for line in CONTRIBUTING.splitlines() if "rule with a name of its own" in line]
    kinds = {"SameLanguage", "ErrorRate"}
    places = {
        (function.name, f"lib/speechlake/splits/{file.name}")
        for file in (ROOT / "lib" / "speechlake" / "splits").glob("*.py")
        for function in ast.parse(file.read_text("utf-8")).body
        if isinstance(function, ast.FunctionDef)
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "isinstance"
        if kinds & {name.id for name in ast.walk(call.args[1]) if isinstance(name, ast.Name)}
    }
    assert places
    assert {place for place in places if not all(f"`{part}`" in told for part in place)} == set()


def test_all_that_an_extractor_with_packaged_weights_needs_is_named_to_whoever_adds_one() -> None:
    section = CONTRIBUTING.split("## To add an extractor")[1].split("\n## ")[0]
    assert [word for word in ("`PACKAGED`", "`constraints.txt`", "`wanted_of`") if word not in section] == []


def test_nothing_is_left_to_be_filled_in() -> None:
    assert [page.name for page in PAGES if "@@" in page.read_text("utf-8")] == []


def test_the_utterance_that_the_readme_explains_is_one_of_the_demo() -> None:
    from speechlake.ids import make_id

    recording = make_id("prompts", "audio", "bad/wrong-text.wav", "")
    (shown,) = [arguments[-1] for name, arguments in jobs_called(PAGES[0]) if name == "explain"]
    assert make_id(recording, "mix", "0", "end").startswith(shown)
    assert '"bad/wrong-text.wav"' in (ROOT / "demo" / "prepare.py").read_text("utf-8")


@pytest.mark.parametrize(
    ("ends", "tries", "ended"),
    [([0], 1, 0), ([2], 1, 2), ([4, 3], 2, 3), ([1, 137, 5, 4], 4, 4)],
    ids=["done", "a mistake", "busy, then refused", "never done"],
)
def test_the_nightly_script_tries_again_what_may_end_otherwise_and_pauses_between(
    tmp_path: Path, ends: list[int], tries: int, ended: int
) -> None:
    (script,) = [text for text in blocks(ROOT / "docs" / "running.md", "sh") if "nightly" in text]
    programs = {
        "speechlake/.venv/bin/speechlake": 'echo try >>"$TOLD"; exit $(sed -n "$(grep -c try "$TOLD")p" "$ENDS")',
        "bin/sleep": 'echo "sleep $1" >>"$TOLD"',
    }
    for name, text in programs.items():
        program = tmp_path / name
        program.parent.mkdir(parents=True)
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    told, said = tmp_path / "told", tmp_path / "ends"
    said.write_text("".join(f"{code}\n" for code in ends))
    environment = {"PATH": f"{tmp_path}/bin:{os.defpath}", "TOLD": str(told), "ENDS": str(said)}
    done = subprocess.run(["sh", "-c", script.replace("/srv/", f"{tmp_path}/")], env=environment, check=False)
    pauses = ["sleep 0", "sleep 60", "sleep 600", "sleep 3600"][:tries]
    assert told.read_text().split("\n")[:-1] == [line for pause in pauses for line in (pause, "try")]
    assert done.returncode == ended


def test_the_nightly_script_finds_the_models_and_the_java_of_set_up(tmp_path: Path) -> None:
    (script,) = [text for text in blocks(ROOT / "docs" / "running.md", "sh") if "nightly" in text]
    here = tmp_path / "speechlake"
    program = here / ".venv" / "bin" / "speechlake"
    for folder in (program.parent, here / "build" / "java"):
        folder.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "$SPEECHLAKE_CACHE $JAVA_HOME"\n')
    program.chmod(0o755)
    script = script.replace("/srv/", f"{tmp_path}/")
    subprocess.run(["sh", "-c", script], env={"PATH": os.defpath}, check=True)
    assert (tmp_path / "nightly.jsonl").read_text() == f"{here}/build/cache {here}/build/java\n"
