"""Near duplicates on real speech: copies that must be found, strangers that must not.

    make bench-near-duplicates
    make bench-near-duplicates ARGS='--corpora ../shared/corpora'

Sources: the prompts of set-up, and with --corpora all wav and flac files of a folder (LibriSpeech, LJSpeech, ...).
Of a share of them copies are made by each way of COPIES. Clips are divided by speaker: one half shows which
thresholds would do, the other is judged under those in the code. A pair of different clips that is found counts
as false unless the waveforms are the same there (correlation of 0.9 and more: one recording under two names).
"""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from speechlake.duplicates.few import met
from speechlake.duplicates.keys import FRAME_S, SAME_BELOW, Keys, Shared
from speechlake.signals.audio_keys import keys_of

Samples = npt.NDArray[np.float32]
HZ = 16_000
SHORTEST_S, LONGEST_S = 0.8, 40.0
SAME_WAVEFORM = 0.9
LENGTHS = ((0.8, 1.0), (1.0, 2.0), (2.0, 3.0), (3.0, 40.0))
# Parts are cut out of so many clips of 6 s and more; astride ones go on with so much of another.
PARTS_S, PARTS_OF, GOES_ON_S = (1.8, 2.0, 2.2, 2.5, 3.0), 240, 1.5


def resampled(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """At another rate."""
    return np.asarray(soxr.resample(samples, from_hz, to_hz, quality="HQ"), np.float32)


def coded(samples: Samples, codec: str, container: str, hz: int, bits_per_s: int) -> Samples:
    """Coded by FFmpeg and decoded again."""
    import av

    file = io.BytesIO()
    pcm = (np.clip(resampled(samples, HZ, hz), -1, 1) * 32767).astype(np.int16)[None, :]
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=hz)
        stream.bit_rate, stream.layout = bits_per_s, "mono"
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate = hz
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)
    file.seek(0)
    plain = av.AudioResampler(format="fltp", layout="mono", rate=hz)
    with av.open(file) as source:
        parts = [again.to_ndarray()[0] for frame in source.decode(audio=0) for again in plain.resample(frame)]
    return resampled(np.concatenate(parts).astype(np.float32), hz, HZ)


def mu_law(samples: Samples) -> Samples:
    """Telephone: 8 kHz, mu-law."""
    file = io.BytesIO()
    soundfile.write(file, np.clip(resampled(samples, HZ, 8000), -1, 1), 8000, format="WAV", subtype="ULAW")
    file.seek(0)
    return resampled(soundfile.read(file, dtype="float32")[0], 8000, HZ)


COPIES: Mapping[str, Callable[[Samples], Samples]] = {
    "mp3 64k": lambda s: coded(s, "libmp3lame", "mp3", HZ, 64_000),
    "opus 24k": lambda s: coded(s, "libopus", "ogg", 48_000, 24_000),
    "mu-law 8 kHz": mu_law,
    "-12 dB": lambda s: s * np.float32(10 ** (-12 / 20)),
    "200 ms lead": lambda s: np.pad(s, (3200, 0)),
    "487 ms lead": lambda s: np.pad(s, (7792, 0)),
    "300 ms trimmed": lambda s: s[4800:],
    "313 ms trimmed": lambda s: s[5008:],
    "500 ms off the end": lambda s: s[:-8000],
    "11.025 kHz": lambda s: resampled(resampled(s, HZ, 11_025), 11_025, HZ),
    "300 ms trimmed, opus 24k": lambda s: coded(s[4800:], "libopus", "ogg", 48_000, 24_000),
    "313 ms trimmed, mp3 64k": lambda s: coded(s[5008:], "libmp3lame", "mp3", HZ, 64_000),
}


@dataclass(frozen=True)
class Clip:
    """A source: its file, its speaker as far as the path tells, its samples and keys."""

    path: Path
    speaker: str
    samples: Samples
    keys: Keys

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.samples) / HZ


def clips(speech: Path, corpora: Path | None) -> Iterator[Clip]:
    """All clips of a usable length that are not the same, sample for sample, as an earlier one."""
    seen: set[bytes] = set()
    files = [(f"prompts {path.relative_to(speech).parts[0]}", path) for path in sorted(speech.rglob("*.wav"))]
    if corpora is not None:
        found = [path for suffix in ("wav", "flac") for path in sorted(corpora.rglob(f"*.{suffix}"))]
        files += [(_speaker(path.relative_to(corpora)), path) for path in found]
    for speaker, path in files:
        try:
            samples, hz = soundfile.read(path, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError:
            continue
        mono = resampled(samples.mean(axis=1), hz, HZ)
        digest = hashlib.sha256(mono.tobytes()).digest()
        if SHORTEST_S <= len(mono) / HZ <= LONGEST_S and digest not in seen and np.isfinite(mono).all():
            seen.add(digest)
            keys = keys_of(mono)
            if keys.active.any():
                yield Clip(path, speaker, mono, keys)


def _speaker(path: Path) -> str:
    """LibriSpeech's files begin with the speaker, those of digits hold it; else the folder speaks for it."""
    parts = path.stem.replace("_", "-").split("-")
    return f"{path.parts[0]} {parts[0] if parts[0].isdigit() and len(parts) > 2 else parts[1] if len(parts) == 3 else path.parent}"


def drawn(text: str, share: float) -> bool:
    """A share of all texts, the same ones each time."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") < share * 2**32


def correlation(one: Samples, other: Samples, found: Shared) -> float:
    """Of the waveforms where the keys say that audio is shared, at the best lag within two frames."""
    hop = round(FRAME_S * HZ)
    a = one[found.start * hop : found.end * hop].astype(np.float64)
    begin = (found.start + found.offset - 2) * hop
    b = np.pad(other.astype(np.float64), (4 * hop, 4 * hop))[
        begin + 4 * hop : begin + 4 * hop + len(a) + 4 * hop
    ]
    if len(b) < len(a) or not a.any():
        return 0.0
    size = 1 << (len(a) + len(b)).bit_length()
    products = np.fft.irfft(np.fft.rfft(b, size) * np.conj(np.fft.rfft(a, size)), size)[: len(b) - len(a) + 1]
    energy = np.convolve(np.square(b), np.ones(len(a)), "valid") if len(a) < 4000 else _energies(b, len(a))
    return float(np.max(np.abs(products) / np.sqrt(energy * np.square(a).sum() + 1e-12)))


def _energies(values: npt.NDArray[np.float64], width: int) -> npt.NDArray[np.float64]:
    sums = np.cumsum(np.concatenate([[0.0], np.square(values)]))
    return np.asarray(sums[width:] - sums[:-width])


def main(argv: Sequence[str] | None = None) -> int:
    """Make copies, search, print tables."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    made.add_argument("--speech", type=Path, default=Path("build/speech"))
    made.add_argument("--corpora", type=Path)
    made.add_argument("--share", type=float, default=0.12, help="share of prompts and digits that are copied")
    parsed = made.parse_args(argv)
    sources = [*clips(parsed.speech, parsed.corpora)]
    print(f"{len(sources):,} clips, {sum(c.seconds for c in sources) / 3600:.1f} h", flush=True)
    read = [n for n, c in enumerate(sources) if "ibri" in str(c.path) or "lj" in str(c.path).lower()]
    copied = sorted({*read, *(n for n, c in enumerate(sources) if drawn(str(c.path), parsed.share))})
    copied = [n for n in copied if "silence" not in sources[n].path.parts]
    owners: list[tuple[int, str]] = [
        (n, how)
        for n in copied
        for how in COPIES
        if sources[n].seconds > SHORTEST_S + 0.5 or "off" not in how
    ]
    copies = [keys_of(COPIES[how](sources[n].samples).astype(np.float32)) for n, how in owners]
    print(f"{len(copies):,} copies of {len(copied)} clips", flush=True)
    found = met([c.keys for c in sources] + copies)
    for half in (0, 1):
        _print_half(half, sources, owners, found)
    _print_strangers(sources, found)
    _print_parts([c for c in sources if c.seconds >= 6 and "silence" not in c.path.parts][:PARTS_OF])
    return 0


def _half(speaker: str) -> int:
    return int(drawn(f"half {speaker}", 0.5))


def _print_half(
    half: int, sources: list[Clip], owners: list[tuple[int, str]], found: Mapping[Any, Shared]
) -> None:
    """Recall by kind of copy and length, and the rates of copies and strangers, of one half of the speakers."""
    first = len(sources)
    mine = [(j, n, how) for j, (n, how) in enumerate(owners) if _half(sources[n].speaker) == half]
    print(
        f"\nhalf {'AB'[half]}: {len({sources[n].speaker for _, n, _ in mine})} speakers, {len(mine):,} copies"
    )
    print(f"  {'recall':26}" + "".join(f"{f'{a:g}-{b:g} s':>16}" for a, b in LENGTHS))
    for how in [*COPIES, "all"]:
        cells = []
        for low, high in LENGTHS:
            asked = [(j, n) for j, n, h in mine if how in (h, "all") and low <= sources[n].seconds < high]
            near = [found[n, first + j].kind == "near" for j, n in asked if (n, first + j) in found]
            cells.append(f"{sum(near) / len(asked):.4f} ({len(asked)})" if asked else "-")
        print(f"  {how:26}" + "".join(f"{cell:>16}" for cell in cells))
    rates = sorted(
        found[n, first + j].rate for j, n, _ in mine if (n, first + j) in found and sources[n].seconds >= 2
    )
    if rates:
        print(f"  rates of copies from 2 s: median {np.median(rates):.3f}, 99 % {np.quantile(rates, 0.99):.3f}, "
              f"highest {rates[-1]:.3f}; the limit of each half second is {SAME_BELOW}")  # fmt: skip


def _print_strangers(sources: list[Clip], found: Mapping[Any, Shared]) -> None:
    """Different clips that were found to share audio, and whether their waveforms do."""
    n = len(sources)
    pairs = {pair: said for pair, said in found.items() if pair[1] < n}
    shared = {pair: said for pair, said in pairs.items() if said.kind is not None}
    real = {p: correlation(sources[p[0]].samples, sources[p[1]].samples, said) for p, said in shared.items()}
    false = [p for p in shared if real[p] < SAME_WAVEFORM]
    print(f"\nstrangers: {n * (n - 1) // 2:,} pairs, {len(pairs)} met, {len(shared)} share audio, of which "
          f"{len(shared) - len(false)} have the same waveform there; {len(false)} false")  # fmt: skip
    for a, b in false:
        said = shared[a, b]
        print(f"  {said.kind} {said.rate:.3f}, {said.frames} frames, correlation {real[a, b]:.2f}: "
              f"{sources[a].path} {sources[b].path}")  # fmt: skip
    unlike = [said.rate for pair, said in pairs.items() if said.kind is None]
    if unlike:
        print(f"  lowest rate of those that met and share nothing: {min(unlike):.3f}")


def _print_parts(sources: list[Clip]) -> None:
    """Recall of parts cut at random places: as a clip inside of the longer one, and astride, going on with another."""
    rng, keys, cut = np.random.default_rng(7), [c.keys for c in sources], []
    for n, source in enumerate(sources):
        other = sources[(n + 7) % len(sources)].samples[: int(GOES_ON_S * HZ)]
        for seconds in PARTS_S:
            begin = int(rng.integers(0, len(source.samples) - int(seconds * HZ)))
            part = source.samples[begin : begin + int(seconds * HZ)]
            for how, samples in (("inside", part), ("astride", np.concatenate([part, other]))):
                cut.append((n, seconds, how))
                keys.append(keys_of(samples))
    found = met(keys)
    print(
        f"\nparts of {len(sources)} clips of 6 s and more\n  {'recall':10}"
        + "".join(f"{s:>8} s" for s in PARTS_S)
    )
    for how in ("inside", "astride"):
        shares = []
        for seconds in PARTS_S:
            asked = [(n, len(sources) + j) for j, (n, s, h) in enumerate(cut) if (s, h) == (seconds, how)]
            shares.append(sum(pair in found and found[pair].kind is not None for pair in asked) / len(asked))
        print(f"  {how:10}" + "".join(f"{share:>10.3f}" for share in shares))


if __name__ == "__main__":
    sys.exit(main())
