"""Where speechlake and its Spark lie on the machines that run tasks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

# Ends the driver with its task; in the place of spark-submit, which it runs.
BOUND_SUBMIT = Path(__file__).with_name("bound_submit.py")
# Folders of a checkout that the library for executors is made of.
SHIPPED = ("lib", "schemas")


@dataclass(frozen=True)
class Installation:
    """A checkout of speechlake that `make setup dist` has set up."""

    home: Path
    python: Path
    spark_home: Path

    @classmethod
    def here(cls) -> Installation:
        """The checkout that holds these DAGs; SPEECHLAKE_HOME, _PYTHON and _SPARK_HOME name others.

        Read when DAG files are parsed, so that a wrong value shows in every task and not in one.
        """
        said = os.environ.get
        home = Path(said("SPEECHLAKE_HOME") or Path(__file__).resolve().parents[2])
        python = Path(said("SPEECHLAKE_PYTHON") or home / ".venv" / "bin" / "python")
        spark_home = said("SPEECHLAKE_SPARK_HOME") or _spark_of(python.parent.parent)
        return cls(home, python, Path(spark_home))

    @property
    def library(self) -> Path:
        """The library for executors, which do not see the checkout."""
        return self.home / "dist" / "speechlake.zip"

    def job(self, name: str) -> Path:
        """The file of a job."""
        return self.home / "jobs" / f"{name.replace('-', '_')}.py"

    def environment(self) -> Mapping[str, str]:
        """What spark-submit and the driver take from their environment rather than from arguments."""
        said = {
            "SPARK_HOME": str(self.spark_home),
            # Workers, and drivers under spark-submit, take python3 from PATH otherwise: Airflow's own.
            "PYSPARK_PYTHON": str(self.python),
            "PYSPARK_DRIVER_PYTHON": str(self.python),
            # Where `make setup` put models that come in parts.
            "SPEECHLAKE_CACHE": os.environ.get("SPEECHLAKE_CACHE") or str(self.home / "build" / "cache"),
        }
        java = self.home / "build" / "java"
        # Set-up leaves it where the machine's own Java does not fit.
        return said | ({"JAVA_HOME": str(java)} if java.exists() else {})

    def missing(self, job: str) -> Iterator[str]:
        """What is not there for `job` to run, each with what to do."""
        wanted = {
            self.python: "run `make setup`, or set SPEECHLAKE_PYTHON",
            self.spark_home / "bin" / "spark-submit": "run `make setup`, or set SPEECHLAKE_SPARK_HOME",
            self.library: "run `make dist`",
            self.job(job): "this checkout is older than its DAGs",
        }
        yield from (f"{path} is missing: {remedy}" for path, remedy in wanted.items() if not path.exists())
        if self.library.exists() and self.library.stat().st_mtime < _newest(self.home):
            yield f"{self.library} is older than lib/ or schemas/: run `make dist`"


def _newest(home: Path) -> float:
    """When a file of the library was last written, in seconds since 1970; 0 where there is none."""
    files = (file for folder in SHIPPED for file in (home / folder).rglob("*.py"))
    return max((file.stat().st_mtime for file in files), default=0.0)


def _spark_of(environment: Path) -> str:
    """PySpark in a virtual environment; a path that names the place even where nothing is installed yet."""
    found = sorted(environment.glob("lib/python3*/site-packages/pyspark"))
    return str(found[-1] if found else environment / "lib" / "python3" / "site-packages" / "pyspark")
