"""Real clips for benchmarks: the prompts that set-up fetched, and a LibriSpeech tree where one is at hand."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "demo"))
from prepare import WORDLESS, texts

VOICES = {
    "en": "en_US_f_Allison",
    "es": "es_MX_f_Allison",
    "fr": "fr_CA_f_June",
    "it": "it_IT_m_Carlo",
    "ru": "ru_RU_f_IvrvoiceRU",
}
SHORTEST_S, LONGEST_S = 0.9, 30.0
CODINGS = {"flac": ("FLAC", "PCM_16"), "mp3": ("MP3", "MPEG_LAYER_III"), "opus": ("OGG", "OPUS")}


@dataclass(frozen=True)
class Clip:
    """One clip: a file under one of two roots, its language, what is said, and how long."""

    root: Path
    path: str
    language: str
    text: str
    seconds: float

    @property
    def file(self) -> Path:
        """Where it lies."""
        return self.root / self.path


def prompts(speech: Path, languages: list[str], most_s: float) -> list[Clip]:
    """Prompts of words with texts, up to `most_s` seconds per language, in an order by a hash of their names."""
    return [clip for language in languages for clip in _up_to(most_s, _prompts(speech, language))]


def librispeech(root: Path) -> list[Clip]:
    """Every transcribed clip of a LibriSpeech tree."""
    found = []
    for listing in sorted(root.rglob("*.trans.txt")):
        for line in listing.read_text("utf-8").splitlines():
            name, _, text = line.partition(" ")
            file = listing.parent / f"{name}.flac"
            if file.exists():
                seconds = soundfile.info(file).duration
                found.append(Clip(root, str(file.relative_to(root)), "en", text, seconds))
    return [clip for clip in found if clip.seconds <= LONGEST_S]


def coded(clips: list[Clip], codings: list[str], folder: Path) -> list[Clip]:
    """Every clip once per coding, under `folder`: a longer table of the same speech, no two files alike."""
    return [_coded(clip, coding, folder) for coding in codings for clip in clips]


def _coded(clip: Clip, coding: str, folder: Path) -> Clip:
    form, subtype = CODINGS[coding]
    made = replace(clip, root=folder, path=f"{coding}/{Path(clip.path).with_suffix('')}.{coding}")
    made.file.parent.mkdir(parents=True, exist_ok=True)
    samples, rate = soundfile.read(clip.file, dtype="int16")
    soundfile.write(made.file, samples, rate, format=form, subtype=subtype)
    return made


def write_manifest(clips: list[Clip], path: Path) -> dict[str, str]:
    """Write a NeMo manifest of all clips; the roots that they lie under, by name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({"audio_filepath": str(clip.file), "text": clip.text, "lang": clip.language})
        for clip in clips
    ]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return {f"root{n}": str(root) for n, root in enumerate(sorted({clip.root for clip in clips}))}


def _prompts(speech: Path, language: str) -> Iterator[Clip]:
    voice = speech / VOICES[language]
    said = texts(speech / "texts" / f"{language}.txt")
    files = {str(file.relative_to(voice).with_suffix("")): file for file in voice.rglob("*.wav")}
    for name in sorted(files, key=lambda name: hashlib.sha256(name.encode()).digest()):
        if name.startswith(WORDLESS) or not said.get(name):
            continue
        seconds = soundfile.info(files[name]).duration
        if SHORTEST_S <= seconds <= LONGEST_S:
            yield Clip(speech, str(files[name].relative_to(speech)), language, said[name], seconds)


def _up_to(most_s: float, clips: Iterator[Clip]) -> list[Clip]:
    taken, seconds = [], 0.0
    for clip in clips:
        if seconds + clip.seconds > most_s:
            break
        taken.append(clip)
        seconds += clip.seconds
    return taken
