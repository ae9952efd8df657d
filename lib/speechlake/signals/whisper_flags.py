"""Whisper on the command line: the flags that say what it is and how it runs, and back from an extractor to them."""

from __future__ import annotations

import argparse
import math
import shlex
from typing import Any

from speechlake.job import whole
from speechlake.signals.whisper import Whisper

# Flags that change what Whisper gives, by the extractor's fields.
OPTIONS = ("task", "timestamps", "beam_size", "temperatures", "initial_prompt", "hotwords")
# Flags that say where and how it runs; null where they are not given.
RUNNING = ("device", "batch_seconds", "streams")


def add_whisper(made: argparse.ArgumentParser) -> None:
    """What Whisper is and how it runs."""
    made.add_argument(
        "--model",
        help="registry id, hub id or folder of the Whisper model; default the profile's, at first whisper-base",
    )
    made.add_argument("--task", choices=("transcribe", "translate"), help="translate: into English")
    made.add_argument(
        "--timestamps", choices=("none", "segments", "words"), help="when things were said; default none"
    )
    made.add_argument("--beam-size", type=whole(1), help="default 1, greedy")
    made.add_argument(
        "--temperatures",
        type=_temperatures,
        metavar="T,T,…",
        help="tried in turn for texts that fail the thresholds; above 0 Whisper samples; default 0",
    )
    made.add_argument(
        "--prompt",
        dest="initial_prompt",
        metavar="TEXT",
        help="text that Whisper takes for what was said before",
    )
    made.add_argument("--hotwords", metavar="TEXT", help="words that are likely")
    made.add_argument("--device", choices=("auto", "cpu", "cuda"), help="default auto: a CUDA device, if any")
    made.add_argument("--batch-seconds", type=_seconds, help="padded audio per batch; default by device")
    made.add_argument("--streams", type=whole(1), help="batches at once; default by device")


def flag_of(field: str) -> str:
    """The flag that gives a field its value."""
    return "--prompt" if field == "initial_prompt" else f"--{field.replace('_', '-')}"


def _number(text: str) -> float:
    """NaN for what is none: it is in no range."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _seconds(text: str) -> float:
    if not 0 < (seconds := _number(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: expected seconds, more than 0")
    return seconds


def _temperatures(text: str) -> tuple[float, ...]:
    found = tuple(_number(part) for part in text.split(","))
    if found != tuple(sorted(set(found))) or not all(0 <= temperature <= 1 for temperature in found):
        raise argparse.ArgumentTypeError(f"{text}: expected growing numbers from 0 to 1, such as 0,0.2,0.4")
    return found


def whisper_options(parsed: argparse.Namespace) -> dict[str, Any]:
    """What the arguments say of Whisper's results."""
    said = {name: getattr(parsed, name) for name in ("model", *OPTIONS)}
    return {name: value for name, value in said.items() if value is not None}


def as_flags(how: Whisper) -> str:
    """What names `how` on the command line, quoted for a shell; the device too, which decides the number type."""
    said = {"model": how.model, "device": how.device} | {
        name: getattr(how, name) for name in OPTIONS if getattr(how, name) != getattr(Whisper, name)
    }
    spelled = {
        flag_of(name): ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        for name, value in said.items()
    }
    return " ".join(f"{flag} {shlex.quote(value)}" for flag, value in spelled.items())
