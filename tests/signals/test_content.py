"""What the bytes behind a recording are, whoever hashed them."""

from __future__ import annotations

import pytest

from speechlake.schemas import CONTENT_HASHES, RECORDINGS
from speechlake.signals.plan import with_content


@pytest.mark.slow
def test_a_hash_that_two_jobs_appended_at_once_makes_no_second_recording(rows):
    recordings = rows(RECORDINGS, ("r", {"listing_key": "new"}), ("s", {"listing_key": "new"}))
    said = [("r", {"listing_key": key, "content_sha256": key * 2}) for key in ("old", "new", "new")]
    found = with_content(recordings, rows(CONTENT_HASHES, *said)).collect()
    assert sorted((row.recording_id, row.content_sha256) for row in found) == [
        ("r", "newnew"),
        ("s", "listing:new"),
    ]
