"""Java, Python, Spark, Delta's jars and our packages: are they there, and do they fit together?"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from speechlake.health.finding import Finding, Patient, fine, look, mend, together

# Spark 4.2 is tested on 17 and 21; from 24 on, Java lacks the security manager that Hadoop asks for.
JAVAS = range(17, 22)
PYTHONS = ((3, 11), (3, 12))
DISTRIBUTION = "speechlake"


def python(_: Patient) -> Finding:
    """The interpreter that runs the driver, and the workers of `local[*]`."""
    told = f"Python {platform.python_version()} in {sys.executable}"
    if sys.version_info[:2] not in PYTHONS:
        return mend("python", told, "Use Python 3.11 or 3.12.")
    workers = os.environ.get("PYSPARK_PYTHON")
    if workers and shutil.which(workers) is None:
        return mend(
            "python", f"{told}; PYSPARK_PYTHON names {workers}, which is not there", "Unset or mend it."
        )
    return fine("python", told)


def java(_: Patient) -> Finding:
    """The Java that Spark would start."""
    home = os.environ.get("JAVA_HOME")
    command = str(Path(home, "bin", "java")) if home else shutil.which("java")
    fix = "Set JAVA_HOME to a Java 17 to 21, or as root: apt-get install openjdk-17-jre-headless."
    # `make setup` leaves a link to one that fits where the machine's own does not.
    left = Path(sys.prefix).parent / "build" / "java"
    if left.exists() and home != str(left):
        fix = f"Set-up found one that fits: export JAVA_HOME={shlex.quote(str(left))}"
    if command is None or not Path(command).is_file():
        return mend("java", f"no Java in {home}" if home else "no Java on PATH", fix)
    try:
        said = subprocess.run([command, "-version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return mend("java", f"{command} does not run: {error}", fix)
    version = re.search(r'version "((\d+)[^"]*)"', said.stderr + said.stdout)
    if version is None:
        return mend("java", f"{command} does not say its version", fix)
    told = f"Java {version[1]} ({command})"
    return fine("java", told) if int(version[2]) in JAVAS else mend("java", told, fix)


def spark(_: Patient) -> Finding:
    """PySpark, and the Spark that SPARK_HOME names in its place."""
    version = _installed("pyspark")
    if version is None:
        return mend("spark", "pyspark is not installed", "pip install -c constraints.txt pyspark")
    jars = _spark_jars()
    if not jars.is_dir():
        fix = "Unset SPARK_HOME, or set it to a Spark."
        return mend("spark", f"no Spark in {jars.parent}", fix)
    cores = [re.search(r"spark-core_[\d.]+-(.+)\.jar", jar.name) for jar in jars.glob("spark-core_*.jar")]
    found = {match[1] for match in cores if match}
    told = f"Spark {', '.join(sorted(found)) or 'of no version'} in {jars.parent}"
    if found != {version}:
        fix = f"Unset SPARK_HOME, or set it to a Spark {version}."
        return mend("spark", f"{told}, but pyspark {version}", fix)
    return fine("spark", told)


def delta(_: Patient) -> Finding:
    """Delta's two jars, where sessions look for them, in the version of its Python package."""
    version = _installed("delta-spark")
    if version is None:
        return mend("delta", "delta-spark is not installed", "pip install -c constraints.txt delta-spark")
    from speechlake.session import delta_jars

    said = os.environ.get("SPEECHLAKE_JARS")
    for folder in (_spark_jars(), *([Path(said)] if said else []), Path("build/jars")):
        jars = delta_jars(folder) if folder.is_dir() else []
        if not jars:
            continue
        lacking = [name for name in ("delta-spark", "delta-storage") if not any(name in j.name for j in jars)]
        other = [jar.name for jar in jars if not jar.name.endswith(f"-{version}.jar")]
        fix = f"Put delta-spark and delta-storage {version} there: `make setup` does."
        if lacking:
            return mend("delta", f"{folder} lacks {' and '.join(lacking)}", fix)
        if other:
            return mend("delta", f"{folder} holds {', '.join(other)}, the package is {version}", fix)
        return fine("delta", f"Delta {version} in {folder}")
    return mend(
        "delta",
        "no jars of Delta beside Spark's own, in $SPEECHLAKE_JARS or in build/jars",
        f"`make setup`, or give spark-submit --packages io.delta:delta-spark_4.2_2.13:{version}.",
    )


def packages(_: Patient) -> Finding:
    """What our own requirements ask for, against what is installed."""
    try:
        required = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        fix = "Fine where it comes by --py-files; else install it: pip install ."
        return look("packages", "speechlake itself is not installed, so its requirements are not known", fix)
    fix = "pip install -c constraints.txt ., or `make setup`."
    plain = [each for each in required if "extra ==" not in each]
    wrong = [mend("packages", told, fix) for told in _unmet(plain)]
    return together("packages", wrong, f"{len(plain)} requirements are met")


def _unmet(required: list[str]) -> Iterator[str]:
    from packaging.requirements import Requirement

    for each in map(Requirement, required):
        version = _installed(each.name)
        if version is None:
            yield f"{each.name} is not installed"
        elif not each.specifier.contains(version, prereleases=True):
            yield f"{each.name} is {version}, wanted {each.specifier}"


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _spark_jars() -> Path:
    from speechlake.session import spark_jars

    return spark_jars()
