"""How large a batch fits a device: one function of numbers, and the dimensions it reads of a model."""

from __future__ import annotations

import pytest

from speechlake.errors import ModelError
from speechlake.models.registry import resolve
from speechlake.signals.whisper_memory import WINDOW_S, Dimensions, dimensions_of, fitting

# Layers of the decoder, width, heads, weights in 16 bits (OpenAI's model card).
MODELS = {
    "tiny": Dimensions(4, 384, 6, 78_000_000),
    "base": Dimensions(6, 512, 8, 148_000_000),
    "small": Dimensions(12, 768, 12, 488_000_000),
    "medium": Dimensions(24, 1024, 16, 1_538_000_000),
    "large-v3": Dimensions(32, 1280, 20, 3_100_000_000),
    "turbo": Dimensions(4, 1280, 20, 1_618_000_000),
}
FITS = [
    # model, free GiB: windows of a batch, streams
    ("tiny", 8, 42, 4),
    ("tiny", 24, 64, 4),
    ("base", 8, 27, 4),
    ("base", 80, 64, 4),
    ("small", 8, 16, 3),
    ("small", 24, 42, 4),
    ("medium", 8, 19, 1),
    ("medium", 16, 16, 3),
    ("medium", 40, 34, 4),
    ("large-v3", 8, 8, 1),
    ("large-v3", 24, 23, 2),
    ("large-v3", 80, 44, 4),
    ("large-v3", 141, 64, 4),
    ("turbo", 8, 19, 2),
    ("turbo", 24, 39, 4),
    ("turbo", 141, 64, 4),
]


@pytest.mark.parametrize(("name", "gib", "windows", "streams"), FITS)
def test_fitting_by_model_and_free_memory(name: str, gib: int, windows: int, streams: int) -> None:
    """Batch and streams fill the card, up to 64 windows and 4 streams."""
    assert fitting(gib << 30, MODELS[name]) == (windows * WINDOW_S, streams)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("gib", [8, 11, 16, 24, 40, 80, 141])
def test_fitting_stays_within_free_memory(name: str, gib: int) -> None:
    """Weights and all batches that run at once lie within what is free."""
    model = MODELS[name]
    batch_s, streams = fitting(gib << 30, model)
    assert model.weights_bytes + streams * batch_s / WINDOW_S * model.window_bytes() < gib << 30


def test_fitting_without_room_gives_one_window() -> None:
    """Where not even the weights fit, one window is tried: out of memory is handled by the engine."""
    assert fitting(1 << 30, MODELS["large-v3"]) == (WINDOW_S, 1)


@pytest.mark.slow
def test_dimensions_of_reads_the_weights_of_a_real_model() -> None:
    """Layers, width and heads of tiny.en, and its 37.8 million parameters in 16 bits."""
    found = dimensions_of(resolve("whisper-tiny.en").folder, "float16")
    assert (found.decoder_layers, found.width, found.heads) == (4, 384, 6)
    assert 70_000_000 < found.weights_bytes < 80_000_000


def test_dimensions_of_another_file_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """A file that is no model of CTranslate2 is named."""
    (tmp_path / "model.bin").write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"model\.bin is not a Whisper model"):
        dimensions_of(tmp_path, "float16")
