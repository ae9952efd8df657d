"""What a batch of Whisper takes of a device's memory, and so how large a batch and how many streams fit.

The figures follow from the model's dimensions, as CTranslate2 4.8 allocates: per full window in 16 bits, the keys
and values of the decoder's cross-attention (2 x layers x 1500 x width) and the scores of one encoder layer
(heads x 1500 x 1500). That gives 3.5 GB for 64 windows of base, 7 for small, 14 for medium, 21.5 for large-v3 and
7.8 for turbo, as the sources say; not measured on a card here.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path

from speechlake.errors import ModelError
from speechlake.models.files import WEIGHTS

WINDOW_S = 30.0
# Positions of the encoder in a full window, and what a decoder may hold of its own tokens.
POSITIONS, TOKENS = 1500, 448
BYTES_PER_VALUE = 2
# The most that kept one H100 busy (64 windows, 4 streams: 78 to 97 %); fewer windows than the second idle a card.
MOST_WINDOWS, FEW_WINDOWS = 64, 16
MOST_STREAMS = 4
# Of the memory that is free: the rest is for the context of CUDA, workspaces, fragments, and features.
USABLE, RESERVED_BYTES = 0.9, 1 << 30
WIDTH_OF_HEAD = 64


@dataclass(frozen=True)
class Dimensions:
    """Layers of the decoder, width and heads of a Whisper model, and the bytes of its weights on the device."""

    decoder_layers: int
    width: int
    heads: int
    weights_bytes: int

    def window_bytes(self, beams: int = 1) -> int:
        """Device memory of one full window in a batch, in bytes."""
        cross = 2 * self.decoder_layers * POSITIONS * self.width
        own = 2 * self.decoder_layers * TOKENS * self.width * beams
        return BYTES_PER_VALUE * (cross + own + self.heads * POSITIONS * POSITIONS)


def fitting(free_bytes: int, model: Dimensions, *, beams: int = 1) -> tuple[float, int]:
    """Return (padded seconds of a batch, streams) that fit `free_bytes` of device memory beside the weights.

    At least one window on one stream, also where not even that fits: it may still, and out of memory is handled.
    """
    budget = free_bytes * USABLE - RESERVED_BYTES - model.weights_bytes
    at_once = max(1, int(budget // model.window_bytes(beams)))
    streams = max(1, min(MOST_STREAMS, at_once // FEW_WINDOWS))
    return min(MOST_WINDOWS, at_once // streams) * WINDOW_S, streams


def dimensions_of(folder: Path, compute_type: str) -> Dimensions:
    """Read the dimensions of a converted model from the names and shapes in its weights file.

    ModelError where the file is not one of CTranslate2's Whisper models.
    """
    weights = folder / WEIGHTS
    try:
        shapes = _shapes(weights)
        width = shapes["decoder/embeddings/weight"][1]
        found = [re.match(r"decoder/layer_(\d+)/", name) for name in shapes]
        layers = 1 + max(int(match[1]) for match in found if match)
    except (OSError, KeyError, IndexError, ValueError, UnicodeDecodeError, struct.error) as error:
        raise ModelError(
            f"{weights} is not a Whisper model of CTranslate2: {type(error).__name__}: {error}",
            hint="Convert the model with ct2-transformers-converter, or name another one with --model.",
        ) from error
    parameters = sum(_product(shape) for shape in shapes.values())
    return Dimensions(layers, width, width // WIDTH_OF_HEAD, parameters * _bytes_of(compute_type))


def _bytes_of(compute_type: str) -> int:
    if compute_type.startswith("int8"):
        return 1
    return 2 if "16" in compute_type else 4


def _product(shape: tuple[int, ...]) -> int:
    size = 1
    for each in shape:
        size *= each
    return size


def _shapes(weights: Path) -> dict[str, tuple[int, ...]]:
    """Shapes by variable name, without reading values. The layout is that of CTranslate2's `ModelSpec.serialize`."""
    shapes = {}
    with weights.open("rb") as file:

        def number(form: str) -> int:
            return int(struct.unpack(form, file.read(struct.calcsize(form)))[0])

        def text() -> str:
            return file.read(number("=H")).rstrip(b"\0").decode()

        number("=I")  # version of the format
        text()  # name of the model's kind
        number("=I")  # its revision
        for _ in range(number("=I")):
            name = text()
            shapes[name] = tuple(number("=I") for _ in range(number("=B")))
            number("=B")  # type of the values
            file.seek(number("=I"), 1)
    return shapes
