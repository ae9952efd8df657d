"""The text in the middle of several."""

from __future__ import annotations

import pytest
from splits_tables import policy

from speechlake.splits.medoid import medoid
from speechlake.splits.text import choose_text

SAID = [
    (["red green blue", "Red, green blue!", "red green"], ["en"] * 3, 0, 1 - (0 + 1 / 3) / 2),
    (["red", "green", "blue sky"], ["en"] * 3, 0, 0.0),  # nobody agrees: the first
    (["a b c d", "a b c x", "a b c d", "y"], ["en"] * 4, 0, 1 - (1 / 4 + 0 + 1) / 3),
    (["", "", "Thank you."], ["en"] * 3, 0, 0.5),  # two heard nothing
    (["今天天气好", "今天天气很好", "今天天气好"], ["zh"] * 3, 0, 1 - (1 / 6 + 0) / 2),  # characters
    (["今天天气好", "今天天气很好", "今天天气好"], [None, "zh", "zh"], 0, 1 - (1 / 6 + 0) / 2),
]


@pytest.mark.parametrize(("texts", "languages", "best", "agreement"), SAID)
def test_medoid_is_nearest_to_the_others(texts, languages, best, agreement):
    found = medoid(texts, languages)
    assert found[0] == best
    assert found[1] == pytest.approx(agreement, abs=1e-6)


@pytest.mark.slow
def test_a_policy_takes_the_medoid_where_three_texts_agree(spark):
    asked = policy(
        text={"prefer": ["manifest", "medoid"], "medoid": {"of": ["m1", "m2", "m3"], "min_agreement": 0.5}}
    )
    heard = {"f1": "red green blue", "f2": "red green blue", "f3": "red green"}
    transcripts = [
        ("spoken", "manifest", "what was said", "human", "h0", "en"),
        *(("spoken", f"whisper:{f}", text, "machine", f"h{f}", "en") for f, text in heard.items()),
        *(("agreed", f"whisper:{f}", text, "machine", f"h{f}", "en") for f, text in heard.items()),
        *(
            ("two only", f"whisper:{f}", text, "machine", f"h{f}", "en")
            for f, text in list(heard.items())[:2]
        ),
        *(
            ("quarrel", f"whisper:{f}", text, "machine", f"h{f}", "en")
            for f, text in zip(heard, ["red", "green", "blue"], strict=True)
        ),
        *(("silence", f"whisper:{f}", " ", "machine", f"h{f}", "en") for f in heard),
        ("three of one", "whisper:f1", "a", "machine", "h1", "en"),
        ("three of one", "whisper:f1", "b", "machine", "h2", "en"),
        ("three of one", "whisper:f1", "c", "machine", "h3", "en"),
    ]
    frame = spark.createDataFrame(
        transcripts,
        "utterance_id string, source string, text string, kind string, text_sha256 string, language string",
    )
    rows = choose_text(frame, asked, {f"m{n}": [(None, f"f{n}")] for n in (1, 2, 3)}).collect()
    found = {
        row["utterance_id"]: (row["text"], row["text_source"], row["text_kind"], row["text_agreement"])
        for row in rows
    }
    assert found == {
        "spoken": ("what was said", "manifest", "human", None),
        "agreed": ("red green blue", "medoid:whisper:f1", "machine", pytest.approx(1 - 1 / 6, abs=1e-6)),
    }
