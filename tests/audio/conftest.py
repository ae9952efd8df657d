"""A decoder shared by the tests of this folder, and a way to hand it bytes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from audio_examples import Decode, decode_bytes

from speechlake.audio.decoder import Decoder


@pytest.fixture(scope="session")
def decoder() -> Iterator[Decoder]:
    """One pooled child for all tests."""
    with Decoder() as shared:
        yield shared


@pytest.fixture
def decode(decoder: Decoder) -> Decode:
    """decode(data, limits=None) through the shared child."""
    return lambda data, limits=None: decode_bytes(decoder, data, limits)
