"""Small corpora and the whole of a small lake, for tests that go through jobs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from speechlake.corpora import make_corpus
from speechlake.job import Report
from speechlake.lake import Note
from speechlake.progress import Progress

if TYPE_CHECKING:
    from speechlake.lake import Lake

RATE_HZ = 16_000
QUIET = Progress(quiet=True)
Tables = dict[str, list[dict[str, Any]]]


def wav(path: Path, *, seed: int = 0, seconds: float = 0.1) -> Path:
    """Noise as a 16 kHz wav, the same for the same seed."""
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE_HZ))
    # Opened here: libsndfile cannot be given every name that a file may have.
    with path.open("wb") as file:
        soundfile.write(file, samples, RATE_HZ, format="WAV", subtype="PCM_16")
    return path


def says(audio: object, text: str | None = None, **more: object) -> bytes:
    """One line of a NeMo manifest."""
    return json.dumps({"audio_filepath": audio} | ({"text": text} if text else {}) | more).encode()


def write_lines(path: Path, *lines: bytes) -> Path:
    """A manifest of these lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def ingest(lake: Lake, *sources: Path, corpus: str = "c", **said: Any) -> Report:
    """Run ingest-manifests."""
    from speechlake.commands import ingest_manifests

    made = make_corpus(name=corpus, sources=[str(source) for source in sources], **said)
    return ingest_manifests.run(lake, made, progress=QUIET)


def tables(lake: Lake, names: Iterable[str] | None = None, *, corpus: str | None = None) -> Tables:
    """All rows by table, without run ids and times, in an order of their own: for comparing by value.

    Without `names`: every table of the lake but what runs did and cost.
    """
    data = [name for name in lake.versions() if name not in ("runs", "chunks")]
    wanted = data if names is None else list(names)
    return {name: _rows(lake, name, corpus) for name in wanted}


def _rows(lake: Lake, name: str, corpus: str | None) -> list[dict[str, Any]]:
    frame = lake.read(name)
    if corpus is not None and "corpus" in frame.columns:
        frame = frame.where(f"corpus = '{corpus}'")
    found = [row.asDict(recursive=True) for row in frame.drop("run_id", "published_at").collect()]
    return sorted(found, key=repr)


def column(rows: Sequence[dict[str, Any]], key: str, *values: str) -> dict[Any, Any]:
    """`{key: value}` of rows, or `{key: (values…)}`."""
    return {
        row[key]: row[values[0]] if len(values) == 1 else tuple(row[value] for value in values)
        for row in rows
    }


def default(kind: str) -> Any:
    """A valid value of a Spark type."""
    if kind.startswith("array"):
        return []
    if kind.startswith("map"):
        return {}
    plain = {"string": "x", "bigint": 0, "int": 0, "double": 0.0, "boolean": False, "binary": b""}
    return {**plain, "timestamp": datetime(2026, 1, 1, tzinfo=UTC)}[kind]


class Played(dict[str, Any]):
    """What was after each step of a story; asked for a step, the story is played up to it."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: Iterator[object] = iter(())

    def __missing__(self, step: str) -> Any:
        while step not in self:
            next(self.steps)
        return self[step]


class Log:
    """A lake of which only the log of its tables is asked: one CREATE TABLE, then `commits`, oldest first.

    A commit is "job/scope/run" of the job that made it, or any other text for one by hand; each is a second later
    than the one before, the first in second 0.
    """

    def __init__(self, commits: Sequence[str]) -> None:
        self.told = [Note("CREATE TABLE", None, 0)]
        for second, commit in enumerate(commits, start=1):
            names = ("job", "scope", "run_id")
            said = dict(zip(names, commit.split("/"), strict=False))
            self.told.append(
                Note("WRITE", json.dumps(said) if len(said) == len(names) else None, 1000 * second)
            )

    def version(self, _: str) -> int:
        """The newest version of any table."""
        return len(self.told) - 1

    def note(self, _: str, version: int) -> Note | None:
        """As `Lake.note`."""
        return self.told[version] if version < len(self.told) else None

    def notes(self, _: str, since: int) -> Iterator[Note]:
        """As `Lake.notes`."""
        return reversed(self.told[since + 1 :])


def run_row(table: str, read: int, written: int | None) -> Any:
    """A row of `runs`: of run `mine`, which read and wrote these versions of a table and ended in second 3."""
    return SimpleNamespace(
        run_id="mine",
        versions_read={table: read},
        versions_written={} if written is None else {table: written},
        finished_at=datetime.fromtimestamp(3.5, UTC),
    )
