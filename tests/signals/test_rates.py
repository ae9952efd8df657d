"""Which runs of the past foretell the next."""

from __future__ import annotations

import json

import pytest

from speechlake.signals.rates import _fingerprints

CUT, FULL = ["whisper", "cut", ["en"], []], ["whisper", "full", [], ["en"]]


@pytest.mark.parametrize(
    ("arguments", "measured"),
    [
        ({"corpus": "c", "extractors": [FULL, CUT]}, ["cut", "full"]),
        # A calibration: each clip is heard in both windows, and counted once.
        ({"corpus": "c", "extractors": [FULL, CUT], "some": True}, []),
        ({"corpus": "c"}, []),
    ],
)
def test_a_run_is_known_by_what_it_measured(arguments, measured):
    assert _fingerprints(json.dumps(arguments)) == measured
