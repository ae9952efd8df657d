"""Texts by which a release evaluated stay out of train in later ones of its scheme, whatever became of their rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lake_tools import QUIET, ingest, says, wav, write_lines
from splits_tables import candidate, candidates, policy, unassigned

from speechlake.commands import build_splits, extract_signals, verify_release
from speechlake.lake import Lake
from speechlake.signals.audio import Audio
from speechlake.signals.plan import wanted_of
from speechlake.splits.build import build
from speechlake.splits.gate import Asked, leaks
from speechlake.splits.policy import read_policy
from speechlake.splits.recall import evaluated_texts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.slow

POLICY = policy(
    text={"prefer": ["manifest"]},
    links={"text": {"mode": "exclude_from_train", "max_evicted_share": 1.0}},
)
ROWS = [
    candidate("says it", text="Nobody evaluates by this any more!"),
    candidate("says too little", text="two words"),
    candidate("says what is prompted", text="please say this after the tone"),
    candidate("prompts too", corpus="p", text_tags=["prompts"], text="nobody evaluates by this any more"),
    candidate("other", text="nobody else has ever said anything like it"),
]


@pytest.fixture
def before(spark: SparkSession) -> DataFrame:
    rows = [
        ("gone", "nobody evaluates by this any more", False),
        ("gone too", "two words", False),
        ("prompt", "please say this after the tone", True),
    ]
    return spark.createDataFrame(rows, "utterance_id string, text string, prompts boolean")


def test_train_gives_way_to_texts_that_were_published_to_evaluate(spark, before):
    built = build(candidates(spark, *ROWS), POLICY, unassigned(spark), evaluated_texts=before)
    out = {row["utterance_id"]: (row["rule"], row["value"]) for row in built.decisions.collect()}
    assert out == {"says it": ("text_in_evaluation", "gone")}


def test_the_gate_finds_them_in_train(spark, before):
    written = spark.createDataFrame(
        [(row["utterance_id"], "train", row["text"], row["content_sha256"]) for row in ROWS],
        "utterance_id string, split string, text string, content_sha256 string",
    )
    asked, frame = Asked.by(POLICY), candidates(spark, *ROWS)
    found = leaks(written, frame, unassigned(spark), asked, evaluated_texts=before).collect()
    assert {(row["kind"], row["value"]) for row in found} == {("text", "says it")}
    assert leaks(written, frame, unassigned(spark), asked).collect() == []


RELEASED = """
name: earlier
text: {prefer: [manifest]}
links: {text: {mode: exclude_from_train, max_evicted_share: 1.0}}
splits: {scheme: main, salt: 3}
"""
NUMBERS = ("alpha", "bravo", "charlie", "delta")
TEXTS = {f"u{n}": f"one two three and clip {word}" for n, word in enumerate(NUMBERS)}
# u0 is gone, u1 was corrected, and others say what these said.
LATER = {
    **{name: text for name, text in TEXTS.items() if name != "u0"},
    "u1": "quite another text than before",
    "says u0": TEXTS["u0"],
    "says u1": TEXTS["u1"],
    "says u1 now": "quite another text than before",
    "says u9 later": "what somebody evaluates by in the end",
}


class Told:
    """A lake of clips, told from time to time what they say."""

    def __init__(self, lake: Lake, folder: Path) -> None:
        self.lake, self.folder = lake, folder
        for n, name in enumerate(sorted({*TEXTS, *LATER, "u9"})):
            wav(folder / "audio" / f"{name}.wav", seed=n, seconds=0.5)

    def say(self, texts: dict[str, str]) -> None:
        lines = [says(f"{name}.wav", text, id=name, speaker=name, lang="en") for name, text in texts.items()]
        manifest = write_lines(self.folder / "m.jsonl", *lines)
        ingest(self.lake, manifest, roots={"audio": str(self.folder / "audio")}, relative_to="root")
        extract_signals.run(self.lake, wanted_of([Audio()]), corpus=None, progress=QUIET)

    def release(self, name: str, *listed: str) -> str:
        """Publish with a test set by list; the build."""
        (self.folder / "test.txt").write_text("".join(f"{each}\n" for each in listed))
        file = self.folder / f"{name}.yaml"
        lists = "lists: {test: test.txt, max_evicted_share: 1.0}\n" if listed else ""
        file.write_text(RELEASED + lists)
        asked, text = read_policy(file)
        build_splits.run(self.lake, asked, text, release=name, progress=QUIET)
        return self.lake.read("releases").where(f"release = '{name}'").collect()[0].build_id

    def ends(self, build: str) -> dict[str, str]:
        """Clip -> side, or why it is out."""
        ids = {row.utterance_id: row.source_id for row in self.lake.read("utterances").collect()}
        return {
            ids[row.utterance_id]: row[column]
            for table, column in (("splits", "split"), ("decisions", "rule"))
            for row in self.lake.read(table).where(f"build_id = '{build}'").collect()
        }


@pytest.mark.long
def test_texts_of_rows_that_are_retired_or_corrected_stay_out_of_train(spark, tmp_path):
    told = Told(Lake(spark, tmp_path / "lake"), tmp_path)
    told.say(TEXTS)
    told.release("r1", "u0", "u1")
    told.say(LATER)
    second = told.release("r2", "u1")
    assert told.ends(second) == {
        "u0": "not_in_manifest",
        "u1": "test",
        **dict.fromkeys(("u2", "u3", "says u9 later"), "train"),
        **dict.fromkeys(("says u0", "says u1", "says u1 now"), "text_in_evaluation"),
    }
    told.say({**LATER, "u9": LATER["says u9 later"]})
    assert told.ends(told.release("r3", "u1", "u9"))["says u9 later"] == "text_in_evaluation"
    # What a later release evaluates by is no leak of an earlier one.
    assert verify_release.run(told.lake, "r2", sample=0).refusal is None
    known = {row.text for row in evaluated_texts(told.lake, "main", until=second).collect()}
    assert known == {TEXTS["u0"], TEXTS["u1"], LATER["u1"]}
