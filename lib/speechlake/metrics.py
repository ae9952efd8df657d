"""Metrics for Prometheus: what commands, runs and chunks did, in node-exporter's textfile format.

`--metrics-file FILE`, or SPEECHLAKE_METRICS_FILE, names a file that node-exporter's textfile collector reads.
Prometheus' own client keeps counters for the life of one process; a job's go on where the last process left
them, so the file itself is the memory: it is read, changed and replaced at once, under a lock, and may serve
all jobs of a machine. A deleted file begins at zero, which Prometheus takes for a restart.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from speechlake.errors import UsageError

# Names the file where no flag does.
FILE = "SPEECHLAKE_METRICS_FILE"


@dataclass(frozen=True)
class Metric:
    """A name with its kind, meaning and labels. Counters only grow and end in `_total`; units are Prometheus' own."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    labels: tuple[str, ...] = ("job", "corpus")


# `corpus` is what a run is about: a corpus, `lake`, or a scheme; empty for a command over several.
METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "speechlake_commands_total",
            "counter",
            "Commands that ended, by how they ended.",
            ("job", "corpus", "outcome"),
        ),
        Metric("speechlake_command_seconds_total", "counter", "Wall time of commands."),
        Metric("speechlake_command_last_duration_seconds", "gauge", "Wall time of the last command."),
        Metric("speechlake_command_last_exit_code", "gauge", "Exit code of the last command."),
        Metric(
            "speechlake_command_last_end_timestamp_seconds",
            "gauge",
            "When a command last ended like this.",
            ("job", "corpus", "outcome"),
        ),
        Metric(
            "speechlake_runs_total",
            "counter",
            "Runs that wrote a row of the table runs.",
            ("job", "corpus", "outcome"),
        ),
        Metric("speechlake_run_written_rows_total", "counter", "Rows that runs wrote."),
        Metric("speechlake_run_last_duration_seconds", "gauge", "Wall time of the last run."),
        Metric("speechlake_run_last_end_timestamp_seconds", "gauge", "When the last run ended."),
        Metric("speechlake_run_left_to_retry", "gauge", "Work that the last run left to a later one."),
        Metric("speechlake_chunks_total", "counter", "Chunks that were measured and committed."),
        Metric(
            "speechlake_chunk_utterances_total",
            "counter",
            "Utterances in chunks: measured, failed for good, to be tried again, or gone with their file.",
            ("job", "corpus", "outcome"),
        ),
        Metric("speechlake_chunk_audio_seconds_total", "counter", "Audio measured."),
        Metric("speechlake_chunk_cpu_seconds_total", "counter", "CPU time of measuring workers."),
        Metric("speechlake_chunk_device_seconds_total", "counter", "Time in which accelerators were busy."),
        Metric("speechlake_chunk_read_bytes_total", "counter", "Bytes of audio read."),
        Metric("speechlake_chunk_model_loads_total", "counter", "Models loaded by workers."),
        Metric("speechlake_chunk_last_end_timestamp_seconds", "gauge", "When a chunk was last committed."),
    )
}

# (metric, values of its labels in their order)
Series = tuple[str, tuple[str, ...]]
_SAMPLE = re.compile(r'([a-z_]+)\{((?:[a-z]+="(?:[^"\\]|\\.)*",?)+)\} (\S+)')
_LABEL = re.compile(r'([a-z]+)="((?:[^"\\]|\\.)*)"')
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}


class MetricsFile:
    """One textfile. `update` grows counters and puts gauges, and leaves a whole file behind, whoever else writes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if path.suffix != ".prom":
            raise UsageError(
                f"--metrics-file {path}: node-exporter reads names that end in .prom", hint="Name it so."
            )
        if not path.parent.is_dir():
            raise UsageError(f"--metrics-file {path}: there is no folder {path.parent}", hint="Make it.")
        with self._locked():
            self._read()

    def update(self, changes: Iterable[tuple[str, tuple[str, ...], float]]) -> None:
        """(metric, label values, value): counters grow by the value, gauges become it."""
        with self._locked():
            found = self._read()
            for name, labels, value in changes:
                before = found.get((name, labels), 0.0) if METRICS[name].kind == "counter" else 0.0
                found[name, labels] = before + value
            made = self._path.with_name(f".{self._path.name}.{os.getpid()}")
            made.write_bytes(text_of(found).encode("utf-8"))
            made.chmod(0o644)  # node-exporter runs as somebody else
            made.replace(self._path)

    def _read(self) -> dict[Series, float]:
        if not self._path.exists():
            return {}
        try:
            # Not as text, of which Python takes a carriage return for the end of a line.
            return samples_of(self._path.read_bytes().decode("utf-8"))
        except ValueError as error:
            raise UsageError(
                f"--metrics-file {self._path} holds what speechlake did not write: {error}",
                hint="Name another file, or remove that one.",
            ) from None
        except OSError as error:
            raise UsageError(
                f"--metrics-file {self._path} cannot be read: {error.strerror}", hint="Name another file."
            ) from None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            fd = os.open(self._path.with_name(f".{self._path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise UsageError(
                f"--metrics-file {self._path} cannot be written: {error.strerror}",
                hint="Name a file in a folder that you may write to.",
            ) from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


def text_of(samples: Mapping[Series, float]) -> str:
    """Samples in Prometheus' text format: one block per metric, in the order of `METRICS`."""
    lines = []
    for metric in METRICS.values():
        mine = sorted((labels, value) for (name, labels), value in samples.items() if name == metric.name)
        if mine:
            lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}"]
        for labels, value in mine:
            told = ",".join(
                f'{label}="{_escaped(said)}"' for label, said in zip(metric.labels, labels, strict=True)
            )
            lines.append(f"{metric.name}{{{told}}} {value!r}")
    return "".join(f"{line}\n" for line in lines)


def samples_of(text: str) -> dict[Series, float]:
    """What `text_of` wrote; ValueError names the first line that it did not write."""
    found: dict[Series, float] = {}
    for line in text.split("\n"):
        if not line or line.startswith("#"):
            continue
        match = _SAMPLE.fullmatch(line)
        metric = METRICS.get(match[1]) if match else None
        labels = dict(_LABEL.findall(match[2])) if match else {}
        if not match or metric is None or tuple(labels) != metric.labels:
            raise ValueError(line[:80])
        found[metric.name, tuple(_unescaped(labels[label]) for label in metric.labels)] = float(match[3])
    return found


def _escaped(value: str) -> str:
    return "".join(_ESCAPES.get(char, char) for char in value)


def _unescaped(value: str) -> str:
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], value)
