"""Which policy the page of a release is computed with."""

from __future__ import annotations

import pytest

from speechlake.questions.decided import policy_of

TEXT = "name: p\nsplits: {scheme: main, salt: 1}\n"
GONE = {
    "an evaluation corpus that was erased": "decontaminate: {corpora: [gone]}\n",
    "a value that is imported no more": "keep: [{rule: r, signal: imported.reviews.score, at_most: 1}]\n",
    "a model that measured nothing": "use: {whisper: [{model: nobody}]}\n",
}


def read(lake, text: str):
    return policy_of(lake, {"release": "r", "policy": text, "pinned": {}})


@pytest.mark.parametrize("case", GONE)
def test_a_policy_that_names_what_is_no_longer_there_is_not_understood(sample, case):
    assert read(sample, TEXT) is not None
    assert read(sample, TEXT + GONE[case]) is None
