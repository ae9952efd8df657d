"""The page of a release, from a lake whose corpus is hostile: read as a browser would."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import job_extractors
import pytest
import soundfile
from html_seen import Seen
from job_extractors import HEARD, AllSpeech, Parrot
from lake_tools import QUIET, says, wav, write_lines

from speechlake.commands import pipeline, report
from speechlake.config import loads
from speechlake.corpora import make_corpus
from speechlake.errors import UsageError
from speechlake.lake import Lake
from speechlake.signals.audio import Audio
from speechlake.signals.plan import wanted_of
from speechlake.splits.policy import Policy

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.slow

POLICY = """
name: page
text: {prefer: [manifest], human_only: [dev, test]}
keep:
  - {rule: decodes, signal: audio.error, is: null}
  - {rule: length, signal: audio.duration_s, between: [0.3, 30]}
  - {rule: error_rate, at_most: {default: 0.5}, min_units: 3}
splits: {scheme: main, salt: 1}
"""
SCRIPT = "<script>alert(1)</script>"
HIDDEN = "the \u202equick brown fox"
# name -> (seconds, speaker, text)
CLIPS = {
    "good": (0.6, '"onerror=x', HEARD),
    "hidden": (0.6, "ann", HIDDEN),
    "script": (0.6, "ann", f"{SCRIPT} jumps over it all"),
    "short": (0.2, "bob", HEARD),
    "gone": (0.6, "cy", HEARD),
}


class Page:
    """The page of a release over one corpus, some of whose audio is no longer there when it is made."""

    def __init__(self, lake: Lake, folder: Path) -> None:
        self.lake, self.file = lake, folder / "page.html"
        for seed, (name, (seconds, _, _)) in enumerate(CLIPS.items()):
            wav(folder / "c" / f"{name}.wav", seed=seed, seconds=seconds)
        write_lines(
            folder / "c" / "m.jsonl",
            *(says(f"{name}.wav", text, speaker=who, lang="en") for name, (_, who, text) in CLIPS.items()),
            b'<img src="http://evil.example/x">\xff\xe2\x80\xae',
        )
        corpus = make_corpus(name="c", sources=(str(folder / "c" / "m.jsonl"),), max_reject=0.5)
        wanted = wanted_of([Audio(), AllSpeech(), Parrot()])
        policy = loads(POLICY, "policy.yaml", Policy)
        assert (
            pipeline.run(
                lake, pipeline.Flow([corpus], wanted, [pipeline.Cut(policy, POLICY, "r1")]), progress=QUIET
            ).outcome
            == "done"
        )
        (folder / "c" / "gone.wav").unlink()
        self.done = self.made()
        self.html = self.file.read_text(encoding="utf-8")
        self.seen = Seen(self.html)

    def made(self, **said: Any) -> report.Report:
        return report.page(self.lake, self.file, **{"release": "r1", "progress": QUIET, **said})


@pytest.fixture(scope="module")
def page(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Page:
    spark.sparkContext.addPyFile(job_extractors.__file__)
    folder = tmp_path_factory.mktemp("page")
    return Page(Lake(spark, folder / "lake"), folder)


@pytest.mark.long
def test_the_page_tells_the_release_and_where_its_hours_went(page):
    row = page.lake.read("releases").collect()[0]
    assert page.done.counts["build_id"] == row.build_id
    for part in (
        "r1",
        row.build_id,
        row.rows_digest,
        "error_rate",
        "length",
        "parrot",
        "16 kHz",
        "3 of 5 clips",
    ):
        assert part in page.seen.text


@pytest.mark.long
def test_foreign_text_is_shown_and_runs_nothing(page):
    assert (page.seen.named("script"), page.seen.handlers(), page.seen.named("img")) == ([], [], [])
    assert "\u202e" not in page.html
    for shown in (SCRIPT, '"onerror=x', "⟨U+202E⟩", '<img src="http://evil.example/x">\\xff⟨U+202E⟩'):
        assert shown in page.seen.text.replace("\n", "")


@pytest.mark.long
def test_the_page_fetches_nothing(page):
    assert page.seen.fetched() == []
    (policy,) = [one["content"] for one in page.seen.named("meta") if one.get("http-equiv")]
    assert (policy or "").startswith("default-src 'none'")


@pytest.mark.long
def test_clips_at_the_margins_are_played_from_the_page_and_a_missing_one_says_so(page):
    played = [audio["src"] or "" for audio in page.seen.named("audio")]
    lengths = {soundfile.info(io.BytesIO(base64.b64decode(one.partition(",")[2]))).duration for one in played}
    assert lengths == {0.2, 0.6}
    assert "No audio: MISSING" in page.seen.text


@pytest.mark.long
def test_the_same_lake_gives_the_same_page(page):
    page.made()
    assert page.file.read_text(encoding="utf-8") == page.html


@pytest.mark.long
def test_a_page_may_be_made_without_examples_and_with_a_price(page):
    page.made(examples=0, price_per_device_hour=2.5)
    seen = Seen(page.file.read_text(encoding="utf-8"))
    assert seen.named("audio") == []
    assert "at 2.5 per device hour" in seen.text


def test_a_lake_without_a_release_has_no_page(lake, tmp_path):
    with pytest.raises(UsageError, match="no release"):
        report.page(lake, tmp_path / "p.html", release=None, progress=QUIET)
    assert not (tmp_path / "p.html").exists()
