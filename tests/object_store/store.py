"""The S3 server of these tests, and what is run against it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
SET_UP = ROOT / "build" / "s3"
BUCKET = "speech"
REGION = "eu-central-1"
# Small parts, so that multipart uploads are seen; few attempts, so that a fault shows before the test's patience ends.
SETTINGS = {
    "spark.driver.memory": "1g",
    "spark.sql.shuffle.partitions": "2",
    "spark.hadoop.fs.s3a.path.style.access": "true",
    "spark.hadoop.fs.s3a.multipart.size": "5M",
    "spark.hadoop.fs.s3a.multipart.threshold": "5M",
    "spark.hadoop.fs.s3a.attempts.maximum": "2",
}


@dataclass
class Store:
    """A running server with one bucket."""

    process: subprocess.Popen[str]
    notes: Path
    url: str
    key: str
    secret: str
    log_store: Path
    outputs: list[str] = field(default_factory=list)

    @classmethod
    def start(cls, folder: Path) -> Store:
        """Start the server, and make the bucket."""
        python = SET_UP / "venv" / "bin" / "python"
        assert python.exists(), "run scripts/setup_object_store.sh first: make object-store-test does"
        notes = folder / "requests.jsonl"
        script = Path(__file__).with_name("s3_server.py")
        log_store = folder / "speechlake-s3.jar"
        build = [sys.executable, str(ROOT / "scripts" / "s3_log_store.py"), str(log_store)]
        subprocess.run(build, check=True, timeout=120, capture_output=True)
        process = subprocess.Popen(
            [str(python), str(script), str(notes)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        made = cls(process, notes, **json.loads(process.stdout.readline()), log_store=log_store)
        made.files().create_dir(BUCKET)
        return made

    def stop(self) -> None:
        """End the server."""
        self.process.communicate(timeout=30)

    def files(self) -> Any:
        """The store through pyarrow."""
        from pyarrow.fs import S3FileSystem

        return S3FileSystem(
            access_key=self.key,
            secret_key=self.secret,
            endpoint_override=self.url,
            region=REGION,
            allow_bucket_creation=True,
        )

    def reader(self) -> dict[str, str]:
        """The same for delta-rs."""
        said = {"ACCESS_KEY_ID": self.key, "SECRET_ACCESS_KEY": self.secret, "ENDPOINT_URL": self.url}
        return {
            f"AWS_{name}": value for name, value in (said | {"REGION": REGION, "ALLOW_HTTP": "true"}).items()
        }

    def upload(self, folder: Path, prefix: str) -> None:
        """Copy a folder to `prefix` in the bucket."""
        from pyarrow.fs import LocalFileSystem, copy_files

        copy_files(
            str(folder),
            f"{BUCKET}/{prefix}",
            source_filesystem=LocalFileSystem(),
            destination_filesystem=self.files(),
        )

    def keys(self, prefix: str) -> list[str]:
        """Names of all objects below `prefix`, without the bucket."""
        from pyarrow.fs import FileSelector, FileType

        found = self.files().get_file_info(
            FileSelector(f"{BUCKET}/{prefix}", recursive=True, allow_not_found=True)
        )
        return sorted(info.path.removeprefix(f"{BUCKET}/") for info in found if info.type == FileType.File)

    def started(
        self, job: str, *arguments: str, conf: Mapping[str, str] | None = None, **more: str
    ) -> subprocess.Popen[str]:
        """A job in local mode, in a process group of its own; credentials and endpoint come by the environment."""
        jars = ",".join(map(str, [*sorted((SET_UP / "jars").glob("*.jar")), self.log_store]))
        settings = ";".join(
            f"{name}={value}" for name, value in {**SETTINGS, "spark.jars": jars, **(conf or {})}.items()
        )
        short = os.environ.get("SPEECHLAKE_SPARK_CONF", "")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment |= {
            "SPEECHLAKE_MASTER": "local[2,4]",
            "SPEECHLAKE_SPARK_CONF": f"{settings};{short}",
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            # Where there are no credentials, nobody asks a cloud for them.
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        return subprocess.Popen(
            [sys.executable, "-m", f"speechlake.commands.{job}", *arguments],
            env={name: value for name, value in (environment | more).items() if value},
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ended(self, process: subprocess.Popen[str]) -> tuple[int, dict[str, Any], str]:
        """Wait for a job: exit code, last line of stdout as an object, stderr."""
        out, said = process.communicate(timeout=1200)
        self.outputs += [out, said]
        last = (out.strip().splitlines() or [""])[-1]
        return process.returncode, (json.loads(last) if last.startswith("{") else {}), said

    def run(self, job: str, *arguments: str, conf: Mapping[str, str] | None = None) -> dict[str, Any]:
        """A job that must end with 0; its last line."""
        code, found, said = self.ended(self.started(job, *arguments, conf=conf))
        assert code == 0, said[-4000:]
        return found

    def requests(self) -> Iterator[tuple[str, str, str, str]]:
        """Method, path, status and agent of every request so far."""
        for line in self.notes.read_text("utf-8").splitlines():
            method, path, status, agent = json.loads(line)
            yield method, path, status, agent

    def contents(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Objects with their bytes."""
        files = self.files()
        for key in keys:
            with files.open_input_stream(f"{BUCKET}/{key}", compression=None) as stream:
                yield key, stream.read()
