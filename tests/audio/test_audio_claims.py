"""Headers are believed about nothing but what they claim, and garbage claims nothing."""

from __future__ import annotations

import os

import pytest
from audio_examples import soundfile_bytes, speechlike, wav_header
from hypothesis import given
from hypothesis import strategies as st

from speechlake.audio.claims import Claim, claim


def claim_of(data: bytes, container: str) -> Claim | None:
    """What a file of these bytes claims."""
    fd = os.memfd_create("claim")
    try:
        os.write(fd, data)
        return claim(fd, container)
    finally:
        os.close(fd)


TWO_SECONDS = speechlike(2.0, channels=2)


@pytest.mark.parametrize(
    ("written", "container"), [("WAV", "wav"), ("WAVEX", "wav"), ("AU", "au"), ("NIST", "sph")]
)
def test_an_honest_header_claims_what_is_there(written: str, container: str) -> None:
    assert claim_of(soundfile_bytes(TWO_SECONDS, written), container) == Claim(16_000, 2, 2.0)


@pytest.mark.parametrize(
    ("data_bytes", "duration_s"),
    [(32_000, 1.0), (2_000_000_000, 62_500.0), (0, None), (0xFFFF_FFFF, None), (0x7FFF_F000 - 36, None)],
)
def test_a_length_that_the_writer_could_not_know_is_no_claim(
    data_bytes: int, duration_s: float | None
) -> None:
    assert claim_of(wav_header(data_bytes=data_bytes), "wav") == Claim(16_000, 1, duration_s)


def test_compressed_wav_and_other_containers_are_left_to_their_decoder() -> None:
    assert claim_of(soundfile_bytes(TWO_SECONDS, "WAV", "MS_ADPCM"), "wav") == Claim(16_000, 2, None)
    assert claim_of(soundfile_bytes(TWO_SECONDS, "FLAC"), "flac") is None


CHUNK = b"LIST\x04\0\0\0INFO"


@pytest.mark.parametrize(
    ("claimed", "after_header", "duration_s", "goes_on"),
    [
        (0, bytes(32_000), 1.0, True),  # never filled in
        (16_000, bytes(32_000), 1.0, True),
        (32_000, bytes(32_000) + CHUNK, 1.0, False),
        (32_000, bytes(32_007), 1.0, False),  # too few to tell
        (0, CHUNK, None, False),
        (0, b"LISTEN TO THIS!!", 0.0005, True),  # no chunk has that size
    ],
)
def test_samples_behind_the_end_that_a_header_claims_are_claimed_too(
    claimed: int, after_header: bytes, duration_s: float | None, goes_on: bool
) -> None:
    found = claim_of(wav_header(data_bytes=claimed) + after_header, "wav")
    assert found == Claim(16_000, 1, duration_s, goes_on)


def test_an_au_that_was_never_filled_in_claims_what_is_there() -> None:
    au = soundfile_bytes(TWO_SECONDS, "AU")
    assert claim_of(au[:8] + bytes(4) + au[12:], "au") == Claim(16_000, 2, 2.0, True)


@given(st.sampled_from(["wav", "rifx", "au", "sph"]), st.binary(max_size=80))
def test_garbage_claims_something_or_nothing_but_never_fails(container: str, data: bytes) -> None:
    assert isinstance(claim_of(wav_header()[:12] + data, container), Claim)
