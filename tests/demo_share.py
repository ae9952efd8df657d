"""A share of the demo's corpora, and the lake that one machine makes of it, for comparing with other ways to run."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# So much that it takes a minute to measure.
SHARES = {"CLIPS_PER_VOICE": 5, "RUSSIAN_CLIPS": 8}
# Every character that is special in a URI, a pattern of files or a form, in names that an object may have.
ODD_NAMES = ("two words.wav", "50%20.wav", "no #1.wav", "what?.wav", "a+b&c=d.wav", "{x}[y]*.wav", "köln.wav")
ODD = """\
  - name: odd
    sources: [odd]
    licence: CC-BY-SA-3.0
    language: it
    single_speaker: true
"""


@dataclass(frozen=True)
class Demo:
    """The corpora as laid out in `folder`, with `corpora.yaml`; `lake` is that of a run on this machine alone."""

    folder: Path
    lake: Path

    def arguments(self, lake: Path | str, corpora: Path | None = None) -> list[str]:
        """Of the pipeline, into `lake`."""
        policy = ROOT / "lib" / "speechlake" / "policies" / "small-corpus.yaml"
        said = ["--lake", str(lake), "--corpora", str(corpora or self.folder / "corpora.yaml")]
        return [*said, "--policy", str(policy), "--release", "demo", "--device", "cpu"]


def curated(speech: Path, folder: Path) -> Demo:
    """Lay the share out in `folder`, and run the pipeline over it in local mode."""
    prepare(speech, folder)
    made = Demo(folder, folder / "lake")
    command = [sys.executable, "-m", "speechlake.commands.pipeline", *made.arguments(made.lake)]
    environment = os.environ | {"SPEECHLAKE_MASTER": "local[2,4]"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return made


def prepare(speech: Path, folder: Path) -> None:
    """Fewer clips of each voice, all of the demo's trouble, and a corpus of odd names."""
    spec = importlib.util.spec_from_file_location("demo_prepare", ROOT / "demo" / "prepare.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    for name, count in SHARES.items():
        assert hasattr(module, name)
        setattr(module, name, count)
    # Of so few lines the bad ones are a larger share.
    assert "max_reject: 0.1 " in module.CORPORA
    tolerant = module.CORPORA.replace("max_reject: 0.1 ", "max_reject: 0.5 ")
    module.CORPORA = tolerant.replace("format: ljspeech\n", "format: ljspeech\n    max_reject: 0.5\n") + ODD
    module.main([str(speech), str(folder)])
    (folder / "odd").mkdir()
    clips = sorted((speech / "it_IT_f_Menardi").glob("*.wav"), key=lambda file: file.stat().st_size)
    for name, clip in zip(ODD_NAMES, clips[len(clips) // 2 :], strict=False):
        (folder / "odd" / name).write_bytes(clip.read_bytes())
