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


@given(st.sampled_from(["wav", "rifx", "au", "sph"]), st.binary(max_size=80))
def test_garbage_claims_something_or_nothing_but_never_fails(container: str, data: bytes) -> None:
    assert isinstance(claim_of(wav_header()[:12] + data, container), Claim)
