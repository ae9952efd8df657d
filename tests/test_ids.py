"""Identities are for ever: these values may never change."""

from hypothesis import given
from hypothesis import strategies as st

from speechlake.ids import canonical_json, make_id, milliseconds, recording_id, text_sha256, utterance_id


def test_golden_values_of_ids():
    recording = recording_id("librispeech", "audio", "1089/134686/1089-134686-0000.flac")
    assert make_id() == "e3b0c44298fc1c149afbf4c8996fb924"
    assert recording == "345bedd794b7f91149e0f494943cf789"
    assert utterance_id(recording, "mix", 0, None) == "1ac4e5ac6b80324946deb2e09ff81395"
    assert utterance_id(recording, "1", 250, 4300) == "3d75228b1c1dc654d5e7a0730fb60666"
    assert utterance_id(recording, "1", 250, 4300, "utt-7") == "b0f524da4c94bafe7539cedeca99b5bb"
    assert recording_id("c", "audio", "a.tar", "член.wav") == "114df890e8ffe079dfa8180301f4445f"


def test_golden_hash_of_a_text():
    assert text_sha256("héllo") == "3c48591d8d098a4538f5e013dfcf406e948eac4d3277b10bf614e295d6068179"


@given(st.lists(st.text()), st.lists(st.text()))
def test_different_fields_have_different_ids(a, b):
    assert (make_id(*a) == make_id(*b)) == (a == b)


@given(st.text(min_size=1), st.integers(0, 9))
def test_moving_a_character_to_the_next_field_changes_the_id(text, cut):
    cut = min(cut, len(text) - 1)
    assert make_id(text, "") != make_id(text[:cut], text[cut:])


def test_milliseconds_are_rounded_half_up_on_the_decimal_that_was_written():
    assert [milliseconds(s) for s in ("0.0005", "0.00049", 1.0005, 0.1 + 0.2, "12.3456")] == [
        1,
        0,
        1001,
        300,
        12346,
    ]


@given(st.integers(0, 10**9))
def test_whole_milliseconds_survive(ms):
    assert milliseconds(ms / 1000) == ms


def test_one_spelling_per_value():
    assert canonical_json({"b": [1, None], "a": "é"}) == '{"a":"é","b":[1,null]}'
