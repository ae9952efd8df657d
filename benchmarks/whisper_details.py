"""What the parts of extraction cost on one core: windows, timestamps, batches, clip lengths, decoding, features.

    make bench-whisper-details
    make bench-whisper-details ARGS='--model whisper-base --minutes 2'

Each line is CPU seconds, as × real time per CPU second, on the same clips in one process on one thread; the
last line is the process's peak memory.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from _clips import Clip as File
from _clips import prompts

from speechlake.audio.decoder import Decoder
from speechlake.audio.signal import to_16k
from speechlake.signals.extractor import RATE_HZ, Clip
from speechlake.signals.speech import Speech
from speechlake.signals.whisper import Whisper
from speechlake.signals.whisper_features import numpy_features

SPEECH = Path("build/speech").absolute()
LENGTHS_S = (1, 3, 5, 10, 20, 30)


def clip_of(file: File) -> Clip:
    """A clip as the engine makes it."""
    native, rate = soundfile.read(file.file, dtype="float32")
    return made(native, rate, file.language)


def made(native: Any, rate: int, language: str) -> Clip:
    """A clip of native samples."""
    seconds = len(native) / rate
    return Clip(
        "u",
        native,
        rate,
        to_16k(native, rate),
        "wav",
        "pcm_s16le",
        1,
        seconds,
        seconds,
        {"language": language},
    )


def timed(what: str, clips: Sequence[Clip], call: Callable[[], object], most_s: float = math.inf) -> None:
    """Print how fast `call` goes over `clips`, or the first `most_s` of each, per CPU second of all threads."""
    audio_s = sum(min(clip.duration_s, most_s) for clip in clips)
    started = time.process_time()
    call()
    used = time.process_time() - started
    print(f"  {what:42} {audio_s / used:9.1f} x real time per CPU s", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """All parts."""
    made_parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    made_parser.add_argument("--model", default="whisper-tiny.en")
    made_parser.add_argument("--minutes", type=float, default=5.0)
    parsed = made_parser.parse_args(argv)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    files = prompts(SPEECH, ["en"], parsed.minutes * 60)
    clips = [clip_of(file) for file in files]
    print(f"{parsed.model}, int8, {len(clips)} clips, {sum(c.duration_s for c in clips) / 60:.1f} minutes")
    for said in (
        {"windows": "full"},
        {"windows": "cut"},
        {"windows": "cut", "timestamps": "segments"},
        {"windows": "cut", "timestamps": "words"},
        {"windows": "cut", "beam_size": 5},
    ):
        whisper(parsed.model, clips, said, 120.0)
    for batch_s in (10.0, 60.0, 480.0):
        whisper(parsed.model, clips, {"windows": "cut"}, batch_s)
    joined = np.concatenate([clip.samples for clip in clips])
    for seconds in LENGTHS_S:
        size = seconds * RATE_HZ
        pieces = [
            made(joined[i : i + size], RATE_HZ, "en")
            for i in range(0, min(len(joined), 120 * RATE_HZ) - size + 1, size)
        ]
        whisper(parsed.model, pieces, {"windows": "cut"}, 120.0, f"clips of {seconds} s")
    parts(files, clips)
    print(f"  peak memory of the process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    return 0


def whisper(model: str, clips: Sequence[Clip], said: dict[str, Any], batch_s: float, what: str = "") -> None:
    """Whisper as `said`, on clips that are decoded already."""
    how = Whisper(model=model, batch_s=batch_s, **said)
    opened = how.load()
    how.measure(opened, clips[:2])
    name = (
        what or ", ".join(f"{key} {value}" for key, value in said.items()) + f", batches of {batch_s:.0f} s"
    )
    timed(name, clips, lambda: how.measure(opened, clips))


def parts(files: Sequence[File], clips: Sequence[Clip]) -> None:
    """Decoding (this side of it), resampling, features, voice activity."""
    from faster_whisper.feature_extractor import FeatureExtractor

    features, speech = FeatureExtractor(), Speech()
    vad = speech.load()
    with Decoder() as decoder:

        def decode() -> None:
            for file in files:
                with file.file.open("rb") as opened:
                    decoder.decode(opened.fileno())

        decode()
        started = time.monotonic()
        decode()
        seconds = time.monotonic() - started
    audio_s = sum(clip.duration_s for clip in clips)
    print(f"  {'decoding in a child, wall time':42} {audio_s / seconds:9.1f} x real time", flush=True)
    timed("resampling to 16 kHz", clips, lambda: [to_16k(c.native, c.native_rate_hz) for c in clips])
    timed(
        "features of 10 s windows",
        clips,
        lambda: [numpy_features([c.samples], 10.0, features) for c in clips],
        most_s=10.0,
    )
    timed("voice activity", clips, lambda: speech.measure(vad, clips))


if __name__ == "__main__":
    sys.exit(main())
