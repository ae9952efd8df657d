"""What the repository's shape promises: packages, imports, jobs, pins, and what is never written in it."""

import ast
import configparser
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from speechlake.cli import JOBS, file_of

ROOT = Path(__file__).resolve().parent.parent
# Split, so that this file does not hold what it forbids.
HOSTS = [
    ".".join(words)
    for words in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("maven", "org"),
        ("maven", "apache", "org"),
        ("debian", "org"),
        ("anaconda", "org"),
        ("npmjs", "org"),
    )
]


@pytest.fixture(scope="module")
def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def sources(*folders: str) -> list[Path]:
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))


def tracked() -> list[Path]:
    """Files of the repository, new ones included; everything but the ignored folders where git is absent."""
    listing = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=False
    )
    if listing.returncode == 0:
        files = [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    else:
        away = {".venv", "build", "dist", "__pycache__", ".git"}
        files = [file for file in ROOT.rglob("*") if not away.intersection(file.relative_to(ROOT).parts)]
    return [file for file in files if file.is_file()]


def imported(file: Path) -> Iterator[str]:
    """Full names of what a file imports, `from a import b` as `a.b`."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def requirements(setup_cfg: configparser.ConfigParser) -> list[Requirement]:
    listed = [setup_cfg["options"]["install_requires"], *setup_cfg["options.extras_require"].values()]
    lines = [line.strip() for text in listed for line in text.splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def test_every_folder_of_python_files_is_a_package() -> None:
    folders = {file.parent for file in [*sources("lib/speechlake"), *sources("schemas")]}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_schemas_of_the_package_are_the_folder_at_the_top() -> None:
    assert (ROOT / "lib" / "speechlake" / "schemas").readlink() == Path("../../schemas")


def test_schemas_import_nothing_but_schemas_and_the_standard_library() -> None:
    allowed = {"speechlake.schemas", *sys.stdlib_module_names}
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in sources("schemas")
        for name in imported(file)
        if name.split(".")[0] not in allowed and not name.startswith("speechlake.schemas.")
    ]
    assert wrong == []


def test_the_library_does_not_import_commands() -> None:
    # The command line imports them by name.
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in sources("lib")
        if "commands" not in file.parts
        for name in imported(file)
        if f"{name}.".startswith("speechlake.commands.")
    ]
    assert wrong == []


def test_importing_the_package_and_its_schemas_loads_no_framework() -> None:
    code = "import sys, speechlake, speechlake.schemas; print(sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"pyspark", "torch", "numpy", "pandas", "pyarrow", "faster_whisper", "av", "soundfile"}
    assert heavy.intersection(ast.literal_eval(done.stdout)) == set()


def test_every_command_says_how_to_submit_it_and_has_arguments_run_and_main() -> None:
    wrong = []
    for file in sources("lib/speechlake/commands"):
        if file.name.startswith("_"):
            continue
        tree = ast.parse(file.read_text("utf-8"))
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        wrong += [
            f"{file.name}: no {name}()" for name in ("arguments", "run", "main") if name not in functions
        ]
        if not re.search(rf"spark-submit .*jobs/{file.name}", ast.get_docstring(tree) or ""):
            wrong.append(f"{file.name}: no spark-submit line in its docstring")
    assert wrong == []


def test_every_script_in_jobs_calls_the_command_of_its_name() -> None:
    called = {
        file.stem: re.findall(r'main\(\["([a-z-]+)"', file.read_text("utf-8")) for file in sources("jobs")
    }
    assert called == {file_of(name): [name] for name in JOBS}


def test_no_job_hides_a_module_of_the_standard_library_or_a_package() -> None:
    # spark-submit puts jobs/ first on the path.
    installed = {name for name in importlib.metadata.packages_distributions() if name != "speechlake"}
    names = {file.stem for file in sources("jobs") if not file.name.startswith("_")}
    assert names & {*sys.stdlib_module_names, *installed} == set()


def test_no_registry_is_named_by_its_host_anywhere() -> None:
    forbidden = re.compile("|".join(map(re.escape, HOSTS)).encode(), re.IGNORECASE)
    wrong = [str(file.relative_to(ROOT)) for file in tracked() if forbidden.search(file.read_bytes())]
    assert wrong == []


def test_no_audio_model_or_archive_is_committed() -> None:
    suffixes = {".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".deb", ".jar", ".whl", ".onnx", ".bin"}
    assert [str(file.relative_to(ROOT)) for file in tracked() if file.suffix in suffixes] == []


def test_every_requirement_is_pinned_within_its_bounds(setup_cfg: configparser.ConfigParser) -> None:
    pinned = pins()
    wrong = [
        str(requirement)
        for requirement in requirements(setup_cfg)
        if not requirement.specifier.contains(pinned.get(canonicalize_name(requirement.name), "0"))
    ]
    assert wrong == []


def test_what_is_installed_for_us_is_what_is_pinned(setup_cfg: configparser.ConfigParser) -> None:
    """Everything that our requirements bring, however indirectly, stands in constraints.txt."""
    pinned, seen, wrong = pins(), set[str](), []
    queue = requirements(setup_cfg)
    while queue:
        requirement = queue.pop()
        name = canonicalize_name(requirement.name)
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # an extra that this environment was made without
        if name in seen:
            continue
        seen.add(name)
        if pinned.get(name) != found.version:
            wrong.append(f"{name} {found.version} is installed, constraints.txt says {pinned.get(name)}")
        needed = map(Requirement, found.requires or [])
        queue += [one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    assert sorted(wrong) == []
