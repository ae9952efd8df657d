"""The page of a review: complete, with no door to the network, and nothing foreign that is more than text."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from speechlake.feedback import page
from speechlake.feedback.page import Item, Review, review_page, with_sounds
from speechlake.feedback.sample import SHOWN
from speechlake.feedback.spec import Import
from speechlake.feedback.verdicts import ANSWERS, VERDICTS
from speechlake.page.sounds import Sound, flac_uri

HOSTILE = '<script>alert(1)</script>" onload="alert(2) \u202egnp.exe'
REVIEW = Review("/lake", "error_rate", "asr-train", "digest", "release r1", 0)


def row(utterance_id: str, **said: Any) -> dict[str, Any]:
    strata = {"stratum": "en/removed/margin", "population": 12, "decision": "removed", "sample": "margin"}
    texts = {"text": "one two", "whisper_text": "one too", "value": "0.5", "threshold": "<= 0.4"}
    own = {"utterance_id": utterance_id, "corpus": "c", "language": "en", "root": "audio"}
    return {**dict.fromkeys(SHOWN), "stratum_language": "en", **strata, **texts, **own, **said}


def item(utterance_id: str, sound: Sound | None = None, **said: Any) -> Item:
    return Item(row(utterance_id, **said), sound or Sound(flac_uri(np.zeros(160, np.float32)), 0.01))


class Seen(HTMLParser):
    """Tags and attributes of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def test_every_clip_has_a_player_both_texts_and_a_key_for_each_verdict():
    html = review_page(REVIEW, [item("u1"), item("u2", text="three", whisper_text=None)])
    seen = Seen(html)
    assert [card["data-utterance_id"] for card in seen.all("article")] == ["u1", "u2"]
    assert len(seen.all("audio")) == 2
    keys = [button.get("data-key") for button in seen.all("button") if "data-key" in button]
    assert keys == [verdict.key for verdict in VERDICTS] * 2
    assert '<span class="pair substituted">' in html
    assert "--name review_error_rate --review" in html


def test_nothing_foreign_is_more_than_text():
    said = dict.fromkeys(
        ("text", "whisper_text", "corpus", "speaker_id", "value", "threshold", "language"), HOSTILE
    )
    html = review_page(REVIEW, [item("u1", Sound(trouble=HOSTILE), **said)])
    seen = Seen(html)
    assert len(seen.all("script")) == 1
    assert not [attrs for _, attrs in seen.tags if any(name.startswith("on") for name in attrs)]
    assert "\u202e" not in re.sub(r'data-value="[^"]*"', "", html)
    assert "⟨U+202E⟩" in html


def test_only_the_pages_own_script_may_run_and_nothing_is_fetched():
    html = review_page(REVIEW, [item("u1")])
    script = re.search(r"<script>(.*?)</script>", html, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    (policy,) = [meta["content"] for meta in Seen(html).all("meta") if "http-equiv" in meta]
    assert f"script-src 'sha256-{digest}'" in str(policy)
    assert "default-src 'none'" in str(policy)
    places = [attrs.get(name) for _, attrs in Seen(html).tags for name in ("src", "href") if attrs.get(name)]
    assert all(str(place).startswith("data:audio/flac") for place in places)
    assert "http://" not in html
    assert "https://" not in html


def test_an_answer_has_the_columns_that_come_back():
    script = re.search(
        r"answers\[card\.utterance_id\] = \{(.*?)\};", review_page(REVIEW, [item("u1")]), re.DOTALL
    )
    assert script is not None
    fields = re.findall(r"^\s+(\w+)[,:]", script[1], re.MULTILINE)
    assert fields == ["utterance_id", *(column.name for column in ANSWERS)]


def test_what_was_asked_comes_back_as_it_is_with_what_cannot_be_seen():
    asked = 'matches "a\u200bb\r" & <c>'
    (card,) = Seen(review_page(REVIEW, [item("u1", asked=asked)])).all("article")
    assert card["data-asked"] == asked


@pytest.mark.parametrize(("rule", "name"), [("length", "review_length"), ("a_7", "review_a_7")])
def test_answers_come_back_under_the_name_of_their_rule(rule, name):
    assert Review("/lake", rule, "p", "d", "f", 0).import_name == name


def test_every_rule_and_seed_has_a_name_of_its_own_that_an_import_may_have():
    rules = ("length", "length_7", "a_b", "a__b", "a_b_", "x" * 60, "x" * 64)
    names = [
        Review("/lake", rule, "p", "d", "f", seed).import_name
        for rule in rules
        for seed in (0, 7, -7, 10**80)
    ]
    assert len(set(names)) == len(names)
    for name in names:
        Import(name, columns=ANSWERS)


def test_a_page_that_grows_too_large_leaves_out_the_last_clips(monkeypatch):
    monkeypatch.setattr(page, "sound", lambda row, roots: Sound("x" * 400_000, 1.0))
    items = list(with_sounds([row(f"u{n}", listing_key="k") for n in range(5)], {}, max_mb=1))
    assert [each.row["utterance_id"] for each in items] == ["u0", "u1"]
    assert "3 more clips" in review_page(REVIEW, items, left_out=3)
