"""What releases of a scheme promise one another, whatever is delivered, corrected, retired or back between them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from splits_tables import assigned, candidates, drawn_examples, policy
from world import VOICES, Release, World, book

from speechlake.splits.build import build
from speechlake.splits.gate import Asked, leaks
from speechlake.splits.policy import Policy

MODES = (None, "together", "exclude_from_train")
LINKS: dict[str, Callable[[dict[str, Any]], Any]] = {"session": lambda row: row["session_id"], "book": book}


def drawn_policy(rng: random.Random) -> tuple[Policy, dict[str, str | None]]:
    """A policy of two evaluation sides and lists, and how it links sessions and books."""
    modes = {name: rng.choice(MODES) for name in LINKS}
    session, named = (
        mode and ({"mode": mode} | ({} if mode == "together" else {"max_evicted_share": 1.0}))
        for mode in modes.values()
    )
    links: dict[str, Any] = {"text": {"mode": "exclude_from_train", "max_evicted_share": 1.0}}
    links |= {"session": session} if session else {}
    links |= {"columns": {"extras.book": named}} if named else {}
    shortest = rng.choice([0.4, 2.5])
    said = policy(
        text={"prefer": ["manifest"]},
        keep=[
            {"rule": "length", "signal": "audio.duration_s", "between": [shortest, 30]},
            {"rule": "clean", "signal": "audio.clipped_ratio", "at_most": 0.1, "on": "train"},
        ],
        splits={"test": {"hours": 9, "max_share": 0.3}, "dev": {"hours": 9, "max_share": 0.2}},
        links=links,
        duplicates={"kinds": rng.choice([["exact"], ["exact", "near"], ["exact", "near", "contained"]])},
        decontaminate={"max_evicted_share": 1.0},
        lists={side: {"file": f"{side}.txt", "sha256": "0"} for side in ("dev", "test")}
        | {"max_evicted_share": 1.0},
    )
    return said, modes


class Scheme:
    """What the releases of a scheme said so far, as the next one is told, and as they are asked for here."""

    def __init__(self, spark: Any) -> None:
        self.spark = spark
        self.keys: dict[str, str] = {}
        self.texts: set[tuple[str, str]] = set()
        self.sides: dict[str, str] = {}
        self.heard: dict[int, str] = {}

    def evaluated_texts(self) -> Any:
        """Texts of all rows that ever evaluated; None before there are some."""
        rows = [(*said, False) for said in sorted(self.texts)]
        return (
            self.spark.createDataFrame(rows, "utterance_id string, text string, prompts boolean")
            if rows
            else None
        )

    def released(self, world: World, said: Policy, modes: dict[str, str | None]) -> Iterator[Any]:
        """Publish what `said` makes of `world`; every promise that is not kept."""
        rows = world.rows()
        frame, known, before = (
            candidates(self.spark, *rows),
            assigned(self.spark, self.keys),
            self.evaluated_texts(),
        )
        result = build(frame, said, known, evaluated_texts=before)
        release = Release(
            {row["utterance_id"]: row["split"] for row in result.splits.collect()},
            {row["utterance_id"]: row for row in rows},
        )
        excluded = [row["utterance_id"] for row in result.decisions.collect()]
        if sorted([*release.sides, *excluded]) != sorted(release.rows):
            yield "some rows have no side and no reason, or two"
        yield from result.refusals.collect()
        yield from leaks(
            result.splits, frame, known, Asked.by(said), result.listed, evaluated_texts=before
        ).collect()
        yield from self._moved(world, release)
        self.texts |= {(row["utterance_id"], row["text"]) for row in release.evaluating}
        yield from self._in_train(world, release)
        yield from on_two_sides(release, modes)
        yield from evaluates_unnamed(release)
        for row in result.assignments.collect():
            if self.keys.setdefault(row["link_key"], row["side"]) != row["side"]:
                yield "key with another side", row
        world.published |= release.sides.keys()

    def _moved(self, world: World, release: Release) -> Iterator[Any]:
        """Rows and clips that were on another side of this release or an earlier one; boilerplate may be."""
        for line in world.lines:
            side = release.sides.get(line.name)
            if side and self.sides.setdefault(line.name, side) != side:
                yield "row moved", line, side
            for clip in line.clips - world.boilerplate:
                if side and self.heard.setdefault(clip, side) != side:
                    yield "clip on another side", clip, line, side

    def _in_train(self, world: World, release: Release) -> Iterator[Any]:
        """Clips of evaluation corpora that are kept, and texts in train by which they, or a release, evaluate."""
        current = [line for line in world.lines if not line.is_retired]
        bench = [line for line in current if line.row["corpus"] in world.evaluation_corpora]
        clips = {clip for line in bench for clip in line.clips} - world.boilerplate
        for line in world.lines:
            if line.name in release.sides and line.clips & clips:
                yield "in an evaluation corpus", line
        # A jingle of an evaluation corpus is nobody's text.
        own = (release.rows[line.name] for line in bench)
        texts = {row["text"] for row in own if row["duplicate_kind"] != "boilerplate"}
        texts |= {text for _, text in self.texts}
        for name, side in release.sides.items():
            if side == "train" and release.rows[name]["text"] in texts:
                yield "text in train", name


def on_two_sides(release: Release, modes: dict[str, str | None]) -> Iterator[Any]:
    """Speakers, recordings, sessions and books of a release that are kept on one side, or out of train, and are not."""
    for speaker, sides in release.on(release.voice).items():
        kept = (release.rows[name] for name in release.sides)
        corpora = {row["corpus"] for row in kept if release.voice(row) == speaker}
        # Who is a corpus's only voice, and is kept of no other, may be on all sides of it.
        if len(sides) > 1 and not (len(corpora) == 1 and corpora < VOICES.keys()):
            yield "speaker", speaker, sides
    linked = {"recording": lambda row: row["recording_id"], **LINKS}
    for name, value in linked.items():
        mode = "together" if name == "recording" else modes[name]
        for shared, sides in release.on(value).items():
            if len(sides) > 1 and (mode == "together" or (mode == "exclude_from_train" and "train" in sides)):
                yield name, shared, sides


def evaluates_unnamed(release: Release) -> Iterator[Any]:
    """Rows that evaluate without a speaker, which only a list may say, and jingles that do."""
    for row in release.evaluating:
        if not (row["speaker_id"] or row["single_speaker"] or row["listed"]):
            yield "nobody evaluates", row
        if row["duplicate_kind"] == "boilerplate":
            yield "a jingle evaluates", row


def broken(spark: Any, seed: int, releases: int, delivered: int) -> list[Any]:
    """Every promise that is not kept of `releases`, one after the other, each with `delivered` rows more."""
    rng = random.Random(seed)
    world, scheme = World(rng, clips=3 * delivered), Scheme(spark)
    found: list[Any] = []
    for _ in range(releases):
        world.correct(0.35)
        world.deliver(delivered)
        found += scheme.released(world, *drawn_policy(rng))
    return found


@pytest.mark.slow
def test_two_releases_keep_their_promises(spark):
    assert broken(spark, 3, releases=2, delivered=120) == []


@pytest.mark.long
@drawn_examples(10)
@given(seed=st.integers(0, 10**9))
def test_many_releases_keep_their_promises(spark, seed):
    assert broken(spark, seed, releases=4, delivered=90) == []
