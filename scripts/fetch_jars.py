"""Fetch Delta's jars through Spark's Ivy into a folder, so that jobs start without a network.

    .venv/bin/python scripts/fetch_jars.py build/jars

Spark resolves `--packages` before it runs an application, so an empty one is enough, and no session
starts. A jar whose sha256 is not the one written here is refused.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGE = "io.delta:delta-spark_4.2_2.13:4.4.0"
# Only Delta and its storage layer are needed: 2 jars of 33, 10 MB of 87.
EXCLUDES = "io.delta:delta-kernel-*,io.unitycatalog:*,org.*:*,com.*:*,commons-*:*,javax.*:*,io.airlift:*"
SHA256 = {
    "io.delta_delta-spark_4.2_2.13-4.4.0.jar": "27d4fd8b1f879535c573ed1c718177d6a27f24d3e626ba02e216369725721ead",
    "io.delta_delta-storage-4.4.0.jar": "c46735481fa8e326b0957be02b4420cbcab4b325bb08009b7f2045a95133f1cc",
}


def resolve(scratch: Path) -> Path:
    """Let Spark's Ivy download the jars below `scratch`; the folder they lie in."""
    import pyspark

    home = Path(pyspark.__file__).parent
    empty = scratch / "empty.py"
    empty.touch()
    command = [str(home / "bin" / "spark-submit"), "--packages", PACKAGE]
    for key, value in {"spark.jars.excludes": EXCLUDES, "spark.jars.ivy": str(scratch / "ivy")}.items():
        command += ["--conf", f"{key}={value}"]
    environment = os.environ | {"SPARK_HOME": str(home), "PYSPARK_PYTHON": sys.executable}
    subprocess.run([*command, str(empty)], check=True, env=environment)
    return scratch / "ivy" / "jars"


def checked(jars: Path) -> list[Path]:
    """The jars that are wanted; ends the program where one is missing or has another content."""
    wanted = [jars / name for name in SHA256]
    for jar in wanted:
        digest = hashlib.sha256(jar.read_bytes()).hexdigest() if jar.is_file() else "no file"
        if digest != SHA256[jar.name]:
            raise SystemExit(f"{jar.name}: found sha256 {digest}, expected {SHA256[jar.name]}")
    return wanted


def main(target: Path) -> None:
    """Replace `target` by a folder of the wanted jars, as a whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        fresh = Path(name) / "fresh"
        fresh.mkdir()
        for jar in checked(resolve(Path(name))):
            shutil.copyfile(jar, fresh / jar.name)
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
