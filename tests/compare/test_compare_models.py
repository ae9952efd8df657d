"""Two models over the same utterances: what changed, in errors, texts, languages and hours."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from lake_tools import QUIET

from speechlake.commands import compare_models, score_transcripts
from speechlake.compare import answers, sides
from speechlake.compare.hours import (
    hours_by_language,
    hours_by_reason,
    in_any_window,
    in_place,
    judged_by_both,
)
from speechlake.compare.pairs import _is_comparable, pairs
from speechlake.compare.sides import Side, side_of
from speechlake.errors import UsageError
from speechlake.ids import text_sha256
from speechlake.schemas import (
    CONTENT_HASHES,
    CORPORA,
    EXTRACTORS,
    PROFILES,
    RECORDINGS,
    SIGNALS_AUDIO,
    SIGNALS_WHISPER,
    TRANSCRIPTS,
    UTTERANCES,
)
from speechlake.signals import catalogue, promote
from speechlake.signals.catalogue import Entries
from speechlake.signals.promote import Choice
from speechlake.splits.policy import Policy
from speechlake.terminal import console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyspark.sql import DataFrame, SparkSession

    from speechlake.lake import Lake

OLD, NEW, ELSEWHERE = "aaaa000000000001", "bbbb000000000001", "cccc000000000001"

# utterance, declared language, reference, (old text, language heard), (new text, language heard); None: no row,
# a text of None: the error UNSUPPORTED_LANGUAGE
SAID: list[tuple[str, str | None, str | None, Any, Any]] = [
    ("u1", "de", "eins zwei drei vier", ("Eins zwei drei vier.", "de"), ("Eins zwei drei", "de")),
    ("u2", "de-AT", "fünf sechs sieben", ("fünf", "de"), ("fünf, sechs, sieben!", "de")),
    ("u3", "de", "acht neun", ("acht neun", "de"), ("acht neun", "nl")),
    ("u4", "en", "hello there", ("", "en"), ("thank you thank you thank you thank you", "en")),
    ("u5", "zh", "你好世界", ("你好世界", "zh"), ("你好", "yue")),
    ("u6", None, None, ("bonjour", "fr"), ("bonsoir", "fr")),
    ("u7", "en", "only the old one", ("only the old one", "en"), None),
    ("u8", "ka", "hello", (None, None), ("hello", "ka")),
]
POLICY = Policy.model_validate({
    "name": "p",
    "text": {"prefer": ["manifest"]},
    "keep": [
        {"rule": "runs", "signal": "flags.runaway", "is": False, "on": "train"},
        {"rule": "error_rate", "at_most": {"default": 0.4}, "min_units": 1},
    ],
    "splits": {"scheme": "s", "salt": 1},
})  # fmt: skip


def every(fingerprint: str) -> Entries:
    """The same for every language."""
    return [(None, fingerprint)]


def heard(fingerprint: str, side: int, hashes: dict[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of `signals_whisper` of one side."""
    for key, declared, _, *said_by in SAID:
        if said_by[side] is None:
            continue
        text, language = said_by[side]
        said = {"text": text, "text_sha256": text_sha256(text or ""), "language": language}
        if text is None:
            said = {"error": "UNSUPPORTED_LANGUAGE"}
        filed = {"corpus": "c", "content_sha256": "content", "fingerprint": fingerprint}
        more = {"decoded_language": declared or language, "compression_ratio": 1.0, "truncated": False}
        yield key, {**filed, "inputs_hash": hashes[key], **more, **said}


@pytest.fixture(scope="module")
def both(
    spark: SparkSession, rows: Callable[..., DataFrame], tmp_path_factory: pytest.TempPathFactory
) -> Lake:
    """A lake that both models measured, with scores."""
    from speechlake.lake import Lake
    from speechlake.signals.plan import inputs_hash
    from speechlake.views import extractor_inputs

    lake = Lake(spark, tmp_path_factory.mktemp("compare"))
    with lake.hold("fill", "c", "r") as hold:

        def put(table: Any, *literal: tuple[Any, dict[str, Any]]) -> None:
            hold.append_missing(table.name, rows(table, *literal))

        here = {"corpus": "c"}
        put(CORPORA, ("c", {"role": "training", "ids": "interval", "channels": "auto"}))
        put(RECORDINGS, ("r1", {**here, "path": "1.wav", "listing_key": "k", "state": "present"}))
        put(CONTENT_HASHES, ("r1", {**here, "listing_key": "k", "content_sha256": "content"}))
        spoken = {key: {**here, "recording_id": "r1", "language": said} for key, said, *_ in SAID}
        put(UTTERANCES, *spoken.items())
        texts = {key: text for key, _, text, *_ in SAID if text}
        human = {**here, "source": "manifest", "kind": "human"}
        put(
            TRANSCRIPTS, *((k, {**human, "text": t, "text_sha256": text_sha256(t)}) for k, t in texts.items())
        )
        models = {OLD: "old-model", NEW: "new-model", ELSEWHERE: "elsewhere"}
        put(EXTRACTORS, *((fp, {"name": "whisper", "model_id": model}) for fp, model in models.items()))
        current = {"audio": "audio1", "whisper": OLD}
        put(PROFILES, *((n, {"extractor": e, "fingerprint": current[e]}) for n, e in enumerate(current)))
        filed = {**here, "content_sha256": "content", "fingerprint": "audio1", "inputs_hash": ""}
        put(SIGNALS_AUDIO, *((key, {**filed, "duration_s": 3600.0}) for key, *_ in SAID))
        now = lake.read("utterances").select(
            "utterance_id", inputs_hash(extractor_inputs("whisper")).alias("h")
        )
        hashes = {row.utterance_id: row.h for row in now.collect()}
        put(SIGNALS_WHISPER, *heard(OLD, 0, hashes), *heard(NEW, 1, hashes))
        put(SIGNALS_WHISPER, ("u9", {**here, "fingerprint": ELSEWHERE}))
    scored = score_transcripts.run(lake, corpus=None, progress=QUIET)
    assert scored.counts == {"scores": 12}
    assert score_transcripts.run(lake, corpus=None, progress=QUIET).outcome == "nothing to do"
    return lake


UNITS = [
    # normaliser and unit of both sides; whether they can be compared
    ("basic/1", "char", "basic/1", "char", True),
    ("basic/1", "char", "basic/1", "word", False),
    ("english/1", "word", "basic/1", "word", False),
    ("basic/1", "word", None, None, False),
]


@pytest.mark.slow
def test_scores_are_compared_where_normaliser_and_unit_are_the_same(spark: SparkSession) -> None:
    sides = "a_normaliser string, a_unit string, b_normaliser string, b_unit string, expected boolean"
    for row in spark.createDataFrame(UNITS, sides).withColumn("found", _is_comparable()).collect():
        assert row.found == row.expected, row


@pytest.fixture(scope="module")
def compared(both: Lake) -> DataFrame:
    return pairs(both, every(OLD), every(NEW)).persist()


@pytest.mark.slow
@pytest.mark.long
def test_pairs_are_the_utterances_that_both_measured_with_counts_in_the_languages_unit(compared):
    columns = ("utterance_id", "name", "comparable", "a_unit", "a_hits", "b_hits", "b_deletions", "reference")
    found = compared.select(*columns).orderBy("utterance_id").collect()
    assert [tuple(row) for row in found] == [
        ("u1", "de", True, "word", 4, 3, 1, "eins zwei drei vier"),
        ("u2", "de", True, "word", 1, 3, 0, "fünf sechs sieben"),
        ("u3", "de", True, "word", 2, 2, 0, "acht neun"),
        ("u4", "en", True, "word", 0, 0, 0, "hello there"),
        ("u5", "zh", True, "char", 4, 2, 2, "你好世界"),
        ("u6", "fr", False, None, None, None, None, None),
        ("u8", "ka", False, None, None, 1, 0, "hello"),
    ]


@pytest.mark.slow
@pytest.mark.long
def test_each_side_is_taken_by_its_fingerprint_for_the_language(both):
    found = pairs(both, [(frozenset({"de"}), OLD), (None, NEW)], every(NEW)).collect()
    assert {row.utterance_id: row.a_fingerprint for row in found} == {
        **dict.fromkeys(("u1", "u2", "u3"), OLD),
        **dict.fromkeys(("u4", "u5", "u6", "u8"), NEW),
    }
    assert all(row.a_hits is not None for row in found if row.comparable)
    assert sum(row.comparable for row in found) == 6


@pytest.mark.slow
@pytest.mark.long
def test_texts_and_languages_that_changed_are_counted_by_declared_language(compared):
    found = {row.name: row.asDict() for row in answers.texts(compared).collect()}
    none = dict.fromkeys([name for name in found["de"] if name not in ("name", "utterances")], 0)
    assert found == {
        # Dutch was heard in what is declared German
        "de": {
            **none,
            "name": "de",
            "utterances": 3,
            "text_changed": 2,
            "language_changed": 1,
            "b_other_language": 1,
        },
        "en": {**none, "name": "en", "utterances": 1, "text_changed": 1, "a_empty": 1, "b_runaway": 1},
        "fr": {**none, "name": "fr", "utterances": 1, "text_changed": 1},
        "ka": {**none, "name": "ka", "utterances": 1, "a_failed": 1},
        # Cantonese is another language than Mandarin, and no mistake: not every model knows it
        "zh": {**none, "name": "zh", "utterances": 1, "text_changed": 1, "language_changed": 1},
    }
    assert answers.totals(found)["utterances"] == 7
    assert answers.totals(found)["text_changed"] == 5


@pytest.mark.slow
@pytest.mark.long
def test_regressions_come_with_the_worst_first(compared):
    found = answers.regressions(compared, 2).collect()
    columns = ("utterance_id", "reference", "a_text", "b_text", "units", "a_errors", "b_errors")
    assert [tuple(row[name] for name in columns) for row in found] == [
        ("u4", "hello there", "", "thank you thank you thank you thank you", 2, 2, 8),
        ("u5", "你好世界", "你好世界", "你好", 4, 0, 2),
    ]


@pytest.mark.slow
@pytest.mark.long
def test_hours_are_those_that_pass_for_train_with_each_model_in_the_others_place(both, compared):
    judged = judged_by_both(both, POLICY, every(OLD), every(NEW), compared).persist()
    found = {row.name: tuple(row)[1:] for row in hours_by_language(judged).collect()}
    # a, b, gained, lost
    assert found == {
        "de": (2.0, 3.0, 1.0, 0.0),
        "en": (0.0, 0.0, 0.0, 0.0),
        "fr": (0.0, 0.0, 0.0, 0.0),  # no text
        "ka": (
            1.0,
            1.0,
            0.0,
            0.0,
        ),  # the old model does not know the language: it cannot judge, and nothing is lost
        "zh": (1.0, 0.0, 0.0, 1.0),
    }
    reasons = [tuple(row) for row in hours_by_reason(judged).collect()]
    assert reasons == [("error_rate", 2, 1.0, 1.0)]


@pytest.mark.slow
@pytest.mark.long
def test_the_job_prints_tables_and_ends_with_the_totals(both):
    out = io.StringIO()
    report = compare_models.run(both, old="aaaa", new="new-model", policy=POLICY, n=1, out=console(out))
    said = dict(report.counts)
    assert (said["utterances"], said["compared"], said["counts_changed"]) == (7, 5, 4)
    # 4 + 3 + 2 + 2 words and 4 characters
    assert (said["reference_units"], said["errors_a"], said["errors_b"]) == (15, 4, 11)
    assert said["difference"] == pytest.approx(7 / 15)
    assert said["low"] <= said["difference"] <= said["high"]
    assert (said["hours_gained"], said["hours_lost"]) == (1.0, 1.0)
    assert (said["a_empty"], said["b_runaway"], said["language_changed"]) == (1, 1, 2)
    shown = out.getvalue()
    assert "+46.67" in shown
    assert "thank you thank you" in shown
    assert "1.wav" in shown
    assert "1 -> 0" in shown  # empty, in English
    assert report.next_step is None


def test_the_next_step_is_to_score_or_to_promote_what_is_surely_better():
    lake, new = SimpleNamespace(root="L"), Side("new-model", "profile …", every(NEW))
    assert (
        compare_models._next(lake, {"unscored": 2, "high": -0.1}, new)
        == "speechlake score-transcripts --lake L"
    )
    assert compare_models._next(lake, {"unscored": 0, "high": -0.1}, new) == "speechlake profile …"
    assert compare_models._next(lake, {"unscored": 0, "high": 0.0}, new) is None
    assert compare_models._next(lake, {"unscored": 0}, new) is None


@pytest.mark.slow
@pytest.mark.long
def test_models_that_cannot_be_compared_are_refused_with_what_there_is(both):
    with pytest.raises(UsageError, match="both name aaaa"):
        compare_models.run(both, old=OLD, new="old-model")
    with pytest.raises(UsageError, match="has measured nothing") as error:
        compare_models.run(both, old="old-model", new="whisper-tiny")
    assert NEW in str(error.value)
    with pytest.raises(UsageError, match="no current utterance was measured by both"):
        compare_models.run(both, old="old-model", new="elsewhere")


def test_a_model_takes_the_place_of_its_rival_and_of_no_other():
    english = (frozenset({"en"}), "english-only")
    said = {"audio": [(None, "audio1")], "whisper": [english, (None, OLD)]}
    assert in_place(said, (OLD, NEW), every(NEW)) == {**said, "whisper": [english, (None, NEW)]}
    assert in_place(said, (OLD, NEW), every(OLD)) == said
    # where neither is current, each is judged as if it were for all
    assert in_place({"whisper": [english]}, (OLD, NEW), every(NEW)) == {"whisper": [(None, NEW)]}


def test_a_model_takes_its_rivals_place_in_whichever_window_that_hears_a_language(monkeypatch):
    pairs = {"cut": (OLD, frozenset({"en"})), "other-cut": ("other", frozenset())}
    monkeypatch.setattr(catalogue, "judged", lambda lake: pairs)
    rivals = in_any_window(None, every(OLD), every(NEW))
    assert rivals == {OLD, "cut", NEW}
    english = frozenset({"en"})
    assert in_place({"whisper": [(english, "cut"), (None, OLD)]}, rivals, every(NEW)) == {
        "whisper": [(english, NEW), (None, NEW)]
    }
    german = (frozenset({"de"}), "new-cut")
    assert in_place({"whisper": [(english, "cut"), (None, OLD)]}, rivals, [german, *every(NEW)]) == {
        "whisper": [(english, NEW), german, (None, NEW)]
    }


def test_a_calibrated_model_is_compared_as_it_hears_each_language(monkeypatch):
    ran = {OLD: "m", "cut": "m", NEW: "other", "lone": "nobody's", "lone too": "nobody's"}
    there = [Choice("whisper", fingerprint, model, "1", "{}", 9) for fingerprint, model in ran.items()]
    english = frozenset({"en"})
    named = {
        "m": ("whisper", [(english, "cut"), (None, OLD)]),
        "other": ("whisper", every(NEW)),
        "nobody's": ("whisper", []),
    }
    monkeypatch.setattr(sides, "choices", lambda lake, name: there)
    monkeypatch.setattr(promote, "choices", lambda lake, name: there)
    monkeypatch.setattr(sides, "ways", lambda lake: named)
    lake = SimpleNamespace(root="L")
    model = side_of(lake, "m")
    assert (str(model), model.entries) == (
        f"m (en: cut, every other: {OLD})",
        [(english, "cut"), (None, OLD)],
    )
    assert model.promoting == "extract-signals --lake L --extractor whisper --model m --promote"
    assert side_of(lake, "cut").entries == every("cut")
    assert side_of(lake, "other").entries == every(NEW)
    assert side_of(lake, "other").promoting == f"profile --lake L --set whisper={NEW}"
    with pytest.raises(UsageError, match="names several fingerprints"):
        side_of(lake, "nobody's")
