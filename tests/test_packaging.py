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
FOLDERS = {
    "lib": "speechlake",
    "jobs": "speechlake/jobs",
    "schemas": "speechlake/schemas",
    "policies": "speechlake/policies",
}


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
    code = "import speechlake, speechlake.jobs, speechlake.schemas; print(speechlake.__file__, len(speechlake.schemas.TABLES))"
    file, tables = bare_python(dist / "speechlake.zip", code).split()
    assert file == str(dist / "speechlake.zip" / "speechlake" / "__init__.py")
    assert int(tables) > 20


def test_policies_are_read_from_the_zip(dist: Path) -> None:
    names = {file.name for file in (ROOT / "policies").glob("*.yaml")}
    code = "from importlib import resources; print(*(f.name for f in resources.files('speechlake.policies').iterdir()))"
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

from speechlake.jobs import extract_signals, ingest_manifests

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
