"""What a running process tells those who watch it: metrics of its command, its runs and chunks.

Jobs do not know of it: `job.main` says into which file, the ledger tells of runs, commits tell of chunks.
Without a file nothing happens. A file that cannot be written ends a command before it begins; later it is a
warning, because measuring is dearer than being watched.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from speechlake import logs
from speechlake.errors import SpeechlakeError
from speechlake.metrics import FILE, MetricsFile

if TYPE_CHECKING:
    from speechlake.ledger import Run
    from speechlake.signals.commit import Measured

# The file of this process, where one is named: a process runs one command.
_files: list[MetricsFile] = []


def add_watching(made: argparse.ArgumentParser) -> None:
    """`--metrics-file` and `--log-json`, which every job has."""
    group = made.add_argument_group("for those who watch")
    group.add_argument(
        "--metrics-file",
        type=Path,
        metavar="FILE",
        default=os.environ.get(FILE) or None,
        help=f"metrics for Prometheus, in node-exporter's textfile format [{FILE}]",
    )
    group.add_argument(
        logs.FLAG, action="store_true", help=f"stderr as one JSON object per line [{logs.LOG}=json]"
    )


@contextmanager
def watched() -> Iterator[None]:
    """A command of this process; what `begin` opened is closed after it."""
    _files.clear()
    try:
        yield
    finally:
        _files.clear()


def begin(parsed: argparse.Namespace) -> None:
    """Open what the arguments ask for; UsageError where it cannot be had."""
    logs.require_known()
    if getattr(parsed, "metrics_file", None):
        _files.append(MetricsFile(Path(parsed.metrics_file)))


def _is_a_name(corpus: str) -> bool:
    """What is typed as a corpus may be anything; a label is what a corpus may be called."""
    from speechlake.config import CORPUS_NAME  # heavy, and loaded by then where a job knows corpora

    return re.fullmatch(CORPUS_NAME[0], corpus) is not None


def command_ended(job: str, corpus: str | None, outcome: str, code: int, seconds: float) -> None:
    """A command ended. Errors that nobody foresaw count as one outcome, so that there are few."""
    here = (job, corpus if corpus and _is_a_name(corpus) else "")
    unforeseen = code == SpeechlakeError.exit_code and outcome not in ("interrupted", *_our_errors())
    how = (*here, "internal error" if unforeseen else outcome)
    _write(
        [
            ("speechlake_commands_total", how, 1),
            ("speechlake_command_seconds_total", here, seconds),
            ("speechlake_command_last_duration_seconds", here, seconds),
            ("speechlake_command_last_exit_code", here, code),
            ("speechlake_command_last_end_timestamp_seconds", how, time.time()),
        ]
    )


def run_ended(run: Run, outcome: str) -> None:
    """A run stands in the ledger."""
    here = (run.job, run.scope)
    _write(
        [
            ("speechlake_runs_total", (*here, outcome), 1),
            ("speechlake_run_written_rows_total", here, run.rows_out),
            ("speechlake_run_last_duration_seconds", here, run.seconds),
            ("speechlake_run_last_end_timestamp_seconds", here, time.time()),
            ("speechlake_run_left_to_retry", here, run.left_to_retry),
        ]
    )


def chunk_ended(job: str, corpus: str, measured: Measured) -> None:
    """A chunk stands in the tables."""
    here = (job, corpus)
    good = measured.utterances - measured.errors - measured.attempts - measured.gone
    _write(
        [
            ("speechlake_chunks_total", here, 1),
            ("speechlake_chunk_utterances_total", (*here, "measured"), max(0, good)),
            ("speechlake_chunk_utterances_total", (*here, "failed"), measured.errors),
            ("speechlake_chunk_utterances_total", (*here, "to retry"), measured.attempts),
            ("speechlake_chunk_utterances_total", (*here, "gone"), measured.gone),
            ("speechlake_chunk_audio_seconds_total", here, measured.audio_s),
            ("speechlake_chunk_cpu_seconds_total", here, measured.cpu_s),
            ("speechlake_chunk_device_seconds_total", here, measured.device_s),
            ("speechlake_chunk_read_bytes_total", here, measured.bytes_read),
            ("speechlake_chunk_model_loads_total", here, measured.model_loads),
            ("speechlake_chunk_last_end_timestamp_seconds", here, time.time()),
        ]
    )


def _write(changes: Iterable[tuple[str, tuple[str, ...], float]]) -> None:
    for file in _files:
        try:
            file.update(changes)
        except (OSError, ValueError, SpeechlakeError) as error:
            logs.say(f"metrics are not written: {error}", "WARNING")


def _our_errors(kind: type[SpeechlakeError] = SpeechlakeError) -> Iterator[str]:
    yield kind.__name__
    for below in kind.__subclasses__():
        yield from _our_errors(below)
