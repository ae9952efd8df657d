"""To version 3: `key_buckets` says which keys were looked up, and holds no samples of them.

Samples follow from `signals_audio_keys`, which is half as large. What was looked up stays so.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from speechlake.upgrade.change import Change, drop_columns, forbid_null, lacks, stored

if TYPE_CHECKING:
    from speechlake.lake import Lake

NAME = "key_buckets"
KEPT = ("corpus", "utterance_id", "content_sha256", "fingerprint")
SAMPLES = ("samples", "buckets", "frames", "contexts")


def changes(lake: Lake) -> Iterator[Change]:
    """What the lake has beyond version 3."""
    if not lake.exists(NAME):
        return
    sampled = not lacks(lake, NAME, SAMPLES[0])
    if sampled:
        yield Change(NAME, "without samples of keys", partial(drop_columns, name=NAME, columns=SAMPLES))
    if sampled or any(stored(lake, NAME).schema[name].nullable for name in KEPT):
        yield Change(NAME, "its columns are never null", partial(forbid_null, name=NAME, columns=KEPT))
