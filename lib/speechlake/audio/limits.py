"""How much a file may ask for before it is refused."""

from __future__ import annotations

from dataclasses import dataclass

GIB = 1 << 30


@dataclass(frozen=True)
class Limits:
    """Bounds on what one file may decode to and what decoding it may cost.

    `max_decoded_bytes` counts float32 samples of all channels; they lie in memory once. `memory_bytes`
    is what the decode child may allocate for itself beyond them. A decode may take `base_s` plus its
    file's bytes over `bytes_per_s`: AAC and Opus at 24 kbit/s, the slowest usual case, decode at
    about 600 kB of file per second on a slow core, FLAC and wav at a hundred times that.
    """

    max_duration_s: float = 4 * 3600.0
    max_decoded_bytes: int = 4 * GIB
    memory_bytes: int = GIB // 2
    base_s: float = 30.0
    bytes_per_s: float = 250_000.0
    min_rate_hz: int = 1_000
    max_rate_hz: int = 768_000
    max_channels: int = 64

    def deadline_s(self, size_bytes: int) -> float:
        """Wall and CPU seconds that decoding a file of `size_bytes` may take."""
        return self.base_s + size_bytes / self.bytes_per_s


# For streams. Memory holds a block, whatever the length, so that `max_decoded_bytes` is not asked (of an
# utterance it is, see `signals.slices`) and a day is allowed: the longest recordings in corpora are of
# meetings, courts and radio. Compressed files are decoded twice (see `readers`), so a byte may take twice as long.
STREAM_LIMITS = Limits(max_duration_s=24 * 3600.0, bytes_per_s=125_000.0)
