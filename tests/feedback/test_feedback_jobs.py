"""Values and answers on their way back: import -> policy -> release, review -> answers -> import -> report."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import job_extractors
import pytest
from job_extractors import HEARD, AllSpeech, Parrot
from lake_tools import QUIET, says, wav, write_lines

from speechlake.commands import build_splits, import_signals, pipeline, report, review
from speechlake.config import loads
from speechlake.corpora import make_corpus
from speechlake.errors import ConfigError, TooManyRejected, UsageError
from speechlake.feedback.current import imported_now
from speechlake.feedback.spec import Import, ValueColumn
from speechlake.feedback.verdicts import ANSWERS
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.signals.audio import Audio
from speechlake.signals.plan import wanted_of
from speechlake.splits.policy import Policy
from speechlake.terminal import console

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.slow, pytest.mark.long]

POLICY = """
name: feedback
text: {prefer: [manifest]}
keep:
  - {rule: length, signal: audio.duration_s, between: [0.3, 30]}
splits: {scheme: main, salt: 1}
"""
LOSS = "  - {rule: loss, signal: imported.asr3.loss, at_most: 2, if_missing: pass}\n"
WITH_LOSS = POLICY.replace("splits:", f"{LOSS}splits:")
# name -> seconds of its noise
CLIPS = {"a1": 0.5, "a2": 0.5, "a3": 0.2, "a4": 0.32}
VALUES = Import("asr3", columns=(ValueColumn("loss", "loss"),))


class Story:
    """A small corpus, measured and released; files to import beside it."""

    def __init__(self, lake: Lake, folder: Path) -> None:
        self.lake, self.folder = lake, folder
        for n, (name, seconds) in enumerate(CLIPS.items()):
            wav(folder / "c" / f"{name}.wav", seed=n, seconds=seconds)
        lines = [says(f"{name}.wav", HEARD, id=name, lang="en", speaker=name) for name in CLIPS]
        manifest = write_lines(folder / "c" / "m.jsonl", *lines)
        corpora = [make_corpus(name="c", sources=(str(manifest),))]
        wanted = wanted_of([Audio(), AllSpeech(), Parrot()])
        flow = pipeline.Flow(corpora, wanted, [pipeline.Cut(loads(POLICY, "p", Policy), POLICY, "r1")])
        pipeline.run(lake, flow, progress=QUIET)
        paths = {row.recording_id: Path(row.path).stem for row in lake.read("recordings").collect()}
        self.ids = {paths[row.recording_id]: row.utterance_id for row in lake.read("utterances").collect()}
        self.names = {key: name for name, key in self.ids.items()}

    def file(self, name: str, *rows: dict[str, Any]) -> Path:
        return write_lines(self.folder / name, *(json.dumps(row).encode() for row in rows))

    def losses(self, name: str, **losses: float | str | None) -> Path:
        return self.file(name, *({"utterance_id": self.ids.get(k, k), "loss": v} for k, v in losses.items()))

    def build(self, release: str, text: str) -> dict[str, str]:
        """{clip: side, or the rule that excludes it} of a new release."""
        policy = loads(text, "policy.yaml", Policy)
        build_splits.run(self.lake, policy, text, release=release, progress=QUIET)
        build = self.lake.read("releases").where(f"release = '{release}'").collect()[0].build_id
        kept = self.lake.read("splits").where(f"build_id = '{build}'").collect()
        gone = self.lake.read("decisions").where(f"build_id = '{build}'").collect()
        ends = {row.utterance_id: row.split for row in kept} | {row.utterance_id: row.rule for row in gone}
        return {self.names[key]: end for key, end in ends.items()}

    def texts(self, source: str) -> dict[str, tuple[str, bool]]:
        """{clip: (text, retired)} of a source."""
        rows = self.lake.read("transcripts").where(f"source = '{source}'").collect()
        return {self.names[row.utterance_id]: (row.text, row.retired_in is not None) for row in rows}


def bring(story: Story, spec: Import, path: Path, **said: Any) -> Report:
    return import_signals.run(story.lake, spec, str(path), progress=QUIET, **said)


@pytest.fixture(scope="module")
def story(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Story:
    spark.sparkContext.addPyFile(job_extractors.__file__)
    folder = tmp_path_factory.mktemp("feedback")
    return Story(Lake(spark, folder / "lake"), folder)


def test_imported_losses_and_texts_change_a_release_and_run_again_change_nothing(story):
    losses = story.losses("losses.jsonl", a1=0.5, a2=3.0, a3=1.0)
    texts = story.file("fixed.jsonl", {"utterance_id": story.ids["a1"], "said": "a1 as said"})
    spec = Import("fixed", text="said", kind="human")
    with pytest.raises(ConfigError, match="never imported"):
        story.build("r2", WITH_LOSS)
    done = bring(story, VALUES, losses)
    assert (done.outcome, done.counts["values_written"]) == ("done", 3)
    assert bring(story, spec, texts).counts["texts_written"] == 1
    before = story.lake.versions()
    assert bring(story, spec, texts).outcome == "nothing to do"
    assert bring(story, VALUES, losses).outcome == "nothing to do"
    assert story.lake.versions() == before
    text = WITH_LOSS.replace("[manifest]", "['import:fixed', manifest]")
    assert story.build("r2", text) == {"a1": "train", "a2": "loss", "a3": "length", "a4": "train"}
    build = story.lake.read("releases").where("release = 'r2'").collect()[0].build_id
    rows = story.lake.read("splits").where(f"build_id = '{build}'").collect()
    assert {
        story.names[row.utterance_id]: (row.text, row.text_source, sorted(row.fingerprints)) for row in rows
    } == {
        "a1": ("a1 as said", "import:fixed", ["audio", "imported_asr3__loss"]),
        "a4": (HEARD, "manifest", ["audio"]),
    }


def test_the_values_imported_last_are_current_and_those_before_stay(story):
    def losses() -> dict[str, float]:
        rows = imported_now(story.lake).where("name = 'asr4.loss'").collect()
        return {story.names[row.utterance_id]: row.number for row in rows}

    spec = replace(VALUES, name="asr4")
    first, second = story.losses("v1.jsonl", a1=0.5, a2=3.0), story.losses("v2.jsonl", a1=5.0)
    bring(story, spec, first)
    bring(story, spec, second)
    assert losses() == {"a1": 5.0}
    bring(story, spec, first)
    assert losses() == {"a1": 0.5, "a2": 3.0}
    assert story.lake.read("signals_imported").where("name = 'asr4.loss'").count() == 3


def test_rows_that_cannot_be_taken_are_counted_and_listed_and_too_many_refuse_the_import(story):
    spec = Import("doubtful", columns=(ValueColumn("loss", "loss"),))
    source = story.losses("doubtful.jsonl", a1=1.0, nobody=2.0, a2="high", a3=None)
    refused = bring(story, spec, source)
    assert isinstance(refused.refusal, TooManyRejected)
    assert "2 of 4 rows are refused (1 BAD_TYPE, 1 UNKNOWN_UTTERANCE)" in str(refused.refusal)
    assert "import_refusals where name" in str(refused.next_step)
    listed = story.lake.read("import_refusals").where("name = 'doubtful'").collect()
    assert sorted((row.given, row.reason, row.times) for row in listed) == sorted(
        [("nobody", "UNKNOWN_UTTERANCE", 1), (story.ids["a2"], "BAD_TYPE", 1)]
    )
    assert story.lake.read("signals_imported").where("name = 'doubtful.loss'").isEmpty()
    taken = bring(story, spec, source, max_reject=0.5)
    assert taken.refusal is None
    assert (taken.counts["accepted"], taken.counts["values_written"]) == (2, 1)


def test_an_import_without_a_value_leaves_what_was_imported_before(story):
    spec = replace(VALUES, name="asr5", columns=(ValueColumn("loss", "loss", "number"),))
    bring(story, spec, story.losses("some.jsonl", a1=1.0))
    refused = bring(story, spec, story.losses("none.jsonl", a1=None))
    assert "none of 1 rows has a value" in str(refused.refusal)
    # Nothing was refused that somebody could look at.
    assert refused.next_step is None
    assert imported_now(story.lake).where("name = 'asr5.loss'").count() == 1


def test_parquet_and_delta_are_sources_too_and_their_columns_are_looked_at(story, spark):
    data = [(story.ids["a1"], 1, "x"), (story.ids["a2"], 2, "y")]
    frame = spark.createDataFrame(data, "utterance_id string, rank int, note string")
    frame.write.parquet(str(story.folder / "table.parquet"))
    frame.write.format("delta").save(str(story.folder / "delta"))
    spec = Import("ranks", columns=(ValueColumn("rank", "rank"), ValueColumn("note", "note", "string")))
    assert bring(story, spec, story.folder / "table.parquet").counts["values_written"] == 4
    assert bring(story, spec, story.folder / "delta").counts["values_written"] == 4
    with pytest.raises(UsageError, match="Did you mean 'rank'"):
        bring(story, Import("ranks", columns=(ValueColumn("rang", "rang"),)), story.folder / "delta")
    with pytest.raises(UsageError, match="column 'note' is string, --column asks for number"):
        bring(story, Import("r", columns=(ValueColumn("note", "note", "number"),)), story.folder / "delta")


def test_the_next_version_of_imported_texts_replaces_the_last(story):
    spec = Import("again", text="said", kind="human")
    both = [{"utterance_id": story.ids[name], "said": f"{name} as said"} for name in ("a1", "a2")]
    bring(story, spec, story.file("again1.jsonl", *both))
    assert story.texts("import:again") == {"a1": ("a1 as said", False), "a2": ("a2 as said", False)}
    done = bring(story, spec, story.file("again2.jsonl", both[0]))
    assert (done.counts["texts_written"], done.counts["texts_retired"]) == (0, 1)
    assert story.texts("import:again") == {"a1": ("a1 as said", False), "a2": ("a2 as said", True)}
    done = bring(story, spec, story.file("again1.jsonl", *both))
    assert (done.counts["texts_written"], done.counts["texts_changed"]) == (0, 1)
    assert story.texts("import:again")["a2"] == ("a2 as said", False)


class Cards(HTMLParser):
    """What the cards of a page hold for its script."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.cards: list[dict[str, str]] = []
        self.players = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        if tag == "article":
            self.cards.append(
                {k.removeprefix("data-"): str(v) for k, v in said.items() if k.startswith("data-")}
            )
        self.players += tag == "audio"


def seen_in(page: Path) -> str:
    """The text of a page, tags parting words."""
    return re.sub("<[^>]*>", " ", page.read_text(encoding="utf-8"))


def test_a_review_comes_back_as_the_precision_of_its_rule(story):
    page = story.folder / "review.html"
    policy = loads(POLICY, "p", Policy)
    done = review.run(story.lake, policy, "release r1", rule="length", html=str(page), progress=QUIET)
    # a4 is kept at the margin of 0.3 s, a3 is removed far from it.
    assert (done.counts["utterances"], done.counts["removed"], done.counts["at_margin"]) == (4, 1, 1)
    found = Cards(page.read_text())
    assert found.players == 4
    said = {"a1": "good", "a2": "bad_text", "a3": "bad_audio", "a4": "skip"}
    answers = [
        {**card, "population": int(card["population"]), "verdict": said[story.names[card["utterance_id"]]]}
        | {"rule": "length", "reviewer": None, "at": "2026-11-24T12:00:00.000Z"}
        for card in found.cards
    ]
    spec = Import("review_length", columns=ANSWERS)
    assert bring(story, spec, story.file("answers.jsonl", *answers)).counts["accepted"] == 4
    out = io.StringIO()
    report.run(story.lake, release=None, out=console(out))
    (line,) = [line.split() for line in out.getvalue().splitlines() if line.strip().startswith("length")][-1:]
    # One removed clip, which is bad; of two kept ones that were heard, one is.
    assert line[:7] == ["length", "3", "1", "100.0%", "20.7%", "100.0%", "2"]
    assert line[7] == "50.0%"
    written = story.folder / "release.html"
    report.page(story.lake, written, release="r1", examples=0, progress=QUIET)
    assert (
        " ".join(seen_in(written).split()).count("100 % 20.7 % – 100 % 1 heard of kept 50.0 % bad, 2 heard")
        == 1
    )


def test_a_rule_that_the_policy_does_not_have_is_refused_with_the_nearest(story):
    with pytest.raises(UsageError, match="Did you mean 'length'"):
        review.run(
            story.lake,
            loads(POLICY, "p", Policy),
            "r1",
            rule="lenght",
            html=str(story.folder / "x.html"),
            progress=QUIET,
        )
