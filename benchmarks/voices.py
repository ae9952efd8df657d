"""How alike the voices of one person are, and those of two, to the extractor `speaker`.

    make bench-voices
    make bench-voices ARGS='--librispeech ../shared/corpora/librispeech'

What `speechlake.splits.voices` compares: means of a person's clips. Here a person's clips are dealt out, in hash
order, to voices of so many clips each: two voices of one person are the same speaker under two names, voices of
two persons are strangers. Clips under 2 s are left out. The two prompt voices by Allison are one person.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from speechlake.errors import ModelError
from speechlake.signals.extractor import RATE_HZ, Clip
from speechlake.signals.speaker import Speaker
from speechlake.splits.voices import ALIKE, CLIPS

SPEECH = Path(__file__).resolve().parent.parent / "build" / "speech"
SHORTEST_S = 2.0
PROMPTS_PER_VOICE = 60
SIZES = (1, 5, CLIPS)
LIMITS = (0.75, 0.8, 0.85, 0.88, 0.9, 0.92, 0.94)
Voices = Mapping[str, list[npt.NDArray[np.float64]]]


def people(librispeech: Path | None) -> dict[str, list[Path]]:
    """Files by person: a LibriSpeech tree's by its folders, the prompts' by their names."""
    found: dict[str, list[Path]] = defaultdict(list)
    for file in sorted(librispeech.rglob("*.flac")) if librispeech else ():
        found[f"librispeech {file.stem.split('-')[0]}"].append(file)
    for voice in sorted(SPEECH.glob("*_*")):
        files = [file for file in sorted(voice.rglob("*.wav")) if soundfile.info(file).duration >= SHORTEST_S]
        found[f"prompts {voice.name.split('_')[-1]}"] += _drawn(files)[:PROMPTS_PER_VOICE]
    return {person: _drawn(files) for person, files in found.items()}


def _drawn(files: Sequence[Path]) -> list[Path]:
    return sorted(files, key=lambda file: hashlib.sha256(file.name.encode()).digest())


def measured(files: Mapping[str, list[Path]]) -> dict[str, list[npt.NDArray[np.float64]]]:
    """Embeddings of each person's clips."""
    extractor, made = Speaker(), {}
    model = extractor.load()
    for person, paths in files.items():
        clips = [clip for path in paths if (clip := _clip(path)).duration_s >= SHORTEST_S]
        said = [m.values.get("embedding") for m in extractor.measure(model, clips)]
        made[person] = [np.asarray(each, dtype=np.float64) for each in said if each is not None]
        print(f"  {person}: {len(made[person])} clips", file=sys.stderr)
    return made


def _clip(path: Path) -> Clip:
    samples, hz = soundfile.read(path, dtype="float32", always_2d=True)
    native = samples.mean(axis=1)
    heard = native if hz == RATE_HZ else soxr.resample(native, hz, RATE_HZ, quality="HQ")
    seconds = len(native) / hz
    return Clip(
        path.stem, native, hz, np.asarray(heard, np.float32), path.suffix[1:], "", 1, seconds, None, {}
    )


def voices(clips: Voices, size: int) -> Voices:
    """Means of `size` clips each, of unit length, by person."""
    return {
        person: [_unit(np.mean(each[at : at + size], axis=0)) for at in range(0, len(each) - size + 1, size)]
        for person, each in clips.items()
    }


def _unit(mean: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return mean / np.linalg.norm(mean)


def cosines(made: Voices) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Of all pairs of voices of one person, and of the first voices of any two."""
    same = [float(a @ b) for each in made.values() for a, b in combinations(each, 2)]
    first = [each[0] for each in made.values() if each]
    return np.array(same), np.array([float(a @ b) for a, b in combinations(first, 2)])


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a table per number of clips."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    made.add_argument("--librispeech", type=Path, help="a LibriSpeech tree")
    librispeech = made.parse_args(argv).librispeech
    try:
        clips = measured(people(librispeech))
    except ModelError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    for size in SIZES:
        same, other = cosines(voices(clips, size))
        print(f"\nvoices of {size} clip(s): {len(same)} pairs of one person, {len(other)} of two")
        if not len(same) or not len(other):
            continue
        print(
            f"  one person: lowest {same.min():.3f}, 5 % {np.quantile(same, 0.05):.3f}, median {np.median(same):.3f}"
        )
        print(
            f"  two: median {np.median(other):.3f}, 99 % {np.quantile(other, 0.99):.3f}, "
            f"99.9 % {np.quantile(other, 0.999):.3f}, highest {other.max():.3f}"
        )
        for limit in sorted({*LIMITS, ALIKE}):
            print(
                f"  at least {limit}: {np.mean(same >= limit):.3f} of one person, {np.mean(other >= limit):.5f} of two"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
