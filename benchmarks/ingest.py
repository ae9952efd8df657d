"""How fast manifests become tables: generated NeMo manifests of 100,000 and 1,000,000 lines.

    make bench-ingest                      both sizes, a line of results each, and the growth
    make bench-ingest ARGS='--lines 50000'

Each size runs as a process of its own, into a new lake under build/bench, through the job itself: parse,
list (the audio does not exist, so every recording is missing), commit. Then the same command again,
which must find nothing to do. Memory is the highest resident size of the driver's JVM, its Python, and
the largest Python worker, sampled ten times a second.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path("build/bench/ingest")
WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "a",
    "lazy",
    "dog",
    "while",
    "seven",
    "wizards",
    "quietly",
    "mix",
    "toxic",
    "brew",
]


def manifest(lines: int) -> Path:
    """A NeMo manifest of `lines` lines: text of 8-20 words, a speaker in 500, durations; the same every time."""
    path = FOLDER / f"{lines}" / "manifest.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = random.Random(lines)
    with path.open("w", encoding="utf-8") as out:
        for n in range(lines):
            said = {
                "audio_filepath": f"{n % 997:03d}/{n:08d}.flac",
                "duration": round(rng.uniform(1, 15), 3),
                "text": " ".join(rng.choices(WORDS, k=rng.randint(8, 20))),
                "speaker": f"s{n % 500}",
                "lang": "en",
            }
            out.write(json.dumps(said) + "\n")
    return path


@dataclass
class Memory:
    """Highest resident sizes, in MB, of a process and those below it, by kind."""

    pid: int
    peaks: dict[str, float] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Sample until told to stop."""
        while not self._stop.wait(0.1):
            for kind, size in self._sizes():
                self.peaks[kind] = max(self.peaks.get(kind, 0.0), size)

    def stop(self) -> None:
        """End the sampling."""
        self._stop.set()

    def _sizes(self) -> list[tuple[str, float]]:
        below = {self.pid}
        found: list[tuple[str, float]] = []
        processes = sorted((int(p.name), p) for p in Path("/proc").iterdir() if p.name.isdigit())
        for pid, folder in processes:
            try:
                parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
                if pid != self.pid and parent not in below:
                    continue
                below.add(pid)
                # Not its name: what Java starts has that of a thread, and all of Java's memory, until it is itself.
                program = (folder / "exe").readlink().name
                size = int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
            except (OSError, IndexError, ValueError):
                continue
            kind = "driver" if pid == self.pid else "jvm" if program == "java" else "worker"
            found.append((kind, size))
        return found


def run(source: Path, lake: Path) -> tuple[float, dict[str, float], dict[str, object]]:
    """(seconds, memory, last line) of one ingest in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "speechlake.commands.ingest_manifests",
        "--lake",
        str(lake),
        "--corpus",
        "bench",
        str(source),
    ]
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    memory = Memory(process.pid)
    watcher = threading.Thread(target=memory.watch)
    watcher.start()
    out, _ = process.communicate()
    memory.stop()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}: {out}")
    return time.monotonic() - started, memory.peaks, json.loads(out.splitlines()[-1])


def measured(lines: int) -> float:
    """Print what a first and a second ingest of `lines` lines took; seconds of the first."""
    source = manifest(lines)
    lake = source.parent / "lake"
    shutil.rmtree(lake, ignore_errors=True)
    first, peaks, told = run(source, lake)
    counts = told["counts"]
    assert isinstance(counts, dict)
    assert counts["utterances"] == lines, f"{counts['utterances']} utterances of {lines} lines"
    again, _, told = run(source, lake)
    assert told["outcome"] == "nothing to do", told
    memory = ", ".join(f"{kind} {size:,.0f} MB" for kind, size in sorted(peaks.items()))
    print(
        f"{lines:>9,} lines: {first:6.1f} s, {lines / first:8,.0f} rows/s; again {again:5.1f} s; peak {memory}",
        flush=True,
    )
    return first


def main(argv: Sequence[str] | None = None) -> None:
    """Measure each size, and the growth of time from the first to the last."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--lines", type=int, nargs="+", default=[100_000, 1_000_000])
    sizes = parser.parse_args(argv).lines
    seconds = [measured(lines) for lines in sizes]
    if len(sizes) > 1:
        print(
            f"{sizes[-1] / sizes[0]:.0f} times the lines take {seconds[-1] / seconds[0]:.1f} times the seconds"
        )


if __name__ == "__main__":
    main()
