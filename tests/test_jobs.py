"""The jobs by their `run()`, on one tiny lake: two corpora of noise through the pipeline, and what follows."""

from __future__ import annotations

import io
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import job_extractors
import pytest
from job_extractors import HEARD, AllSpeech, Parrot
from lake_tools import QUIET, says, wav, write_lines

from speechlake import cli, job
from speechlake.commands import (
    build_splits,
    explain,
    find_duplicates,
    pipeline,
    report,
    score_transcripts,
    simulate,
)
from speechlake.config import loads
from speechlake.corpora import make_corpus
from speechlake.errors import LeakFound, TooManyRejected, UsageError
from speechlake.job import Report
from speechlake.lake import Lake
from speechlake.progress import Progress
from speechlake.schemas import DECISIONS, RELEASES
from speechlake.signals.audio import Audio
from speechlake.signals.plan import wanted_of
from speechlake.splits.policy import Policy
from speechlake.staging import VERSION, WRITTEN_BY, Stage
from speechlake.terminal import console

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.slow

POLICY = """
name: jobs
text: {prefer: [manifest], human_only: [dev, test]}
keep:
  - {rule: decodes, signal: audio.error, is: null}
  - {rule: is_speech, signal: speech.speech_ratio, at_least: 0.5}
  - {rule: error_rate, at_most: {default: 0.5}, min_units: 3, on: [train, test]}
duplicates: {kinds: [exact], keep: [text_kind, duration]}
splits: {scheme: main, salt: 1, test: {hours: 1, max_share: 0.5}}
"""
WRONG = "something else entirely"
# name -> (seed of its noise, speaker, text)
A = {
    "a1": (1, "ann", HEARD), "a2": (2, "ann", HEARD), "a3": (3, "bob", HEARD),
    "a4": (4, "cy", HEARD), "a5": (5, "di", WRONG),
}  # fmt: skip
B = {"b1": (1, "eve", HEARD), "b2": (6, "flo", HEARD)}  # b1 is a copy of a1


class Story:
    """A pipeline over corpus a, whose manifest is good, and b, whose manifest is mended before the second run."""

    def __init__(self, lake: Lake, folder: Path) -> None:
        self.lake, self.folder = lake, folder
        self.told = io.StringIO()
        for corpus, clips in (("a", A), ("b", B)):
            for name, (seed, _, _) in clips.items():
                wav(folder / corpus / f"{name}.wav", seed=seed, seconds=0.5)
        self.write("a", A)
        self.refused = self.run(broken=True)
        self.versions_refused = lake.versions()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(build_splits, "commit_build", self._copying(build_splits.commit_build))
            self.mended = self.run(broken=False)
        paths = {row.recording_id: Path(row.path).stem for row in lake.read("recordings").collect()}
        self.names = {row.utterance_id: paths[row.recording_id] for row in lake.read("utterances").collect()}
        self.ids = {name: key for key, name in self.names.items()}

    def write(self, corpus: str, clips: dict[str, Any], *more: bytes) -> None:
        said = [says(f"{n}.wav", text, speaker=who, lang="en") for n, (_, who, text) in clips.items()]
        write_lines(self.folder / corpus / "m.jsonl", *said, *more)

    def run(self, *, broken: bool = False) -> Report:
        """The pipeline, as the same command says it."""
        self.write("b", B, *([b"{not json"] * 3 if broken else []))
        corpora = [make_corpus(name=c, sources=(str(self.folder / c / "m.jsonl"),)) for c in ("a", "b")]
        wanted = wanted_of([Audio(), AllSpeech(), Parrot()])
        flow = pipeline.Flow(corpora, wanted, [pipeline.Cut(policy(), POLICY, "r1")])
        return pipeline.run(self.lake, flow, progress=Progress(self.told))

    def _copying(self, commit: Callable[..., Any]) -> Callable[..., Any]:
        """`commit` that keeps a copy of the stage, for tests of what a killed run leaves."""

        def copy_and_commit(hold: Any, stage: Stage) -> Any:
            shutil.copytree(stage.path, self.folder / "stage")
            self.stage = stage
            return commit(hold, stage)

        return copy_and_commit

    def left_behind(self, release: str, **said: str) -> None:
        """What a run of build-splits leaves that has just died with its build staged; `said` goes into its note."""
        path = Path(self.stage.path).with_name(f"run of {release}")
        shutil.copytree(self.folder / "stage", path)
        read = {name: self.lake.version(name) for name in self.stage.note["versions_read"]}
        now = {name: -1 if version is None else version for name, version in read.items()}
        note = {**self.stage.note, "versions_read": now, "release": release, WRITTEN_BY: VERSION, **said}
        path.with_name(f"{path.name}.json").write_text(json.dumps(note))

    def split(self, release: str) -> dict[str, str]:
        """{clip: side, or the rule that excludes it} of a release."""
        build = self.lake.read("releases").where(f"release = '{release}'").collect()[0].build_id
        kept = self.lake.read("splits").where(f"build_id = '{build}'").collect()
        gone = self.lake.read("decisions").where(f"build_id = '{build}'").collect()
        ends = {row.utterance_id: row.split for row in kept} | {row.utterance_id: row.rule for row in gone}
        assert len(ends) == len(kept) + len(gone)
        return {self.names[key]: end for key, end in ends.items()}


def policy(text: str = POLICY) -> Policy:
    return loads(text, "policy.yaml", Policy)


@pytest.fixture(scope="module")
def story(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The lake after both runs of the pipeline."""
    spark.sparkContext.addPyFile(job_extractors.__file__)
    folder = tmp_path_factory.mktemp("jobs")
    return Story(Lake(spark, folder / "lake"), folder)


def printed(call: Callable[..., Report]) -> tuple[str, Report]:
    out = io.StringIO()
    done = call(out=console(out))
    return out.getvalue(), done


def test_the_pipeline_releases_nothing_while_a_corpus_is_refused(story):
    assert isinstance(story.refused.refusal, TooManyRejected)
    assert story.refused.counts["refused"] == ["b"]
    # The good corpus was ingested, measured and scored all the same.
    assert story.versions_refused.keys() >= {"signals_audio", "signals_whisper", "scores"}
    assert "releases" not in story.versions_refused
    assert "build-splits is left out: r1 would lack b" in story.told.getvalue()


def test_the_same_command_releases_both_corpora_once_the_manifest_is_mended(story):
    assert (story.mended.outcome, story.mended.refusal) == ("done", None)
    ends = story.split("r1")
    assert ends.keys() == {*A, *B}
    assert ends["a5"] == "error_rate"
    copies = sorted((ends["a1"], ends["b1"]))
    assert copies[0] == "duplicate_of_kept"
    assert copies[1] in ("train", "test")
    assert Counter(ends.values()).keys() == {"train", "test", "error_rate", "duplicate_of_kept"}
    # The link through the copy makes one group of ann's clips and eve's.
    assert ends["a2"] == copies[1]


def test_the_pipeline_run_again_writes_no_version(story):
    before = story.lake.versions()
    assert story.run().outcome == "nothing to do"
    assert story.lake.versions() == before


def build(story: Story, release: str, text: str = POLICY, told: io.StringIO | None = None) -> Report:
    said = Progress(told) if told else QUIET
    return build_splits.run(story.lake, policy(text), text, release=release, progress=said)


def test_a_build_that_an_earlier_run_left_and_that_now_leaks_is_dropped_and_told(story, monkeypatch):
    story.left_behind("stale")

    def leaks(*_: Any) -> None:
        raise LeakFound("a speaker on two sides")

    for name in ("commit_build", "_publish"):
        monkeypatch.setattr(build_splits, name, leaks)
    told = io.StringIO()
    with pytest.raises(LeakFound):
        build(story, "stale", told=told)
    assert "release stale: what an earlier run left is dropped: a speaker on two sides" in told.getvalue()
    assert not staged_builds(story)
    assert story.lake.read("releases").where("release = 'stale'").isEmpty()


def staged_builds(story: Story) -> list[Path]:
    return list(Path(story.lake.root).glob("_staging/build-splits/*/*/*/_SUCCESS"))


@pytest.mark.long
def test_build_splits_under_another_policy_is_another_release_and_no_clip_changes_sides(story):
    sides = story.split("r1")
    loose = POLICY.replace("default: 0.5", "default: 2")
    done = build(story, "loose", loose)
    assert done.outcome == "done"
    assert sum(done.counts.values()) == len(A) + len(B)
    ends = story.split("loose")
    assert ends.pop("a5") in ("train", "test")
    assert ends == {name: end for name, end in sides.items() if name != "a5"}
    before = story.lake.versions()
    assert build(story, "loose", loose).outcome == "nothing to do"
    assert story.lake.versions() == before


@pytest.mark.long
def test_the_same_command_after_a_kill_publishes_what_was_staged_and_then_has_nothing_to_do(
    story, monkeypatch
):
    story.left_behind("again")

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("evaluated again")

    monkeypatch.setattr(build_splits, "evaluated", never)
    assert build(story, "again").outcome == "done"
    assert build(story, "again").outcome == "nothing to do"
    assert story.split("again") == story.split("r1")


def test_a_published_release_is_not_evaluated_again_because_another_was_cut(story, monkeypatch):
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("evaluated again")

    monkeypatch.setattr(build_splits, "evaluated", never)
    before = story.lake.versions()
    assert build(story, "r1").outcome == "nothing to do"
    assert story.lake.versions() == before


@pytest.mark.long
def test_a_build_that_was_killed_before_it_stood_in_the_ledger_is_done_again_once_and_told(
    story, monkeypatch
):
    from speechlake.ledger import Run

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as at_the_end:
        at_the_end.setattr(Run, "finish", killed)
        with pytest.raises(KeyboardInterrupt):
            build(story, "unrecorded")
    before = story.lake.versions()
    assert build(story, "unrecorded").outcome == "done"
    assert story.lake.versions() == {**before, "runs": before["runs"] + 1}
    assert build(story, "unrecorded").outcome == "nothing to do"
    assert story.lake.versions() == {**before, "runs": before["runs"] + 1}


def test_a_build_that_another_command_left_is_left_to_it_until_a_release_is_built(story):
    story.left_behind("anothers")
    before = story.lake.version("runs")
    build(story, "r1")
    assert story.lake.version("runs") == before
    assert len(staged_builds(story)) == 1
    told = io.StringIO()
    with story.lake.hold("build-splits", story.stage.note["scheme"], "r") as hold:
        build_splits._drop_others(hold, Progress(stream=told))
    assert "release anothers: a build that an earlier run left ready is dropped" in told.getvalue()
    assert not staged_builds(story)
    assert story.lake.read("releases").where("release = 'anothers'").isEmpty()


@pytest.mark.long
def test_a_build_left_under_another_policy_takes_the_name_and_is_not_taken_for_this_one(story):
    story.left_behind("mine", policy_sha256="another", policy_pinned_sha256="another")
    with pytest.raises(UsageError, match="release 'mine' is build"):
        build(story, "mine")
    assert story.split("mine") == story.split("r1")


@pytest.mark.long
def test_simulate_says_what_build_splits_would_do_and_writes_nothing(story):
    before = story.lake.versions()
    loose = policy(POLICY.replace("default: 0.5", "default: 2"))
    text, done = printed(lambda out: simulate.run(story.lake, {"a.yaml": policy(), "b.yaml": loose}, out=out))
    assert story.lake.versions() == before
    ends = Counter(story.split("r1").values())
    said = done.counts["policies"]["a.yaml"]
    assert {side: n for side, n in said["utterances"].items() if side != "excluded"} == {
        side: n for side, n in ends.items() if side in ("train", "test")
    }
    assert said["excluded"] == {"duplicate_of_kept": 1, "error_rate": 1}
    assert said["hours_removed_alone"]["error_rate"] > 0
    assert said["refused"] == []
    (change,) = done.counts["changed"]
    assert (change["was"], change["reason"], change["utterances"]) == ("excluded", "error_rate", 1)
    assert change["examples"] == [story.ids["a5"]]
    assert "from a.yaml to b.yaml: rows that end elsewhere" in text
    assert done.next_step is not None
    assert "--policy b.yaml" in done.next_step


@pytest.mark.long
def test_simulating_one_policy_compares_nothing(story):
    text, done = printed(lambda out: simulate.run(story.lake, {"a.yaml": policy()}, out=out))
    assert done.counts.keys() == {"policies"}
    assert "elsewhere" not in text


@pytest.mark.long
def test_a_quantile_is_a_number_that_the_first_release_of_a_scheme_pins(story):
    quiet = (
        "{rule: not_quiet, signal: audio.rms_dbfs, at_least: {quantile: 0.5}, on: train, if_missing: pass}"
    )
    text = POLICY.replace("scheme: main", "scheme: pins").replace("\nkeep:", f"\nkeep:\n  - {quiet}")
    assert build(story, "p1", text).outcome == "done"
    assert build(story, "p2", text.replace("min_units: 3", "min_units: 2")).outcome == "done"
    rows = story.lake.read("releases").where("scheme = 'pins'").orderBy("release").collect()
    key = "audio.rms_dbfs at_least default 0.5"
    assert rows[0].pinned.keys() == {key}
    assert rows[1].pinned == rows[0].pinned
    ends = story.split("p1")
    assert "not_quiet" in ends.values()
    key_of_one = next(story.ids[name] for name, end in ends.items() if end == "not_quiet")
    told, _ = printed(lambda out: explain.run(story.lake, key_of_one, out=out))
    assert f">= {rows[0].pinned[key]:g}"[:7] in told
    unpinned = story.lake.read("releases").where("release = 'r1'").collect()[0]
    assert unpinned.pinned == {}


def test_a_lake_without_utterances_gives_no_release(lake):
    with pytest.raises(UsageError, match="holds no utterance"):
        build_splits.run(lake, policy(), POLICY, release="empty", progress=QUIET)
    assert lake.version("releases") is None


@pytest.mark.parametrize(
    "module", [build_splits, find_duplicates, score_transcripts, explain, report, simulate]
)
def test_a_mistyped_lake_is_a_users_mistake_and_is_not_made(spark, tmp_path, monkeypatch, module, capsys):
    monkeypatch.setattr(job, "open_lake", lambda root, app: Lake(spark, root))
    (tmp_path / "policy.yaml").write_text(POLICY)
    more = {
        build_splits: ["--policy", str(tmp_path / "policy.yaml"), "--release", "r"],
        explain: ["0123456789"],
        simulate: ["--policy", str(tmp_path / "policy.yaml")],
    }
    assert module.main(["--lake", str(tmp_path / "typo"), *more.get(module, [])]) == 2
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["outcome"] == "UsageError"
    assert not (tmp_path / "typo").exists()


def test_explain_tells_the_whole_way_of_an_excluded_clip(story):
    key = story.ids["a5"]
    text, done = printed(lambda out: explain.run(story.lake, key[:8], out=out))
    assert done.counts == {"utterance_id": key}
    for part in ("a5.wav", WRONG, HEARD, "a:di", "parrot", "all-speech", "error_rate", "1.333"):
        assert part in text
    assert text.index("Transcripts") < text.index("Signal audio") < text.index("Scores")
    with pytest.raises(UsageError, match="no utterance begins with"):
        explain.run(story.lake, "ffffffffff")


def test_report_counts_what_was_read_kept_and_excluded(story):
    text, done = printed(lambda out: report.run(story.lake, release="r1", out=out))
    assert (done.counts["utterances"], done.counts["release"]) == (len(A) + len(B), "r1")
    lines = [line.split() for line in text.splitlines()]
    # corpus, manifests, lines, utterances, repeats, quarantined
    assert ["a", "1", "5", "5", "0", "0"] in lines
    assert ["b", "1", "2", "2", "0", "0"] in lines
    assert ["error_rate", "1", "0.000"] in lines
    assert ["duplicate_of_kept", "1", "0.000"] in lines
    assert any(line[:5] == ["decodes", "7", "0", "0", "0.000"] for line in lines)
    # a1 and b1: kind, clusters, clips, hours
    assert ["exact", "1", "2", "0.000"] in lines
    released = story.lake.read("releases").where("release = 'r1'").collect()[0]
    assert f"digest of its rows: {released.rows_digest}" in text
    with pytest.raises(UsageError, match="no release 'nothing'"):
        report.run(story.lake, release="nothing")


def test_score_transcripts_counts_words_and_scores_only_what_has_no_score(story):
    lake = story.lake
    scores = {story.names[r.utterance_id]: r for r in lake.read("scores").collect()}
    assert {name: row.wer for name, row in scores.items()} == {
        name: 4 / 3 if text == WRONG else 0.0 for name, (_, _, text) in {**A, **B}.items()
    }
    said = scores["a5"]
    assert (said.word_hits, said.word_substitutions, said.word_insertions) == (0, 3, 1)
    before = scores["a1"].asDict()

    from delta.tables import DeltaTable

    DeltaTable.forPath(lake.spark, lake.path("scores")).delete(f"utterance_id = '{story.ids['a1']}'")
    assert score_transcripts.run(lake, corpus="b", progress=QUIET).outcome == "nothing to do"
    assert score_transcripts.run(lake, corpus=None, progress=QUIET).counts == {"scores": 1}
    again = lake.read("scores").where(f"utterance_id = '{story.ids['a1']}'").collect()
    assert [row.asDict() for row in again] == [before]
    with pytest.raises(UsageError, match="no corpus 'c'"):
        score_transcripts.run(lake, corpus="c", progress=QUIET)


def test_what_is_tried_next_is_of_the_release_that_was_shown(rows, monkeypatch):
    monkeypatch.setattr(cli, "_program", lambda: "speechlake")
    tables = {
        "releases": rows(RELEASES, ("loose", {"build_id": "b1"}), ("strict", {"build_id": "b2"})),
        "decisions": rows(DECISIONS, ("0" * 32, {"build_id": "b2"}), ("7" * 32, {"build_id": "b1"})),
    }
    lake: Any = SimpleNamespace(root="my lake", read=tables.__getitem__)
    assert pipeline.ways_on(lake, "loose") == [
        "speechlake explain --lake 'my lake' 77777777",
        "speechlake sql --lake 'my lake' 'select language, count(*) n from utterances_now group by 1'",
        "speechlake build-splits --lake 'my lake' --policy MY.yaml --release NAME",
    ]
