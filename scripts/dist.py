"""Build the wheel, and the same bytes as speechlake.zip, into a folder.

    .venv/bin/python scripts/dist.py dist

`spark-submit --py-files x.whl` ships a wheel that no executor can import; named .zip it works.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
FOLDERS = ("lib", "schemas")
FILES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")


def copy_sources(target: Path) -> None:
    """Copy what the wheel is made of; setuptools would else pack left-overs of earlier builds in build/."""
    for folder in FOLDERS:
        # The link lib/speechlake/schemas stays one.
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(HERE / folder, target / folder, symlinks=True, ignore=ignored)
    for file in FILES:
        shutil.copyfile(HERE / file, target / file)


def build_wheel(source: Path, out: Path) -> Path:
    """Build the one wheel of `source` into `out`; the builder's output is shown only where it fails."""
    # Nothing is fetched: constraints.txt pins the build backend, and set-up has installed it.
    options = ("--wheel", "--no-isolation", "--skip-dependency-check", "--outdir", str(out))
    command = (sys.executable, "-m", "build", *options, str(source))
    done = subprocess.run(command, capture_output=True, text=True, cwd=source)
    if done.returncode:
        raise SystemExit(f"{done.stdout}{done.stderr}\ndist: the wheel could not be built, see above")
    (wheel,) = out.glob("*.whl")
    return wheel


def main(out: Path) -> None:
    """Leave `speechlake-<version>-py3-none-any.whl` and `speechlake.zip` in `out`."""
    with tempfile.TemporaryDirectory() as name:
        source, built = Path(name) / "source", Path(name) / "built"
        source.mkdir()
        copy_sources(source)
        wheel = build_wheel(source, built)
        out.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(wheel, out / wheel.name)
        shutil.copyfile(wheel, out / "speechlake.zip")
    print(f"{out / wheel.name}\n{out / 'speechlake.zip'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
