"""Small files of a lake (notes, markers) through Hadoop's file systems, so that every lake URI works.

pyarrow.fs reads audio; this module serves what lies beside tables, where Spark's own credentials apply.
"""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from speechlake.damage import told_by_java
from speechlake.errors import NoStore, SpeechlakeError, UsageError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# What no other try mends. Looked for first: who has no credentials has often waited for a service that gives some.
REFUSED: Final = re.compile(
    r"AccessDenied|AccessControlException|Forbidden|Unauthorized|NoAuth|Credential|InvalidAccessKey|"
    r"SignatureDoesNotMatch|UnsupportedFileSystem|No FileSystem|ClassNotFound|NoSuchBucket|UnknownStore|"
    r"Status Code: 40[0134]"
)
# What passes: nobody answers, or the store says that it cannot now.
PASSING: Final = re.compile(
    r"ConnectException|ConnectTimeout|SocketTimeout|SocketException|NoRouteToHost|UnknownHost|NoHttpResponse|"
    r"TimeoutException|[Tt]imed? ?out|Connection (?:refused|reset)|Unable to execute HTTP request|"
    r"AWSStatus500|Throttl|SlowDown|InternalError|StandbyException|RetriableException|Status Code: 5\d\d|"
    r"[Ss]ervice ?[Uu]navailable|[Ss]erver (?:is )?[Bb]usy|[Ss]afe ?[Mm]ode|"
    # As Google and Azure say it; a name of a file may hold 503 too.
    r"\b50\d (?:Internal|Bad|Gateway)|\", 50\d, [A-Z]+,"
)

# What Spark's readers of files take for a pattern, unless a backslash stands before it; its writers do not.
_PATTERN: Final = re.compile(r"[\[\]{}*?\\]")


def as_is(uri: str) -> str:
    """`uri` for Spark's readers of files, so that nothing in it is a pattern; Delta takes it unchanged."""
    return _PATTERN.sub(r"\\\g<0>", uri)


@dataclass(frozen=True)
class Entry:
    """A file or folder in a folder; `modified_ms` counts from 1970 (0 for folders on some object stores)."""

    name: str
    is_folder: bool
    bytes: int
    modified_ms: int


class Files:
    """Existence, listing, small texts and deletion under any URI that Spark can write to."""

    def __init__(self, spark: SparkSession) -> None:
        self._jvm: Any = spark._jvm
        self._conf: Any = spark._jsc.hadoopConfiguration()

    def spelt(self, uri: str) -> str:
        """`uri` as Spark knows it: `s3://` is `s3a://` where Hadoop has no file system of its own for it.

        UsageError where Spark cannot reach such a place at all.
        """
        scheme, mark, rest = uri.partition("://")
        if not mark:
            return uri
        if scheme.lower() in ("s3", "s3n") and not self._conf.get(f"fs.{scheme.lower()}.impl"):
            uri = f"s3a://{rest}"
        self._at(uri)
        return uri

    def require(self, uri: str) -> None:
        """UsageError where the store of `uri` refuses us, NoStore where it does not answer; that nothing is there yet
        is fine."""
        from py4j.protocol import Py4JJavaError

        try:
            self.exists(uri)
        except Py4JJavaError as error:
            raise _unreachable(uri, error) from None

    def age_s(self, uri: str) -> float:
        """Seconds since the file was written, or the newest file right in a folder; infinite where there is none."""
        fs, path = self._at(uri)
        found = fs.listStatus(path) if fs.exists(path) else ()
        written = [int(status.getModificationTime()) for status in found if status.isFile()]
        return time.time() - max(written) / 1000 if written else math.inf

    def _at(self, uri: str) -> tuple[Any, Any]:
        from py4j.protocol import Py4JJavaError

        path = self._jvm.org.apache.hadoop.fs.Path(uri)
        try:
            return path.getFileSystem(self._conf), path
        except Py4JJavaError as error:
            raise _unreachable(uri, error) from None

    def exists(self, uri: str) -> bool:
        """True when a file or folder is there."""
        fs, path = self._at(uri)
        return bool(fs.exists(path))

    def folders(self, uri: str) -> list[str]:
        """Names of the folders in `uri`, sorted; none when it is not there."""
        fs, path = self._at(uri)
        if not fs.exists(path):
            return []
        return sorted(str(s.getPath().getName()) for s in fs.listStatus(path) if s.isDirectory())

    def entries(self, uri: str) -> list[Entry]:
        """What lies in the folder `uri`, sorted by name; nothing when it is not there."""
        fs, path = self._at(uri)
        if not fs.exists(path):
            return []
        found = fs.listStatus(path)
        told = [
            Entry(
                str(s.getPath().getName()),
                bool(s.isDirectory()),
                int(s.getLen()),
                int(s.getModificationTime()),
            )
            for s in found
        ]
        return sorted(told, key=lambda entry: entry.name)

    def size(self, uri: str) -> tuple[int, int]:
        """Files and bytes under `uri`; (0, 0) when it is not there."""
        fs, path = self._at(uri)
        if not fs.exists(path):
            return 0, 0
        summary = fs.getContentSummary(path)
        return int(summary.getFileCount()), int(summary.getLength())

    def touched(self, uri: str) -> float:
        """When a file under `uri` was last written, in seconds since 1970; 0 where there is none."""
        fs, path = self._at(uri)
        times = []
        found = fs.listFiles(path, True) if fs.exists(path) else None
        while found is not None and found.hasNext():
            times.append(found.next().getModificationTime())
        return max(times, default=0) / 1000

    def names(self, uri: str) -> list[str]:
        """Names of the files in `uri`, sorted; none when it is not there."""
        fs, path = self._at(uri)
        if not fs.exists(path):
            return []
        return sorted(str(s.getPath().getName()) for s in fs.listStatus(path) if s.isFile())

    def write_text(self, uri: str, text: str) -> None:
        """Write a small file, replacing what is there."""
        fs, path = self._at(uri)
        stream = fs.create(path, True)
        try:
            stream.write(bytearray(text.encode("utf-8")))
        finally:
            stream.close()

    def read_text(self, uri: str) -> str:
        """All of a small file."""
        fs, path = self._at(uri)
        stream = fs.open(path)
        try:
            return str(self._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8"))
        finally:
            stream.close()

    def delete(self, uri: str) -> None:
        """Delete a file or a whole folder; nothing happens when it is not there. SpeechlakeError where it stays."""
        fs, path = self._at(uri)
        # Hadoop says no where it is not there, and where it, or something in it, could not be deleted.
        if not fs.delete(path, True) and fs.exists(path):
            raise SpeechlakeError(
                f"{uri} could not be deleted", hint="Who may write there? Then run the same command again."
            )

    def qualified(self, uri: str) -> str:
        """One spelling of a place: with its scheme, as its file system has it."""
        fs, path = self._at(uri)
        return str(fs.makeQualified(path).toString())

    def is_local(self, uri: str) -> bool:
        """True when `uri` is on this machine's file system, whose Delta log is not safe for several drivers."""
        fs, _ = self._at(uri)
        return str(fs.getScheme()) == "file"


def _unreachable(uri: str, error: Exception) -> SpeechlakeError:
    """What Java says of the store, in one line, which names no secret; NoStore where another try may end otherwise."""
    chain = [" ".join(said.split()) for said in told_by_java(error)] or [type(error).__name__]
    message, whole = f"Spark cannot reach {uri}: {chain[0][:300]}", "\n".join(chain)
    if PASSING.search(whole) and not REFUSED.search(whole):
        return NoStore(message, hint="Run the same command again once the store answers: docs/cluster.md.")
    return UsageError(
        message,
        hint="A connector belongs to spark-submit's --packages, credentials and endpoint to the environment or its settings: docs/cluster.md.",
    )
