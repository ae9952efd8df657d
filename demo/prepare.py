"""Lay out the demo's corpora: real speech with real texts, and the trouble that real manifests hold.

    .venv/bin/python demo/prepare.py build/speech build/demo

    prompts/  NeMo JSON lines; four voices, a language each, by three speakers; broken lines, bad audio, copies;
              some clips of a fifth voice in five containers, of which neither text nor speaker is told
    russian/  LJSpeech; a sixth voice, one speaker, and declared so

Which clips are taken is decided by a hash of their names. Files that are right already are left alone,
mtimes included, so that a second run of the demo has nothing to do.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

RATE_HZ = 8000
# voice -> (language, speaker). Allison Smith speaks English and Spanish: one person, one speaker.
VOICES = {
    "en_US_f_Allison": ("en", "Allison"),
    "es_MX_f_Allison": ("es", "Allison"),
    "fr_CA_f_June": ("fr", "June"),
    "it_IT_m_Carlo": ("it", "Carlo"),
}
UNTOLD = ("it_IT_f_Menardi", "it")
CLIPS_PER_VOICE, RUSSIAN_CLIPS, UNTOLD_CLIPS = 33, 58, 5
# No words in these. The tones sound alike in all voices; only the English ones are taken.
WORDLESS = ("ascending-2tone", "descending-2tone", "beep", "beeperr", "tt-", "silence/", "confbridge-join")
TONES = ("ascending-2tone", "beeperr")
CONTAINERS = (
    ("wav", "WAV", "PCM_16"),
    ("flac", "FLAC", "PCM_16"),
    ("ogg", "OGG", "VORBIS"),
    ("opus", "OGG", "OPUS"),
    ("mp3", "MP3", "MPEG_LAYER_III"),
)

CORPORA = """\
corpora:
  - name: prompts
    sources: [prompts/manifest.jsonl]
    format: auto
    licence: CC-BY-SA-3.0
    single_speaker: false
    max_reject: 0.1  # eight of its lines are bad on purpose
  - name: russian
    sources: [russian/metadata.csv]
    format: ljspeech
    licence: CC-BY-3.0
    language: ru
    single_speaker: true
"""

Content = bytes | Callable[[], bytes]
"""What a file shall hold; a function where an encoder's bytes differ from run to run."""


@dataclass(frozen=True)
class Clip:
    """One prompt of one voice; `text` is empty where none is known."""

    id: str
    audio: Path
    text: str

    @property
    def name(self) -> str:
        """The id without slashes."""
        return self.id.replace("/", "-")

    @property
    def duration_s(self) -> float:
        """Length by the file's header, in seconds."""
        return float(soundfile.info(self.audio).duration)


def texts(file: Path) -> dict[str, str]:
    """What is said, by id, of a file of lines `id: text`; comments and empty texts are left out."""
    pairs = (line.partition(":") for line in file.read_text("utf-8-sig").splitlines() if line[:1] not in ";#")
    return {name.strip(): text.strip() for name, _, text in pairs if text.strip()}


def clips(voice: Path, said: Mapping[str, str] | None) -> Iterator[Clip]:
    """The voice's clips of words, 0.9 to 12 s long, in an order that is the same for every voice."""
    found = {str(file.relative_to(voice).with_suffix("")): file for file in voice.rglob("*.wav")}
    for name in sorted(found, key=lambda name: hashlib.sha256(name.encode()).digest()):
        clip = Clip(name, found[name], said.get(name, "") if said else "")
        if name.startswith(WORDLESS) or (said and not clip.text):
            continue
        if 0.9 <= clip.duration_s <= 12:
            yield clip


def take(source: Iterator[Clip], count: int) -> list[Clip]:
    """The next `count` clips; ends the program where the voice has fewer."""
    taken = [clip for clip, _ in zip(source, range(count), strict=False)]
    if len(taken) < count:
        raise SystemExit(
            f"demo: {len(taken)} clips found, {count} needed: remove build/speech, run `make speech`"
        )
    return taken


def row(path: str, clip: Clip, language: str, speaker: str, **changes: Any) -> dict[str, Any]:
    """A NeMo line for a clip that lies at `path`."""
    length = round(clip.duration_s, 3)
    line = {
        "audio_filepath": path,
        "duration": length,
        "text": clip.text,
        "lang": language,
        "speaker": speaker,
    }
    return line | changes


def prompts(speech: Path) -> dict[str, Content]:
    """Several labelled speakers, and one of each kind of trouble."""
    files: dict[str, Content] = {}
    lines: list[str | bytes] = []
    for voice, (language, speaker) in VOICES.items():
        source = clips(speech / voice, texts(speech / "texts" / f"{language}.txt"))
        taken = take(source, CLIPS_PER_VOICE)
        for clip in taken:
            files[f"{voice}/{clip.name}.wav"] = clip.audio.read_bytes()
            lines.append(
                json.dumps(row(f"{voice}/{clip.name}.wav", clip, language, speaker), ensure_ascii=False)
            )
        if voice == "en_US_f_Allison":
            first, spare = json.loads(str(lines[0])), take(source, 3)
            longest = max(taken, key=lambda clip: clip.duration_s)
    bad_files, bad_rows = bad_audio(speech / "en_US_f_Allison", spare, files[first["audio_filepath"]])
    copies = [first | {"audio_filepath": f"copies/again.{suffix}"} for suffix in ("wav", "flac")]
    for path, audio in near_copies(longest).items():
        files[path] = audio
        copies.append(row(path, longest, "en", "Allison"))
    untold = in_containers(speech / UNTOLD[0])
    files |= untold
    lines += [json.dumps({"audio_filepath": path, "lang": UNTOLD[1]}, ensure_ascii=False) for path in untold]
    lines += [json.dumps(line, ensure_ascii=False) for line in (*bad_rows, *copies, first)]
    lines += bad_lines(first)
    files |= bad_files
    files["manifest.jsonl"] = b"".join(
        (line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines
    )
    return files


def near_copies(clip: Clip) -> dict[str, Content]:
    """The same speech through other codecs, the second without its first 0.3 s."""
    samples, _ = soundfile.read(clip.audio, dtype="int16")
    cut = samples[round(0.3 * RATE_HZ) :]
    return {
        "copies/coded.mp3": encoder(samples, RATE_HZ, "MP3", "MPEG_LAYER_III"),
        "copies/cut.opus": encoder(cut, RATE_HZ, "OGG", "OPUS"),
    }


def bad_audio(
    voice: Path, spare: list[Clip], first: Content
) -> tuple[dict[str, Content], list[dict[str, Any]]]:
    """Files that lines refer to in good faith: tones, copies, and audio that is none; with their lines."""
    assert isinstance(first, bytes)
    samples, _ = soundfile.read(io.BytesIO(first), dtype="int16")
    whole, wrong, gone = spare
    said = texts(voice.parent / "texts" / "en.txt")
    tones = [Clip(name, voice / f"{name}.wav", said[name]) for name in TONES]
    silence = io.BytesIO()
    soundfile.write(silence, [0.0] * (2 * RATE_HZ), RATE_HZ, format="WAV", subtype="PCM_16")
    files: dict[str, Content] = {
        f"en_US_f_Allison/{tone.name}.wav": tone.audio.read_bytes() for tone in tones
    }
    files |= {
        "bad/truncated.wav": whole.audio.read_bytes()[: whole.audio.stat().st_size // 2],
        "bad/text.wav": b"This is a text file that says it is audio.\n" * 40,
        "bad/empty.wav": b"",
        "bad/silence.wav": silence.getvalue(),
        "bad/wrong-text.wav": wrong.audio.read_bytes(),
        "copies/again.wav": first,
        "copies/again.flac": encoder(samples, RATE_HZ, "FLAC", "PCM_16"),
    }
    rows = [row(f"en_US_f_Allison/{tone.name}.wav", tone, "en", "Allison") for tone in tones]
    for name in ("truncated", "text", "empty", "silence"):
        rows.append(row(f"bad/{name}.wav", whole, "en", "Allison"))
    rows.append(
        row("bad/wrong-text.wav", wrong, "en", "Allison", text="Seven green bottles hang on a garden wall.")
    )
    rows.append(row("bad/missing.wav", gone, "en", "Allison"))
    return files, rows


def bad_lines(good: Mapping[str, Any]) -> list[str | bytes]:
    """Lines that cannot become an utterance: more than the 5 % that an ingest tolerates where nothing else is said."""
    line = json.dumps(good)
    hostile = ("http://example.org/clip.wav", "../../../etc/hostname", "curl example.org/clip |")
    return [
        line[: len(line) // 2],
        f"{line} {line}",
        json.dumps({**good, "duration": float("nan")}),
        b'{"audio_filepath": "caf\xe9.wav", "duration": 1.0, "text": ""}',
        *(json.dumps({**good, "audio_filepath": path}) for path in hostile),
        # The words of a clip that is there already, differently.
        json.dumps({**good, "text": "Something else."}),
    ]


def russian(speech: Path) -> dict[str, Content]:
    """One speaker; a copy of a clip, a line without a text, a path that leads out."""
    voice = speech / "ru_RU_f_IvrvoiceRU"
    taken = take(clips(voice, texts(speech / "texts" / "ru.txt")), RUSSIAN_CLIPS)
    files: dict[str, Content] = {f"wavs/{clip.name}.wav": clip.audio.read_bytes() for clip in taken}
    files["wavs/copy.wav"] = files[f"wavs/{taken[0].name}.wav"]
    rows = [f"{clip.name}|{clip.text}|{clip.text}" for clip in taken]
    rows += [f"copy|{taken[0].text}|{taken[0].text}", "no-text", f"../../russian|{taken[1].text}"]
    files["metadata.csv"] = "".join(f"{row}\n" for row in rows).encode()
    return files


def in_containers(voice: Path) -> dict[str, Content]:
    """Clips of the voice, each in the next of five containers."""
    files: dict[str, Content] = {}
    for n, clip in enumerate(take(clips(voice, None), UNTOLD_CLIPS)):
        suffix, container, codec = CONTAINERS[n % len(CONTAINERS)]
        samples, rate = soundfile.read(clip.audio, dtype="int16")
        files[f"{voice.name}/{clip.name}.{suffix}"] = encoder(samples, rate, container, codec)
    return files


def encoder(samples: Any, rate: int, container: str, codec: str) -> Callable[[], bytes]:
    """A function that encodes the samples; encoders may put a random serial number into their streams."""

    def encode() -> bytes:
        buffer = io.BytesIO()
        soundfile.write(buffer, samples, rate, format=container, subtype=codec)
        return buffer.getvalue()

    return encode


def put(file: Path, content: Content) -> bool:
    """Make `file` hold `content`, whole or not at all; false where it did already (or was encoded before)."""
    if file.is_file() and (callable(content) or file.read_bytes() == content):
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f".{file.name}.new")
    fresh.write_bytes(content() if callable(content) else content)
    fresh.replace(file)
    return True


def lay_out(folder: Path, files: Mapping[str, Content]) -> int:
    """Make `folder` hold exactly `files`; the number of files written or removed."""
    wanted = {folder / name for name in files}
    extra = [file for file in folder.rglob("*") if file.is_file() and file not in wanted]
    for file in extra:
        file.unlink()
    return len(extra) + sum([put(folder / name, content) for name, content in files.items()])


def main(arguments: Iterable[str]) -> None:
    """`prepare.py SPEECH OUT`: lay out the corpora and `corpora.yaml` in OUT."""
    speech, out = map(Path, arguments)
    changed = sum(lay_out(out / build.__name__, build(speech)) for build in (prompts, russian))
    changed += put(out / "corpora.yaml", CORPORA.encode())
    print(f"    {changed} files written" if changed else "    all files are there already")


if __name__ == "__main__":
    main(sys.argv[1:])
