"""How fast Whisper goes over a table of speech: speechlake against what one would write without it.

    make bench-extraction                                  tiny.en on English, base on five languages
    make bench-extraction ARGS='--librispeech DIR'         with the clips of a LibriSpeech tree among the English
    make bench-extraction ARGS='--minutes 3'               less of each
    make bench-extraction ARGS='--codings flac,mp3,opus'   three files of each clip: a table three times as long
    make bench-extraction ARGS='--ways ours,engine --workers 1'

Every way runs in a process of its own, one after another, on the same clips, warm: (a) a pandas UDF that
calls `transcribe` per clip in Spark, (b) a plain loop over `transcribe`, (c) our engine without Spark, and
speechlake from table to table. Printed are × real time and error rates, ratios to ours, the 95 % interval
of the difference of error rates, and the peak memory of a process of the engine. An accelerator is used where
CTranslate2 sees one.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _clips import CODINGS, Clip, coded, librispeech, prompts, write_manifest

from speechlake.models.registry import resolve
from speechlake.signals.devices import device_count
from speechlake.signals.run import CHUNK_SECONDS
from speechlake.text.alignment import Counts, edit_counts
from speechlake.text.normalisers import normaliser_for
from speechlake.text.paired import compared, weighted_sums

FOLDER = Path("build/bench/extraction").absolute()
SPEECH, CODED = Path("build/speech").absolute(), Path("build/bench/coded").absolute()
WARM_CLIPS = 12
# The comparisons, and the ways that each compares.
MODELS = ("tiny.en", "base")
WAYS = ("ours", "engine", "loop", "udf")


def run_way(way: str, job: dict[str, Any]) -> dict[str, Any]:
    """One way in a process of its own."""
    path = FOLDER / f"{way}.json"
    path.write_text(json.dumps(job | {"result": str(FOLDER / f"{way}.result.json")}))
    command = [sys.executable, str(Path(__file__).with_name("_ways.py")), way, str(path)]
    with (FOLDER / f"{way}.log").open("w") as log:
        if subprocess.run(command, check=False, stdout=log, stderr=log).returncode:
            raise SystemExit(f"{way} failed, see {log.name}")
    found: dict[str, Any] = json.loads((FOLDER / f"{way}.result.json").read_text())
    return found


def counts_of(clips: Sequence[Clip], texts: Sequence[str]) -> list[Counts]:
    """Edit counts of each clip, in words."""

    def words(text: str, clip: Clip) -> list[str]:
        return normaliser_for(clip.language).normalise(text).split()

    return [
        edit_counts(words(clip.text, clip), words(text, clip))
        for clip, text in zip(clips, texts, strict=True)
    ]


def job_of(clips: list[Clip], model: str, how: dict[str, Any]) -> dict[str, Any]:
    """What all ways are told."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    manifests = {name: FOLDER / f"{name}.jsonl" for name in ("warm", "clips")}
    roots = {
        "warm": write_manifest(clips[:WARM_CLIPS], manifests["warm"]),
        "clips": write_manifest(clips, manifests["clips"]),
    }
    return {
        "model": model,
        "folder": str(resolve(model).folder),
        **how,
        "clips": [(str(clip.file), clip.language) for clip in clips],
        "manifests": {name: [str(path), roots[name]] for name, path in manifests.items()},
        "lake": str(FOLDER / "lake"),
        "folder_of_tables": str(FOLDER),
    }


def compare(title: str, clips: list[Clip], model: str, how: dict[str, Any], ways: Sequence[str]) -> None:
    """Run ours and the other ways, and print a line for each."""
    audio_s = sum(clip.seconds for clip in clips)
    languages = " ".join(sorted({clip.language for clip in clips}))
    print(
        f"\n{title}: {model}, {how['windows']} windows, {how['cores']} workers on {how['device']}, "
        f"chunks of {how['chunk_s']:g} s, {len(clips)} clips, {audio_s / 60:.1f} minutes, {languages}"
    )
    job = job_of(clips, model, how)
    found = {way: run_way(way, job) for way in dict.fromkeys(("ours", *ways))}
    base = counts_of(clips, found["loop"]["texts"]) if "loop" in found else None
    for way, result in found.items():
        counts = counts_of(clips, result["texts"])
        errors, length = sum(c.errors for c in counts), sum(c.reference_length for c in counts)
        per_cpu = f"{audio_s / result['cpu_s']:6.1f} x per CPU s" if result["cpu_s"] else " " * 17
        line = (
            f"  {way:7} {result['seconds']:7.1f} s  {audio_s / result['seconds']:7.1f} x real time  {per_cpu}  "
            f"ours is {result['seconds'] / found['ours']['seconds']:5.2f} x as fast  error rate {100 * errors / length:5.2f} %"
        )
        if base is not None and way != "loop":
            line += f"  minus loop's {_interval(base, counts)}"
        if result.get("device_s"):
            line += f"  device busy {100 * result['device_s'] / result['seconds']:.0f} %"
        if result.get("peak_mb"):
            line += f"  peak {result['peak_mb']:,.0f} MB a process"
        print(line, flush=True)


def _interval(a: list[Counts], b: list[Counts]) -> str:
    rows = np.array([[*x, *y] for x, y in zip(a, b, strict=True)], dtype=np.int64)
    drawn = weighted_sums([str(i) for i in range(len(rows))], rows)
    found = compared([int(n) for n in rows.sum(axis=0)], drawn, utterances=len(rows), changed=0)
    points = [100 * (value or 0.0) for value in (found.difference, found.low, found.high)]
    return f"{points[0]:+.2f} ({points[1]:+.2f} to {points[2]:+.2f})"


def main(argv: Sequence[str] | None = None) -> int:
    """Both models."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    made.add_argument(
        "--minutes", type=float, default=60.0, help="of prompts per language for tiny.en; base takes a fifth"
    )
    made.add_argument("--librispeech", type=Path, help="a LibriSpeech tree, for the English comparison")
    made.add_argument(
        "--codings", type=_some_of(CODINGS), default=[], help="write every clip in each of these"
    )
    made.add_argument("--models", type=_some_of(MODELS), default=[*MODELS], help="which of the comparisons")
    made.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    made.add_argument("--windows", default="cut", choices=("cut", "full"))
    made.add_argument("--ways", type=_some_of(WAYS), default=[*WAYS], help="ours is always among them")
    made.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="default: all cores")
    made.add_argument(
        "--chunk-seconds", type=float, default=CHUNK_SECONDS, help="of work that speechlake commits at once"
    )
    parsed = made.parse_args(argv)
    device = parsed.device if parsed.device != "auto" else "cuda" if device_count() else "cpu"
    how = {
        "windows": parsed.windows,
        "device": device,
        "cores": parsed.workers,
        "chunk_s": parsed.chunk_seconds,
    }
    english = prompts(SPEECH, ["en"], parsed.minutes * 60)
    english += librispeech(parsed.librispeech.absolute()) if parsed.librispeech else []
    several = prompts(SPEECH, ["en", "es", "fr", "it", "ru"], parsed.minutes * 60 / 5)
    for title, clips, model in zip(("English", "Five languages"), (english, several), MODELS, strict=True):
        if model in parsed.models:
            table = coded(clips, parsed.codings, CODED) if parsed.codings else clips
            compare(title, table, f"whisper-{model}", how, parsed.ways)
    return 0


def _some_of(known: Iterable[str]) -> Callable[[str], list[str]]:
    """The type of an argument that is some of the `known` names, between commas."""

    def names(said: str) -> list[str]:
        strange = sorted(set(said.split(",")) - set(known))
        if strange:
            raise argparse.ArgumentTypeError(f"no {', '.join(strange)}; there are {', '.join(known)}")
        return said.split(",")

    return names


if __name__ == "__main__":
    sys.exit(main())
