"""The wheel and dist/speechlake.zip: complete, and importable where nothing else is."""

import json
import os
import subprocess
import sys
import wave
import zipfile
from pathlib import Path

import pyspark
import pytest
from deltalake import DeltaTable

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"lib/speechlake": "speechlake", "schemas": "speechlake/schemas"}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make dist` leaves in dist/, built elsewhere."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "scripts/dist.py", str(out)], cwd=ROOT, check=True, timeout=300)
    return out


def bare_python(archive: Path, code: str) -> str:
    """What `code` prints under an interpreter that sees the standard library and the archive only."""
    lines = f"import sys; sys.path.insert(0, {str(archive)!r}); {code}"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", lines],
        cwd=archive.parent,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_zip_holds_every_module_and_every_data_file(dist: Path) -> None:
    expected = {
        f"{name}/{file.relative_to(ROOT / folder)}"
        for folder, name in FOLDERS.items()
        for file in (ROOT / folder).rglob("*")
        if file.suffix in {".py", ".yaml", ".properties", ".html", ".css", ".js"}
    }
    with zipfile.ZipFile(dist / "speechlake.zip") as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == expected


def test_the_wheel_and_the_zip_are_the_same_bytes(dist: Path) -> None:
    (wheel,) = dist.glob("speechlake-*-py3-none-any.whl")
    assert wheel.read_bytes() == (dist / "speechlake.zip").read_bytes()


def test_the_wheel_brings_the_command_and_the_licence(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (entry_points,) = (name for name in names if name.endswith("entry_points.txt"))
        assert "speechlake = speechlake.cli:main" in archive.read(entry_points).decode()
    assert any(name.endswith("LICENSE") for name in names)


def test_the_package_imports_from_the_zip_alone(dist: Path) -> None:
    code = "import speechlake, speechlake.commands, speechlake.schemas; print(speechlake.__file__, len(speechlake.schemas.TABLES))"
    file, tables = bare_python(dist / "speechlake.zip", code).split()
    assert file == str(dist / "speechlake.zip" / "speechlake" / "__init__.py")
    assert int(tables) > 20


def test_policies_are_read_from_the_zip(dist: Path) -> None:
    names = {file.name for file in (ROOT / "lib" / "speechlake" / "policies").glob("*.yaml")}
    code = "from importlib import resources; print(*(f.name for f in resources.files('speechlake').joinpath('policies').iterdir()))"
    assert names <= set(bare_python(dist / "speechlake.zip", code).split())


PROBE = """
import subprocess, sys
from speechlake.session import spark_session

def seen(_):
    from speechlake.audio import process

    show = "import speechlake.audio.child as child; print(child.__file__)"
    child = [sys.executable, "-P", "-c", show]
    done = subprocess.run(child, env=process.child_environment(), cwd="/", capture_output=True, text=True)
    return [process.__file__, done.stdout + done.stderr]

spark = spark_session("probe")
where = spark.sparkContext.parallelize(range(4), 4).flatMap(seen).collect()
assert all("speechlake.zip" in file for file in where), where

from speechlake.commands import extract_signals, ingest_manifests

lake, audio = sys.argv[1:]
measure = ["--lake", lake, "--extractor", "audio", "--extractor", "speech"]
sys.exit(
    ingest_manifests.main(["--lake", lake, "--corpus", "three", audio]) or extract_signals.main(measure)
)
"""


@pytest.mark.long
def test_the_zip_reaches_executors_and_jobs_ingest_and_measure_on_them(
    dist: Path, speech: Path, tmp_path: Path
) -> None:
    """spark-submit on two executors, in processes of their own: they and their decode children import the zip."""
    audio = tmp_path / "audio"
    audio.mkdir()
    for n in range(2):
        with wave.open(str(audio / f"silence{n}.wav"), "wb") as out:
            out.setparams((1, 2, 8000, 0, "NONE", ""))
            out.writeframes(bytes(16000))
    clip = max((speech / "en_US_f_Allison").glob("*.wav"), key=lambda file: file.stat().st_size)
    (audio / "voice.wav").write_bytes(clip.read_bytes())
    probe = tmp_path / "probe.py"
    probe.write_text(PROBE)
    lake = tmp_path / "lake"
    home = Path(pyspark.__file__).parent
    command = [str(home / "bin" / "spark-submit"), "--master", "local-cluster[2,1,1024]"]
    command += ["--py-files", str(dist / "speechlake.zip"), str(probe), str(lake), str(audio)]
    environment = os.environ | {"SPARK_HOME": str(home), "PYSPARK_PYTHON": sys.executable}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    ingested, measured = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"job"')]
    assert ingested["outcome"] == measured["outcome"] == "done"
    assert ingested["counts"]["utterances"] == ingested["counts"]["files_listed"] == 3
    rows = {name: DeltaTable(str(lake / f"signals_{name}")).to_pandas() for name in ("audio", "speech")}
    assert all(len(frame) == 3 and frame["error"].isna().all() for frame in rows.values())
    assert sorted(rows["speech"]["speech_ratio"] > 0.2) == [False, False, True]


# What a machine that only trains has, unpacked: pyarrow 170, deltalake 130, numpy 75, duckdb 65. Spark alone is 400.
BASE_MB = 550


def environment_with(folder: Path, requirement: str) -> Path:
    """A new virtual environment with nothing but that; its folder of programs."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=120)
    install = [
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "-q",
        "-c",
        str(ROOT / "constraints.txt"),
    ]
    subprocess.run([str(folder / "bin" / "python"), *install, requirement], check=True, timeout=900)
    return folder / "bin"


def megabytes(folder: Path) -> float:
    """What the files of a folder take, but for pip, which an environment has anyway."""
    files = (file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    return sum(file.stat().st_size for file in files if "pip" not in file.parts) / 1e6


@pytest.mark.long
@pytest.mark.ci
def test_base_wheel_alone_is_small_and_refuses_jobs_with_the_line_to_install(
    dist: Path, tmp_path: Path
) -> None:
    """What reads needs no Spark; a command that does says what to install, and ends with 2."""
    (wheel,) = dist.glob("*.whl")
    programs = environment_with(tmp_path / "base", str(wheel))
    heavy = "pyspark", "pandas", "torch", "faster_whisper", "av"
    code = f"from importlib.util import find_spec; import speechlake.schemas; print([n for n in {heavy} if find_spec(n)])"
    shown = subprocess.run([str(programs / "python"), "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
    assert megabytes(tmp_path / "base") < BASE_MB
    refused = subprocess.run(
        [str(programs / "speechlake"), "status", "--lake", "x"], check=False, capture_output=True, text=True
    )
    assert (refused.returncode, refused.stderr) == (
        2,
        "status needs Spark and the models that jobs run: pip install 'speechlake[jobs]' (see docs/install.md)\n",
    )


@pytest.mark.long
@pytest.mark.ci
def test_wheel_with_jobs_has_every_command(dist: Path, tmp_path: Path) -> None:
    """All modules of commands import with what `[jobs]` brings, and nothing of the checkout."""
    (wheel,) = dist.glob("*.whl")
    programs = environment_with(tmp_path / "jobs", f"{wheel}[jobs]")
    code = (
        "import importlib\n"
        "from speechlake.cli import JOBS, file_of\n"
        "for name in JOBS: importlib.import_module(f'speechlake.commands.{file_of(name)}').arguments()\n"
        "import delta, faster_whisper, pyspark, speechlake.signals.engine, speechlake.splits.build\n"
    )
    subprocess.run([str(programs / "python"), "-I", "-c", code], check=True, timeout=120, cwd=tmp_path)
