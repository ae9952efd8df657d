"""Texts that are the same only in the form in which they are released: the build evicts, the gate finds."""

from __future__ import annotations

from typing import Any

import pytest
from splits_tables import candidate, candidates, policy

from speechlake.ids import make_id
from speechlake.splits.build import build
from speechlake.splits.gate import Asked, leaks
from speechlake.splits.policy import Policy

pytestmark = pytest.mark.slow

DOGS = "We saw twenty one dogs and three hundred cats at home"
AS_DIGITS = "We saw 21 dogs and 300 cats at home"
FEE = "She'll pay two thousand and five dollars if it isn't raining"
FEE_IN_FULL = "She will pay $2005 if it is not raining"
ROWS = [
    candidate("dogs test", text=DOGS),
    candidate("dogs", text=AS_DIGITS),
    candidate("dogs of prompts", text=AS_DIGITS, corpus="p", text_tags=["prompts"]),
    candidate("bench", corpus="bench", role="evaluation", text=FEE, evaluation_texts=[FEE]),
    candidate("fee", text=FEE_IN_FULL),
    candidate("other", text="nobody else has ever said anything like this one"),
]


def asking(form: str) -> Policy:
    """A policy that wants no text of an evaluation set in train."""
    return policy(
        text={"prefer": ["manifest"], "form": form},
        links={"text": {"mode": "exclude_from_train", "max_evicted_share": 1.0}},
        decontaminate={"max_evicted_share": 1.0},
    )


@pytest.fixture(scope="module")
def published(spark):
    """One row was published in test."""
    key = (make_id("utterance", "dogs test"), "test")
    return spark.createDataFrame([key], "link_key string, side string")


def built(spark, published, form: str) -> tuple[dict[str, Any], list[Any]]:
    """Utterance -> its text, or why it is out; and what the gate finds."""
    frame = candidates(spark, *ROWS)
    made = build(frame, asking(form), published)
    ends: dict[str, Any] = {row["utterance_id"]: row["text"] for row in made.splits.collect()}
    ends |= {row["utterance_id"]: (row["rule"], row["value"]) for row in made.decisions.collect()}
    return ends, leaks(made.splits, frame, published, Asked.by(asking(form))).collect()


def test_train_gives_way_to_texts_that_are_the_same_once_they_are_normalised(spark, published):
    ends, found = built(spark, published, "normalised")
    assert ends == {
        "dogs test": "we saw 21 dogs and 300 cats at home",
        "dogs": ("text_in_evaluation", "dogs test"),
        "dogs of prompts": "we saw 21 dogs and 300 cats at home",
        "bench": ("evaluation_corpus", None),
        "fee": ("in_evaluation_corpus", "bench"),
        "other": "nobody else has ever said anything like this one",
    }
    assert found == []


@pytest.mark.long
@pytest.mark.parametrize("form", ["verbatim", "lower"])
def test_texts_that_differ_as_they_are_released_stay(spark, published, form):
    ends, found = built(spark, published, form)
    released = {"dogs": AS_DIGITS, "fee": FEE_IN_FULL}
    assert {name: ends[name] for name in released} == {
        name: text.lower() if form == "lower" else text for name, text in released.items()
    }
    assert found == []


# form, texts as they were written -> train rows that the gate finds
WRITTEN = [
    ("normalised", {"dogs test": "we saw 21 dogs and 300 cats at home", "dogs": "we saw 21 dogs and 300 cats at home"}, {("text", "dogs")}),
    ("normalised", {"dogs test": "", "fee": "she will pay $2005 if it is not raining"}, {("evaluation_corpus_text", "fee")}),
    ("lower", {"dogs test": DOGS.lower(), "dogs": DOGS.lower()}, {("text", "dogs")}),
    ("lower", {"dogs test": "", "fee": FEE.lower()}, {("evaluation_corpus_text", "fee")}),
    ("verbatim", {"dogs test": DOGS, "dogs": AS_DIGITS}, set()),
    ("verbatim", {"dogs test": "", "fee": FEE_IN_FULL}, set()),
]  # fmt: skip


@pytest.mark.parametrize(("form", "texts", "found"), WRITTEN)
def test_the_gate_compares_texts_in_the_form_in_which_they_were_written(spark, published, form, texts, found):
    rows = [(name, "test" if name.endswith("test") else "train", text) for name, text in texts.items()]
    written = spark.createDataFrame(rows, "utterance_id string, split string, text string")
    asked = Asked.by(asking(form))
    leaking = leaks(written, candidates(spark, *ROWS), published, asked).collect()
    assert {(row["kind"], row["value"]) for row in leaking} == found


def test_what_the_gate_is_to_ask_survives_the_note_of_a_build():
    asked = Asked.by(asking("normalised"))
    assert Asked.of(asked.note()) == asked
    assert Asked.of({}).form == "verbatim"
