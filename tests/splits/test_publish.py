"""Publishing a staged build: killed anywhere it completes, refused it leaves no trace, and sides stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from lake_tools import QUIET, Tables, tables
from splits_tables import policy

from speechlake import views
from speechlake.commands import build_splits
from speechlake.errors import BuildRefused, Conflict, LeakFound, UsageError
from speechlake.hold import Hold
from speechlake.ids import make_id
from speechlake.lake import Lake
from speechlake.schemas import ASSIGNMENTS, CORPORA, DECISIONS, RELEASES, SPLITS, UTTERANCES
from speechlake.splits import publish
from speechlake.splits.build import Build
from speechlake.splits.candidates import published_assignments
from speechlake.splits.publish import commit_build, refuse_used_name, staged_build, was_cut_by
from speechlake.splits.recall import put_back
from speechlake.staging import Stage
from speechlake.table_files import delete_rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.slow

PARTS = ("splits", "decisions", "assignments", "releases")
# utterance -> speaker
SPEAKERS = {"u1": "s1", "u2": "s1", "u3": "s2", "u4": "s3"}
SIDES = {"u1": "test", "u2": "test", "u3": "train"}


@pytest.fixture(scope="module")
def shared(spark: SparkSession, rows: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Four utterances of three speakers; every test has a scheme and a release of its own."""
    lake = Lake(spark, tmp_path_factory.mktemp("publish") / "lake")
    said = [(u, {"corpus": "c", "recording_id": f"r{u}", "speaker_id": s}) for u, s in SPEAKERS.items()]
    with lake.hold("fill", "c", "r") as hold:
        hold.append_missing("corpora", rows(CORPORA, ("c", {"role": "training", "ids": "interval"})))
        hold.append_missing("utterances", rows(UTTERANCES, *said))
    return lake


@pytest.fixture(scope="module")
def stage(rows: Callable[..., Any], spark: SparkSession) -> Callable[..., Stage]:
    """`stage(hold, sides)`: a build that keeps the utterances of `sides` and excludes the others, staged."""

    def made(
        hold: Hold,
        sides: Mapping[str, str] = SIDES,
        *,
        release: str,
        refused: Sequence[str] = (),
        listed: Mapping[str, str] | None = None,
        fingerprints: Sequence[str] = ("f",),
        policy_sha256: str = "p",
    ) -> Stage:
        listed = listed or {}
        keys = {make_id("utterance", u): side for u, side in sides.items()}
        keys |= {make_id("speaker", SPEAKERS[u]): side for u, side in sides.items()}
        scheme = hold.scope
        assigned = [(scheme, {"link_key": key, "side": side}) for key, side in keys.items()]
        frames = {
            "splits": rows(
                SPLITS,
                *[(u, {"split": side, "content_sha256": f"bytes of {u}"}) for u, side in sides.items()],
            ),
            "decisions": rows(DECISIONS, *[(u, {}) for u in SPEAKERS if u not in sides]),
            "assignments": rows(ASSIGNMENTS, *assigned),
        }
        counts = (
            "corpus string, language string, split string, utterances bigint, hours double, speakers bigint"
        )
        rules = "rule string, passed bigint, failed bigint, not_applicable bigint, hours_alone double"
        whole = Build(
            **{name: frame.drop("build_id") for name, frame in frames.items()},
            counts=spark.createDataFrame(
                [("c", "en", "train" if sides else None, len(sides), 0.1, 1)], counts
            ),
            rules=spark.createDataFrame([("decodes", 3, 1, 0, 0.0)], rules),
            warnings=spark.createDataFrame([("short of speakers",)], "message string"),
            known_speakers=spark.createDataFrame([(1.0,)], "ratio double"),
            refusals=spark.createDataFrame([(message,) for message in refused], "message string"),
            listed=spark.createDataFrame([*listed.items()], "utterance_id string, listed string"),
        )
        note = {"release": release, "policy": "name: p", "policy_sha256": policy_sha256, "scheme": scheme}
        more: dict[str, Any] = {"fingerprints": [*fingerprints], "versions_read": {"utterances": 1}}
        return staged_build(hold, whole, {**note, **more}, "digest")

    return made


@contextmanager
def held(lake: Lake, scheme: str, run: str = "r1") -> Iterator[Hold]:
    with lake.hold("build-splits", scheme, run) as hold:
        yield hold


@contextmanager
def killed_before(table: str) -> Iterator[None]:
    """The next commit to `table` is where the driver dies."""
    commit = Hold._commit

    def dies(hold: Hold, name: str, *args: Any, **more: Any) -> int:
        if name == table:
            raise KeyboardInterrupt
        return commit(hold, name, *args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Hold, "_commit", dies)
        yield


def written(lake: Lake, scheme: str) -> Tables:
    """What a scheme's builds wrote, names of builds, releases and schemes left out."""
    builds = {row.build_id for row in lake.read("assignments").where(f"scheme = '{scheme}'").collect()}
    builds |= {row.build_id for row in lake.read("releases").where(f"scheme = '{scheme}'").collect()}
    apart = {"build_id", "scheme", "release"}
    return {
        name: [
            {key: value for key, value in row.items() if key not in apart}
            for row in rows
            if row["build_id"] in builds
        ]
        for name, rows in tables(lake, PARTS).items()
    }


def published(lake: Lake, release: str) -> list[str]:
    return [row.build_id for row in lake.read("releases").where(f"release = '{release}'").collect()]


def sides(lake: Lake, scheme: str) -> dict[str, str]:
    """Published sides of the utterances of a scheme."""
    known = {row.link_key: row.side for row in published_assignments(lake, scheme).collect()}
    found = {u: known.get(make_id("utterance", u)) for u in SPEAKERS}
    return {u: side for u, side in found.items() if side}


@pytest.fixture(scope="module")
def expected(shared: Lake, stage: Callable[..., Stage]) -> Tables:
    """What a build writes that nobody kills."""
    with held(shared, "undisturbed") as hold:
        commit_build(hold, stage(hold, release="undisturbed"))
    return written(shared, "undisturbed")


def test_a_build_is_published_once_and_a_repeat_writes_nothing(shared, stage, expected):
    assert {name: len(rows) for name, rows in expected.items()} == {
        "splits": 3,
        "decisions": 1,
        "assignments": 5,  # three utterances, two speakers
        "releases": 1,
    }
    assert sides(shared, "undisturbed") == SIDES
    before = shared.versions()
    with held(shared, "undisturbed", "r2") as hold:
        assert commit_build(hold, stage(hold, release="undisturbed")) is None
    assert shared.versions() == before


def test_what_was_measured_since_and_changes_no_row_makes_no_other_build_of_a_release(shared, stage):
    with held(shared, "measured") as hold:
        first = commit_build(hold, stage(hold, release="measured"))
        assert commit_build(hold, stage(hold, release="measured", fingerprints=("f", "events"))) is None
    assert published(shared, "measured") == [first]


@pytest.mark.parametrize(
    "table",
    [
        table if table == "releases" else pytest.param(table, marks=pytest.mark.long)
        for table in (*PARTS, "none")
    ],
)
def test_killed_before_a_commit_the_next_run_completes_the_same_build(shared, stage, expected, table):
    scheme = f"killed-before-{table}"
    with held(shared, scheme) as hold:
        staged = stage(hold, release=scheme)
        with killed_before(table), suppress(KeyboardInterrupt):
            commit_build(hold, staged)
    # "none": killed when all had landed, and only the stage was still there.
    assert len(published(shared, scheme)) == (table == "none")
    with held(shared, scheme, "r2") as hold:
        assert hold.adopt(lambda found: commit_build(hold, found)) == 1
        assert list(hold.staging.complete()) == []
    assert written(shared, scheme) == expected


def test_a_build_whose_rows_are_swept_while_it_is_taken_up_is_not_published_without_them(
    shared, stage, expected, monkeypatch
):
    def swept(lake: Lake, build: str, *_: Any) -> None:
        with held(lake, "another") as other:
            delete_rows(other, "splits", f"build_id = '{build}'")

    with held(shared, "swept") as hold:
        staged = stage(hold, release="swept")
        with monkeypatch.context() as patch:
            patch.setattr(publish, "_gate", swept)
            with pytest.raises(Conflict, match="splits holds 0 of the 3 rows"):
                commit_build(hold, staged)
        assert published(shared, "swept") == []
        assert hold.adopt(lambda found: commit_build(hold, found)) == 1
    assert written(shared, "swept") == expected


def test_a_used_name_is_refused_to_another_build_and_its_release_stays(shared, stage):
    with held(shared, "used") as hold:
        first = commit_build(hold, stage(hold, release="used"))
        other = stage(hold, {"u1": "test"}, release="used")
        with pytest.raises(UsageError, match=f"'used' is build {first}"):
            commit_build(hold, other)
        assert other.path not in {left.path for left in hold.staging.complete()}
    assert published(shared, "used") == [first]
    assert sides(shared, "used") == SIDES


@pytest.mark.long
def test_a_name_that_another_scheme_takes_at_the_same_moment_is_refused(shared, stage, monkeypatch):
    gate = publish._gate

    def other_scheme_is_quicker(*asked: Any) -> None:
        gate(*asked)
        monkeypatch.undo()
        with held(shared, "quick") as quick:
            commit_build(quick, stage(quick, release="wanted"))

    monkeypatch.setattr(publish, "_gate", other_scheme_is_quicker)
    with held(shared, "slow") as slow:
        staged = stage(slow, release="wanted")
        with pytest.raises(UsageError, match="'wanted' is build"):
            commit_build(slow, staged)
        assert list(slow.staging.complete()) == []
    assert len(published(shared, "wanted")) == 1
    assert (sides(shared, "quick"), sides(shared, "slow")) == (SIDES, {})


def test_a_leak_stops_publishing_and_leaves_nothing_that_counts(shared, stage):
    shown = sorted(views.published(shared, "splits").collect(), key=str)
    with held(shared, "leaky") as hold:
        staged = stage(hold, {"u1": "test", "u2": "train"}, release="leaky")
        with pytest.raises(LeakFound, match="speaker s1 on test, train"):
            commit_build(hold, staged)
        assert list(hold.staging.complete()) == []
    assert published(shared, "leaky") == []
    assert sorted(views.published(shared, "splits").collect(), key=str) == shown
    assert shared.read("assignments").where("scheme = 'leaky'").isEmpty()
    with held(shared, "leaky", "r2") as hold:
        assert hold.adopt(lambda found: commit_build(hold, found)) == 0


def test_a_list_that_the_written_rows_contradict_stops_publishing(shared, stage):
    with held(shared, "listed") as hold:
        staged = stage(hold, release="listed", listed={"u3": "dev"})
        with pytest.raises(LeakFound, match="listed u3 on train"):
            commit_build(hold, staged)
    assert published(shared, "listed") == []


def test_a_build_that_passes_a_limit_of_its_policy_is_never_staged(shared, stage):
    with held(shared, "refused") as hold:
        with pytest.raises(BuildRefused, match="takes too much"):
            stage(hold, release="refused", refused=["text_in_evaluation takes too much"])
        assert list(hold.staging.complete()) == []
    assert published(shared, "refused") == []


@pytest.mark.long
def test_sides_of_a_build_that_died_unpublished_bind_nobody(shared, stage):
    with held(shared, "dead") as hold:
        staged = stage(hold, {"u3": "test"}, release="dead")
        with killed_before("releases"), pytest.raises(KeyboardInterrupt):
            commit_build(hold, staged)
        hold.staging.delete(staged)
    assert not shared.read("assignments").where("scheme = 'dead'").isEmpty()
    assert sides(shared, "dead") == {}
    with held(shared, "dead", "r2") as hold:
        assert commit_build(hold, stage(hold, {"u3": "train"}, release="alive"))
    assert sides(shared, "dead") == {"u3": "train"}


def test_only_the_command_that_staged_a_build_publishes_it(shared, stage):
    cut, another = policy(), policy(splits={"salt": 2})
    with held(shared, "left") as hold:
        stage(hold, release="left", policy_sha256=cut.digest())
    for release, asked in (("left", another), ("other", cut), ("left", cut)):
        with held(shared, "left") as hold:
            note = build_splits._adopted(hold, release, asked, QUIET)
        mine = (release, asked) == ("left", cut)
        assert (note is not None, len(published(shared, "left"))) == (mine, int(mine))
    with pytest.raises(UsageError, match=r"'left' is build .* another policy"):
        refuse_used_name(shared, "left", another)
    refuse_used_name(shared, "left", cut)
    assert [was_cut_by(shared, each) for each in (cut, another)] == [True, False]


def test_another_command_that_builds_drops_what_was_left(shared, stage):
    with held(shared, "dropped") as hold:
        stage(hold, release="dropped")
    with held(shared, "dropped") as hold:
        build_splits._drop_others(hold, QUIET)
        assert list(hold.staging.complete()) == []
    assert published(shared, "dropped") == []


def test_sides_that_somebody_deleted_are_put_back_from_published_rows(shared, stage):
    with held(shared, "lost") as hold:
        commit_build(hold, stage(hold, release="lost"))
        delete_rows(hold, "assignments", "scheme = 'lost'")
        assert sides(shared, "lost") == {}
        # Of each row its own key, and those of its recording and content; speakers are not told in these rows.
        assert put_back(hold, "lost", "digest") == 3 * len(SIDES)
        assert put_back(hold, "lost", "digest") == 0
    assert sides(shared, "lost") == SIDES


def test_a_row_that_moves_is_a_leak_whatever_became_of_the_memory_of_sides(shared, stage):
    with held(shared, "shuffled") as hold:
        commit_build(hold, stage(hold, release="shuffled"))
        delete_rows(hold, "assignments", "scheme = 'shuffled'")
        again = stage(hold, {**SIDES, "u3": "dev"}, release="shuffled again")
        with pytest.raises(LeakFound, match="moved u3 on dev, train"):
            commit_build(hold, again)
    assert published(shared, "shuffled again") == []


def test_a_build_that_keeps_nothing_says_so(shared, stage):
    with held(shared, "nothing") as hold:
        assert (
            "nothing is kept: every utterance is excluded" in stage(hold, {}, release="none").note["warnings"]
        )


def test_where_published_builds_differ_the_earliest_is_remembered(lake, rows):
    days = {"late": datetime(2026, 2, 1, tzinfo=UTC), "early": datetime(2026, 1, 1, tzinfo=UTC)}
    said = {"late": "train", "early": "dev", "never": "test"}
    with lake.hold("fill", "main", "r") as hold:
        keys = [{"link_key": "k", "build_id": build, "side": side} for build, side in said.items()]
        keys.append({"link_key": "k2", "build_id": "late", "side": "test"})
        hold.append_missing("assignments", rows(ASSIGNMENTS, *[("main", key) for key in keys]))
        made = [(f"{b} {n}", {"build_id": b, "published_at": days[b]}) for b in days for n in (1, 2)]
        hold.append_missing("releases", rows(RELEASES, *made))
    found = [(row.link_key, row.side) for row in published_assignments(lake, "main").collect()]
    assert sorted(found) == [("k", "dev"), ("k2", "test")]
