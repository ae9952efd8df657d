"""How a chunk is spread over cores."""

from __future__ import annotations

import pytest

from speechlake.signals.spread import Spread

CHUNKS = [
    # recordings in a chunk, tasks
    (100, 12),
    (12, 12),
    (5, 5),
    (0, 1),
]


@pytest.mark.parametrize(("recordings", "tasks"), CHUNKS)
def test_a_chunk_has_no_more_tasks_than_recordings(recordings: int, tasks: int) -> None:
    assert Spread(12, 1, 8.0).over(recordings) == Spread(tasks, 1, 8.0)
