"""Which jobs the pipeline runs over what, and which releases it is asked for. Without Spark."""

from __future__ import annotations

import argparse
import json
import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lake_tools import QUIET

from speechlake import cli
from speechlake.commands import (
    build_splits,
    diff_releases,
    extract_signals,
    find_duplicates,
    ingest_manifests,
    pipeline,
    report,
    score_transcripts,
    segment_recordings,
)
from speechlake.commands.pipeline import Cut, Flow
from speechlake.corpora import Corpus, load_corpora, make_corpus
from speechlake.errors import ChunkFailed, ConfigError, LeakFound, NoStore, SpeechlakeError, UsageError
from speechlake.job import Report
from speechlake.splits import reuse

NOWHERE: Any = None


def test_only_corpora_that_ask_for_it_are_segmented() -> None:
    corpora = [
        make_corpus(name="clips", sources=["x"]),
        make_corpus(name="meetings", sources=["y"], segment=True),
    ]
    calls = [(name, corpus) for name, corpus, _ in pipeline._calls(NOWHERE, Flow(corpora, []), QUIET)]
    assert calls == [
        ("ingest-manifests", "clips"),
        ("ingest-manifests", "meetings"),
        ("segment-recordings", "meetings"),
        ("extract-signals", "clips"),
        ("extract-signals", "meetings"),
        ("score-transcripts", "clips"),
        ("score-transcripts", "meetings"),
        ("find-duplicates", None),
    ]


@pytest.mark.parametrize(
    ("said", "flags"),
    [
        (True, []),
        ({}, []),
        ({"longer_than_s": 60, "min_s": 1, "max_s": 20}, ["--longer-than", "60", "--min-s", "1", "--max-s", "20"]),
        ({"max_s": 20.5, "discard_text": True}, ["--max-s", "20.5", "--discard-text"]),
    ],
)  # fmt: skip
def test_recordings_are_cut_as_the_flags_of_the_same_names_cut_them(
    monkeypatch: pytest.MonkeyPatch, said: Any, flags: list[str]
) -> None:
    asked: list[tuple[Any, bool]] = []

    def run(_: Any, how: Any, *, discard_text: bool, **__: Any) -> None:
        asked.append((how, discard_text))

    monkeypatch.setattr(segment_recordings, "run", run)
    flow = Flow([make_corpus(name="meetings", sources=["y"], segment=said)], [], until="segment-recordings")
    for name, _, call in pipeline._calls(NOWHERE, flow, QUIET):
        if name == segment_recordings.NAME:
            call()
    by_hand = segment_recordings.arguments().parse_args(["--lake", "x", *flags])
    assert asked == [(segment_recordings.segmenter_of(by_hand), by_hand.discard_text)]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("yes", "segment: expected true, false, or keys with values"),
        ({"min": 1}, "segment: unknown key 'min'; did you mean 'min_s'?"),
        ({"min_s": "1"}, "segment.min_s: expected a number, found '1'"),
        ({"max_s": 40}, "segment: --min-s 2, --max-s 40 and --longer-than 30 contradict each other"),
    ],
)
def test_a_cut_that_is_not_understood_or_cannot_be_is_refused(tmp_path: Path, said: Any, told: str) -> None:
    corpora = tmp_path / "corpora.yaml"
    corpora.write_text(json.dumps({"corpora": [{"name": "m", "sources": ["x"], "segment": said}]}))
    with pytest.raises(ConfigError, match=re.escape(told)):
        load_corpora(corpora)


def test_every_release_that_is_asked_for_is_cut_with_its_own_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    cut: list[tuple[Any, str, str]] = []

    def run(_: Any, policy: Any, text: str, *, release: str, **__: Any) -> None:
        cut.append((policy, text, release))

    monkeypatch.setattr(build_splits, "run", run)
    loose: Any = "loose"
    strict: Any = "strict"
    flow = Flow([], [], [Cut(loose, "a: 1", "r1"), Cut(strict, "b: 2", "r2")])
    for name, _, call in pipeline._calls(NOWHERE, flow, QUIET):
        if name == build_splits.NAME:
            call()
    assert cut == [("loose", "a: 1", "r1"), ("strict", "b: 2", "r2")]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (["--policy", "p.yaml"], "--policy and --release are needed"),
        (["--policy", "p.yaml", "--policy", "q.yaml", "--release", "r1"], "2 --policy for 1 --release"),
        (
            ["--policy", "p.yaml", "--policy", "q.yaml", "--release", "r1", "--release", "r1"],
            "--release r1 is given more than once",
        ),
        (["--policy", "p.yaml", "--release", "r 1"], "--release 'r 1': expected 1-64 letters"),
    ],
    ids=["no name", "one name for two", "one name twice", "no name at all"],
)
def test_each_release_needs_a_policy_and_a_name_of_its_own(
    tmp_path: Path, said: list[str], told: str
) -> None:
    corpora = tmp_path / "corpora.yaml"
    corpora.write_text("corpora:\n  - {name: clips, sources: [x]}\n")
    parsed = pipeline.arguments().parse_args(["--lake", "x", "--corpora", str(corpora), *said])
    with pytest.raises(UsageError, match=told):
        pipeline.flow_of(parsed)


def test_a_policy_from_a_pipe_is_published_with_its_text(tmp_path: Path) -> None:
    corpora = tmp_path / "corpora.yaml"
    corpora.write_text("corpora:\n  - {name: clips, sources: [x]}\n")
    text = "name: n\nsplits: {scheme: main, salt: 1}\n"
    reading, writing = os.pipe()
    with open(reading):
        with open(writing, "w", encoding="utf-8") as written:
            written.write(text)
        said = ["--extractor", "audio", "--policy", f"/dev/fd/{reading}", "--release", "r1"]
        parsed = pipeline.arguments().parse_args(["--lake", "x", "--corpora", str(corpora), *said])
        (cut,) = pipeline.flow_of(parsed).cuts
    assert (cut.policy.name, cut.policy_text, cut.release) == ("n", text, "r1")


def test_a_policy_that_is_refused_keeps_no_other_from_its_release(monkeypatch: pytest.MonkeyPatch) -> None:
    cut: list[str] = []

    def run(_: Any, __: Any, ___: str, *, release: str, **____: Any) -> Report:
        cut.append(release)
        assert len(reuse._REUSE.get().waiting) == 2  # type: ignore[union-attr]
        if release == "r1":
            raise LeakFound("leaks")
        return Report(build_splits.NAME)

    monkeypatch.setattr(build_splits, "run", run)
    monkeypatch.setattr(find_duplicates, "run", lambda *_, **__: Report(find_duplicates.NAME))
    policy: Any = "any"
    flow = Flow([], [], [Cut(policy, "", "r1"), Cut(policy, "", "r2")])
    lake: Any = SimpleNamespace(root="lake")
    done = pipeline.run(lake, flow, progress=QUIET)
    assert cut == ["r1", "r2"]
    assert done.next_step == cli.command("report", "--lake", "lake", "--release", "r1")
    assert done.refusal is not None
    assert (done.refusal.exit_code, done.refusal.message) == (3, "leaks")


def test_build_splits_cuts_each_policy_whatever_is_refused_of_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiting: list[int] = []

    def run(_: Any, policy: Any, text: str, *, release: str, **__: Any) -> Report:
        waiting.append(len(reuse._REUSE.get().waiting))  # type: ignore[union-attr]
        if "leak" in text:
            raise LeakFound("leaks")
        return Report(build_splits.NAME, "done", release, {"train": len(text)}, f"report {release}")

    monkeypatch.setattr(build_splits, "run", run)
    policy: Any = "any"
    lake: Any = SimpleNamespace(root="lake")
    cuts = [Cut(policy, "leak", "r1"), Cut(policy, "bc", "r2"), Cut(policy, "def", "r3")]
    done = build_splits.run_all(lake, cuts, progress=QUIET)
    assert waiting == [3, 3, 3]
    assert (done.outcome, done.more) == ("done", {"refused": ["r1"]})
    assert done.counts == {"r2": {"train": 2}, "r3": {"train": 3}}
    assert done.next_step == cli.command("diff-releases", "--lake", "lake", "r2", "r3")
    assert done.refusal is not None
    assert done.refusal.message == "leaks"
    assert build_splits.run_all(lake, cuts[:2], progress=QUIET).next_step == "report r2"
    none = build_splits.run_all(lake, [cuts[0], Cut(policy, "leak", "r4")], progress=QUIET)
    assert (none.outcome, none.next_step, none.more) == ("refused", None, {"refused": ["r1", "r4"]})


def test_one_policy_of_build_splits_has_a_report_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Report(build_splits.NAME, "done", "run", {"train": 1}, "next")
    monkeypatch.setattr(build_splits, "run", lambda *_, **__: told)
    policy: Any = "any"
    lake: Any = SimpleNamespace(root="lake")
    assert build_splits.run_all(lake, [Cut(policy, "a", "r1")], progress=QUIET) is told


def test_a_corpus_whose_source_is_gone_keeps_no_other_from_being_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[str] = []

    def run(_: Any, corpus: Corpus, **__: Any) -> Report:
        taken.append(corpus.name)
        if corpus.name == "gone":
            raise UsageError("there is no such folder")
        return Report(ingest_manifests.NAME)

    monkeypatch.setattr(ingest_manifests, "run", run)
    corpora = [make_corpus(name=name, sources=["x"]) for name in ("gone", "there")]
    lake: Any = SimpleNamespace(root="lake")
    done = pipeline.run(lake, Flow(corpora, [], until="ingest-manifests"), progress=QUIET)
    assert taken == ["gone", "there"]
    assert done.counts["refused"] == ["gone"]
    assert done.refusal is not None
    assert done.refusal.exit_code == 2


def test_a_corpus_whose_clips_nearly_all_fail_keeps_no_other_from_being_scored_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[tuple[str, str | None]] = []

    def job(module: Any, errors: dict[str, SpeechlakeError]) -> None:
        def run(_: Any, *__: Any, corpus: str | None = None, **___: Any) -> Report:
            taken.append((module.NAME, corpus))
            if corpus in errors:
                raise errors[corpus]
            return Report(module.NAME)

        monkeypatch.setattr(module, "run", run)

    job(ingest_manifests, {})
    job(extract_signals, {"a": UsageError("no root"), "b": ChunkFailed("out of memory")})
    for module in (score_transcripts, find_duplicates, build_splits):
        job(module, {})
    corpora = [make_corpus(name=name, sources=["x"]) for name in "abc"]
    policy: Any = "any"
    lake: Any = SimpleNamespace(root="lake")
    done = pipeline.run(lake, Flow(corpora, [], [Cut(policy, "", "r1")]), progress=QUIET)
    assert taken[3:] == [
        *(("extract-signals", name) for name in "abc"),
        ("score-transcripts", "c"),
        ("find-duplicates", None),
    ]
    assert done.counts["refused"] == ["a", "b"]
    assert done.refusal is not None
    assert done.refusal.exit_code == 5


def test_a_store_of_manifests_that_does_not_answer_is_one_corpuss_and_the_lakes_is_alls() -> None:
    def silent() -> Report:
        raise NoStore("nobody answers")

    assert isinstance(pipeline._ended(ingest_manifests.NAME, silent).refusal, NoStore)
    with pytest.raises(NoStore):
        pipeline._ended(extract_signals.NAME, silent)


@pytest.mark.parametrize("outcome", ["done", "nothing to do"])
def test_a_row_that_moved_between_two_releases_is_how_the_pipeline_ends_whenever_it_is_asked(
    monkeypatch: pytest.MonkeyPatch, outcome: str
) -> None:
    policy: Any = "any"
    flow = Flow([], [], [Cut(policy, "", "r1"), Cut(policy, "", "r2")])
    moved = Report(diff_releases.NAME, refusal=LeakFound("1 rows moved"))
    monkeypatch.setattr(extract_signals, "wanted_of", lambda *_: [])
    monkeypatch.setattr(pipeline, "run", lambda *_, **__: Report(pipeline.NAME, outcome))
    monkeypatch.setattr(report, "run", lambda *_, **__: None)
    monkeypatch.setattr(pipeline, "ways_on", lambda *_: [])
    monkeypatch.setattr(diff_releases, "run", lambda *_, **__: moved)
    lake: Any = SimpleNamespace(root="lake")
    assert (
        pipeline._call(lake, argparse.Namespace(flow=flow, corpora="corpora.yaml")).refusal is moved.refusal
    )


def test_where_every_corpus_is_refused_nothing_is_made_of_the_lake(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: Any, **__: Any) -> Report:
        raise UsageError("there is no such folder")

    monkeypatch.setattr(ingest_manifests, "run", run)
    lake: Any = SimpleNamespace(root="lake")
    # find-duplicates would fail: there is no lake.
    done = pipeline.run(lake, Flow([make_corpus(name="a", sources=["x"])], []), progress=QUIET)
    assert done.counts == {"jobs": 1, "refused": ["a"]}
    assert done.refusal is not None
    assert done.refusal.exit_code == 2


def test_cut_short_it_goes_on_with_what_its_last_job_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        ingest_manifests, "run", lambda *_, **__: Report("ingest-manifests", next_step="measure")
    )
    flow = Flow([make_corpus(name="clips", sources=["x"])], [], until="ingest-manifests")
    lake: Any = SimpleNamespace(root="lake")
    assert pipeline.run(lake, flow, progress=QUIET).next_step == "measure"
