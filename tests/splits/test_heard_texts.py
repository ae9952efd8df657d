"""Which of all that models heard a policy may take for an utterance's text."""

from __future__ import annotations

import pytest
from splits_tables import policy

from speechlake.errors import ConfigError
from speechlake.splits.text import heard_texts, preferred_sources

WAYS = {
    "base": [(frozenset({"de"}), "cut"), (None, "full")],
    "large": [(None, "large")],
    "several": [],
}


def test_a_text_is_what_a_model_heard_in_the_present_audio_under_the_present_language(spark):
    """One per utterance and model: of the fingerprint that stands for the model in that language."""
    utterances = spark.createDataFrame(
        [("u1", "de-AT", "now", "as de"), ("u2", "en", "now", "as en"), ("u3", None, "now", "as null")],
        "utterance_id string, language string, content_key string, inputs_hash string",
    )
    rows = [
        ("u1", "now", "as de", "cut", None, "taken"),
        ("u1", "now", "as de", "full", None, "in other windows"),
        ("u1", "former", "as de", "cut", None, "in former audio"),
        ("u1", "now", "as en", "cut", None, "under a former language"),
        ("u2", "now", "as en", "full", None, "taken"),
        ("u2", "now", "as en", "cut", None, "in other windows"),
        ("u2", "now", "as en", "large", None, "taken"),
        ("u3", "now", "as null", "full", "TIME_OUT", None),
    ]
    heard = spark.createDataFrame(
        [(*row, f"sha {row[5]}", "xx") for row in rows],
        "utterance_id string, content_sha256 string, inputs_hash string, fingerprint string, error string, "
        "text string, text_sha256 string, decoded_language string",
    )
    asked = policy(text={"prefer": ["manifest", "large", "base"]})
    found = heard_texts(utterances, heard, asked, WAYS).collect()
    assert sorted((row.utterance_id, row.source, row.text) for row in found) == [
        ("u1", "whisper:cut", "taken"),
        ("u2", "whisper:full", "taken"),
        ("u2", "whisper:large", "taken"),
    ]
    assert {(row.kind, row.language) for row in found} == {("machine", "xx")}
    assert heard_texts(utterances, heard, policy(text={"prefer": ["manifest"]}), WAYS) is None


def test_a_preferred_model_is_each_of_its_fingerprints_and_one_that_is_not_plain_is_refused():
    assert preferred_sources(policy(text={"prefer": ["base", "manifest:raw"]}), WAYS) == [
        *("whisper:cut", "whisper:full", "manifest:raw"),
    ]
    with pytest.raises(ConfigError, match="ran here in several ways"):
        preferred_sources(policy(text={"prefer": ["several"]}), WAYS)
