"""Robust keys of audio, and what two clips share by them.

A key is 32 bits per frame (`speechlake.signals.audio_keys` makes them). Copies that were coded, resampled,
scaled or moved differ in few bits; unrelated audio differs in nearly half of them (Haitsma & Kalker, "A Highly
Robust Audio Fingerprinting System", ISMIR 2002). Pure: arrays in, numbers out.

The limits here come from 7,113 clips and 8,203 copies of 626 of them (`make bench-near-duplicates` measures
them anew, half of the speakers against the other half).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BITS = 32
FRAME_S = 0.025
# Rates are taken over stretches of this many frames that are active in both clips: 0.5 s. One differing word in
# a prompt that was cut together of pieces shows there, and drowns in the rate of the whole.
STRETCH = 20
# A stretch with fewer differing bits is the same audio. Of 5,798 copies of 2 s and more the worst stretch is at
# 0.22; spliced prompts that say another word reach 0.45, unrelated speech has 0.36 to 0.5.
SAME_BELOW = 0.30
# Of less than a second the whole rate must be lower: one digit said twice by one voice is at 0.103 and above;
# of copies of such clips 95 % are below.
SHORT_FRAMES, SHORT_BELOW = 40, 0.10
# Less than this says nothing: 0.3 s.
LEAST_FRAMES = 12
# A copy may lack or have so much more (active frames): half a second trimmed, and the reach of a key's window.
LOOSE_FRAMES = 30
# How pairs are told by their keys: a lake whose pairs were told otherwise is looked up anew, once.
VERIFYING_VERSION = 2
# A part that two clips share is told from 2 s on, pauses inside included: 65 frames whose windows (0.37 s) hear nothing
# else, and one less where it begins between two frames. Of 480 parts of 2 s, cut at random, 99 % are found so, and
# 88 % with 80 frames; among 4 million pairs of different clips 8 more, of prompts cut together of the same pieces.
PART_FRAMES = 64
# Moved by half a frame, a clip lies as well on one offset as on the next.
NEIGHBOURS = (0, -1, 1)

KIND_NEAR, KIND_CONTAINED = "near", "contained"


@dataclass(frozen=True)
class Keys:
    """Keys of one clip: `bits` (uint32) and `active` (bool), both one per frame.

    Only active frames count: quiet ones hold the noise of whatever coded them.
    """

    bits: npt.NDArray[np.uint32]
    active: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Shared:
    """What two clips share at one offset: frame i of the one lies on frame i + `offset` of the other.

    `rate` is the share of differing bits over the `frames` that are active in both; `kind` is near (copies of
    one another), contained (a part of 2 s or more is the same), or null. `start` and `end` are the frames of
    the one between which the longest common part lies.
    """

    kind: str | None
    rate: float
    offset: int
    frames: int
    start: int
    end: int


def pack(keys: Keys) -> tuple[bytes, bytes]:
    """(keys, active) as stored: little-endian 32-bit words; a bit per frame, lowest bit first."""
    return keys.bits.astype("<u4").tobytes(), np.packbits(keys.active, bitorder="little").tobytes()


def unpack(keys: bytes, active: bytes) -> Keys:
    """What `pack` packed."""
    bits = np.frombuffer(keys, dtype="<u4").astype(np.uint32)
    flags = np.unpackbits(np.frombuffer(active, np.uint8), count=len(bits), bitorder="little")
    return Keys(bits, flags.astype(bool))


def shared(one: Keys, other: Keys, offset: int) -> Shared:
    """What they share at `offset` or beside it, at the lowest rate; time grows with the shorter clip."""
    found = [_shared(one, other, offset + beside) for beside in NEIGHBOURS]
    return min(found, key=lambda each: (each.rate, NEIGHBOURS.index(each.offset - offset)))


def _shared(one: Keys, other: Keys, offset: int) -> Shared:
    begin, end = max(0, -offset), min(len(one.bits), len(other.bits) - offset)
    a, b = slice(begin, max(begin, end)), slice(begin + offset, max(begin, end) + offset)
    at = np.flatnonzero(one.active[a] & other.active[b])
    if len(at) < LEAST_FRAMES:
        return Shared(None, 1.0, offset, len(at), begin, begin)
    wrong = np.bitwise_count(one.bits[a][at] ^ other.bits[b][at]).astype(np.int64)
    rate = float(wrong.sum()) / (BITS * len(at))
    rates = _stretches(wrong)
    first, last = _longest(rates < SAME_BELOW, min(STRETCH, len(at)))
    kind = None
    if rates.max() < SAME_BELOW and _all_of(one, other, len(at)):
        kind = KIND_NEAR if len(at) >= SHORT_FRAMES or rate < SHORT_BELOW else None
    elif last >= first and at[last] - at[first] + 1 >= PART_FRAMES:
        kind = KIND_CONTAINED
    start, stop = (int(at[first]), int(at[last]) + 1) if last >= first else (0, 0)
    return Shared(kind, rate, offset, len(at), begin + start, begin + stop)


def _stretches(wrong: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Share of differing bits in each stretch of frames; one stretch where there are fewer frames."""
    width = min(STRETCH, len(wrong))
    sums = np.cumsum(np.concatenate([[0], wrong]))
    rates: npt.NDArray[np.float64] = (sums[width:] - sums[:-width]) / (BITS * width)
    return rates


def _longest(good: npt.NDArray[np.bool_], width: int) -> tuple[int, int]:
    """First and last active frame of the longest run of good stretches of `width`; (0, -1) without one."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]])))
    if len(edges) == 0:
        return 0, -1
    starts, ends = edges[::2], edges[1::2]
    best = int(np.argmax(ends - starts))
    return int(starts[best]), int(ends[best]) - 1 + width - 1


def _all_of(one: Keys, other: Keys, frames: int) -> bool:
    """What both have in common is all of either, but for what trimming takes."""
    most = max(int(one.active.sum()), int(other.active.sum()))
    return most - frames <= min(LOOSE_FRAMES, most // 2)
