"""All jobs over a small corpus, then again after its manifest and audio changed, each step watched."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fault_extractors import SomeSpeech, Starling
from job_extractors import HEARD, Parrot
from lake_tools import QUIET, Played, says, wav, write_lines
from watched import Step, played, stored

from speechlake.commands import (
    build_splits,
    calibrate,
    extract_signals,
    find_duplicates,
    import_signals,
    ingest_manifests,
    profiles,
    score_transcripts,
    segment_recordings,
)
from speechlake.config import loads
from speechlake.corpora import make_corpus
from speechlake.feedback.spec import Import, value_column
from speechlake.lake import Lake
from speechlake.segments.segmenter import Segmenter
from speechlake.signals.audio import Audio
from speechlake.signals.audio_keys import AudioKeys
from speechlake.signals.calibration import sampled
from speechlake.signals.plan import Chunk, chunks, wanted_of
from speechlake.signals.whisper import Whisper
from speechlake.splits.policy import Policy
from speechlake.terminal import console

POLICY = """
name: faults
text: {prefer: [manifest], human_only: [dev, test]}
keep:
  - {rule: decodes, signal: audio.error, is: null}
  - {rule: is_speech, signal: speech.speech_ratio, at_least: 0.5}
  - {rule: error_rate, at_most: {default: 0.5}, min_units: 3, on: [train, test]}
duplicates: {kinds: [exact, near], keep: [text_kind, duration]}
splits: {scheme: main, salt: 1, test: {hours: 1, max_share: 0.5}}
"""
# name -> (seed of its noise, seconds, speaker, text); `copy` is `one` once more, `flaky` fails for now.
FIRST: dict[str, tuple[int, float, str, str]] = {
    "one": (1, 2.0, "ann", HEARD),
    "copy": (1, 2.0, "eve", HEARD),
    "two": (2, 0.5, "ann", HEARD),
    "three": (3, 0.5, "bob", HEARD),
    "four": (4, 0.5, "cy", HEARD),
    "flaky": (5, 3.5, "di", HEARD),
}
# Another text, another speaker, a line less, two copies more, and other audio in place of a copy.
CHANGED = {
    **{name: clip for name, clip in FIRST.items() if name != "four"},
    "copy": (6, 2.0, "eve", HEARD),
    "two": (2, 0.5, "ann", "something else entirely"),
    "three": (3, 0.5, "flo", HEARD),
    "five": (7, 2.0, "gil", HEARD),
    "six": (7, 2.0, "hal", HEARD),
}
LONG = "talk"


def lay_out(folder: Path, clips: dict[str, tuple[int, float, str, str]], former: Path | None = None) -> Path:
    """Clips and their manifest; files that are as they were under `former` keep their times."""
    for name, (seed, seconds, _, _) in clips.items():
        target = wav(folder / f"{name}.wav", seed=seed, seconds=seconds)
        old = former / target.name if former else target
        os.utime(target, ns=(10**18, 10**18))
        if former and name == "one":  # touched, and not changed
            os.utime(target, ns=(10**18, 10**18 + 1))
        elif former and old.exists() and old.read_bytes() != target.read_bytes():
            os.utime(target, ns=(10**18, 10**18 + 2))
    lines = [says(f"{n}.wav", text, speaker=who, lang="en") for n, (_, _, who, text) in clips.items()]
    odd = [b"{not json", *([b"[1, 2]"] if former else [])]
    return write_lines(folder / "m.jsonl", *lines, lines[0], *odd)


def ingest(lake: Lake, *, name: str = "c", folder: Path) -> object:
    """The corpus whose manifest lies in `folder`; moved there since the last run, where it lay elsewhere."""
    source = folder / "m.jsonl"
    corpus = make_corpus(
        name=name, sources=(str(source),), roots={"audio": str(folder)}, language="en", max_reject=0.5
    )
    return ingest_manifests.run(lake, corpus, progress=QUIET)


def extract(lake: Lake, *, corpus: str = "c") -> object:
    """Measure in two chunks, the second of which is staged while the first is committed."""

    def two(total_s: float, _: float) -> list[Chunk]:
        return chunks(total_s, max(total_s, 1e-9) / 2)

    wanted = wanted_of([Audio(), SomeSpeech(), Parrot(), AudioKeys()])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("speechlake.signals.run.chunks", two)
        return extract_signals.run(lake, wanted, corpus=corpus, progress=QUIET)


def segment(lake: Lake) -> object:
    """Cut the long recording."""
    how = Segmenter(longer_than_s=8.0, min_s=1.0, max_s=4.0)
    return segment_recordings.run(lake, how, corpus=LONG, progress=QUIET)


def bring_in(lake: Lake, *, file: Path) -> object:
    """Import a value and a text for every utterance; one row is of an utterance that nobody knows."""
    if not file.exists():
        ids = [row["utterance_id"] for row in stored(Path(lake.root), "utterances")]
        said = [
            {"utterance_id": key, "loss": n / 8, "words": f"text {n}"} for n, key in enumerate(sorted(ids))
        ]
        lines = [json.dumps(row) for row in [*said, {**said[0], "utterance_id": "f" * 32}]]
        file.write_text("\n".join(lines) + "\n")
    spec = Import(name="asr", columns=(value_column("loss"),), text="words", kind="machine")
    return import_signals.run(lake, spec, str(file), max_reject=0.5, progress=QUIET)


def score(lake: Lake) -> object:
    """Score the texts."""
    return score_transcripts.run(lake, corpus="c", progress=QUIET)


def deduplicate(lake: Lake) -> object:
    """Find who shares audio."""
    return find_duplicates.run(lake, progress=QUIET)


def publish(lake: Lake, *, release: str) -> object:
    """Cut a release."""
    policy = loads(POLICY, "policy.yaml", Policy)
    return build_splits.run(lake, policy, POLICY, release=release, progress=QUIET)


def choose(lake: Lake) -> object:
    """Make a fingerprint current for a language."""
    return profiles.run(lake, setting=("whisper", "parrot"), language="en", out=console(io.StringIO()))


def measure_both(lake: Lake) -> object:
    """What a calibration measures first: boundaries of extract-signals and score-transcripts, tried there."""
    both = wanted_of([Starling(), Parrot()])
    only = sampled(lake, None, 100)
    extract_signals.measure_some(lake, both, corpus="c", only=only, progress=QUIET)
    return score(lake)


def compare_windows(lake: Lake) -> object:
    """Calibrate a recogniser whose cut windows are another one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("speechlake.commands.calibrate.to_try", lambda _: (Starling(), Parrot()))
        return calibrate.run(lake, Whisper(), languages=None, clips=100, progress=QUIET)


class FaultStory(Played):
    """The steps by name, each a `Step`; asked for one, the story is played up to it."""

    def __init__(self, lake: Lake, folder: Path, speech: Callable[[], Path]) -> None:
        super().__init__()
        self.lake, self.folder, self._speech = lake, folder, speech
        self.steps = self._steps()

    def _played(self, name: str, command: Callable[..., object], **how: Any) -> None:
        step = Step(name, partial(command, **how))
        self[name] = played(step, self.lake, self.folder / "steps" / name)

    def _steps(self) -> Iterator[None]:
        first, changed = self.folder / "first", self.folder / "changed"
        lay_out(first, FIRST)
        self._played("ingest-manifests", ingest, folder=first)
        yield
        self._played("extract-signals", extract)
        yield
        self._played("score-transcripts", score)
        yield
        self._played("find-duplicates", deduplicate)
        yield
        self._played("build-splits", publish, release="first")
        yield
        self._played("import-signals", bring_in, file=self.folder / "import.jsonl")
        yield
        self._played("profile", choose)
        yield
        lay_out(changed, CHANGED, first)
        self._played("ingest-manifests, changed", ingest, folder=changed)
        yield
        self._played("extract-signals, changed", extract)
        yield
        self._played("score-transcripts, changed", score)
        yield
        self._played("find-duplicates, changed", deduplicate)
        yield
        self._played("build-splits, changed", publish, release="second")
        yield
        measure_both(self.lake)
        self._played("calibrate", compare_windows)
        yield
        self._ingest_long(self.folder / LONG)
        self._played("segment-recordings", segment)
        yield

    def _ingest_long(self, folder: Path) -> None:
        import numpy as np
        import soundfile

        clips = sorted(
            (self._speech() / "en_US_f_Allison").glob("*.wav"), key=lambda file: -file.stat().st_size
        )
        pause = np.zeros(12_000)
        heard = [soundfile.read(clip)[0] for clip in clips[:3]]
        folder.mkdir()
        whole = np.concatenate([pause, *(part for clip in heard for part in (clip[:24_000], pause))])
        soundfile.write(folder / "talk.wav", whole, 8000, subtype="PCM_16")
        write_lines(folder / "m.jsonl", says("talk.wav", speaker="ann"))
        ingest(self.lake, name=LONG, folder=folder)
