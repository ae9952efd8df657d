"""An extractor that does as it is told, and writes down what it did. Ships to workers as a file."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from speechlake.signals.extractor import Clip, Identity, Measurement


@dataclass(frozen=True)
class FakeSpeech:
    """Measures every clip as all speech. `notes` is a folder that workers share with the test.

    `asked.json` there maps utterance ids to raises, few (no results at all) or transient; `die_once`
    kills the worker that finds it. `measured` and `loaded` grow by a line per clip and per load.
    """

    notes: str

    name: ClassVar[str] = "speech"
    version: ClassVar[str] = "fake"
    inputs: ClassVar[tuple[str, ...]] = ()

    def identity(self) -> Identity:
        """A model that is always the same; where notes are kept changes no result."""
        return Identity(self.name, self.version, model_id="fake", model_sha256="0" * 64, licence="CC0-1.0")

    def load(self) -> Any:
        """Write down that it was loaded."""
        self._note("loaded", [str(os.getpid())])
        return "model"

    def measure(self, model: Any, clips: Sequence[Clip]) -> list[Measurement]:
        """Results as told."""
        assert model == "model"
        self._maybe_die()
        asked: Mapping[str, str] = json.loads(Path(self.notes, "asked.json").read_text())
        told = [asked.get(clip.utterance_id) for clip in clips]
        if "raises" in told:
            raise ValueError("this clip is not to my taste")
        self._note("measured", [clip.utterance_id for clip in clips])
        return (
            []
            if "few" in told
            else [self._result(clip, what) for clip, what in zip(clips, told, strict=True)]
        )

    def _result(self, clip: Clip, what: str | None) -> Measurement:
        if what == "transient":
            return Measurement(error="MODEL_FAILED", detail="out of luck", transient=True)
        return Measurement({"speech_ratio": 1.0, "speech_duration_s": clip.duration_s, "segments": []})

    def _maybe_die(self) -> None:
        try:
            Path(self.notes, "die_once").unlink()
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGKILL)

    def _note(self, name: str, lines: Sequence[str]) -> None:
        with Path(self.notes, name).open("a") as file:
            file.write("".join(f"{line}\n" for line in lines))
