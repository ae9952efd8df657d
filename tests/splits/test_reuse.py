"""What one policy joined serves the next exactly where the next would join the same."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from deltalake import DeltaTable
from sample_lake import content_of, corpus_of, write_rows
from splits_tables import policy

from speechlake.commands import simulate
from speechlake.duplicates.sampling import SAMPLING_VERSION
from speechlake.errors import ConfigError
from speechlake.lake import Lake
from speechlake.schemas import TABLES
from speechlake.splits import reuse
from speechlake.splits.build import columns_read
from speechlake.splits.candidates import TABLES_READ, candidates
from speechlake.splits.evaluate import evaluated
from speechlake.splits.policy import Policy, read_policy
from speechlake.splits.reuse import NOT_ASKED, joined_candidates, reusing

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

pytestmark = pytest.mark.slow

TEXT = {"prefer": ["manifest"]}
SPEAKS = {"rule": "speaks", "signal": "speech.speech_ratio", "at_least": 0.3}
LENGTH = {"rule": "length", "signal": "audio.duration_s", "at_least": 2}
FIRST = policy(text=TEXT, keep=[LENGTH])
# Another one for each section, named by what it says.
OTHERS: dict[str, dict[str, Any]] = {
    "name": {"name": "another"},
    "text": {"text": {"prefer": ["whisper-base", "manifest"], "human_only": "eval"}},
    "use": {"use": {"whisper": [{"model": "w1"}]}},
    "keep": {"keep": [{**LENGTH, "at_least": 5}, SPEAKS]},
    "overrides": {"overrides": [{"corpora": ["books"], "keep": [{"rule": "length", "at_least": 9}]}]},
    "caps": {"caps": [{"per": "corpus", "hours": 0.001}]},
    "weights": {"weights": {"per": "language", "temperature": 0.5}},
    "duplicates": {"duplicates": {"keep": ["quality"]}},
    "links": {"links": {"session": "off", "text": "exclude_from_train"}},
    "decontaminate": {"decontaminate": {"text": False}},
    "lists": {"lists": {"test": {"file": "test.txt"}}},
    "splits": {"splits": {"scheme": "another", "salt": 7, "test": {"hours": 1, "max_share": 0.3}}},
}


def _other(section: str) -> Policy:
    return policy(**{"text": TEXT, "keep": [LENGTH], **OTHERS[section]})


def _is_kept(frame: DataFrame) -> bool:
    return bool(frame.storageLevel.useMemory)


def _plan(frame: DataFrame) -> str:
    """All of it, without the numbers that Spark gives to columns."""
    conf = frame.sparkSession.conf
    conf.set(MOST_FIELDS, 100_000)
    try:
        plan = frame._jdf.queryExecution().analyzed().toString()
    finally:
        conf.unset(MOST_FIELDS)
    return re.sub(r"#[0-9]+L?", "", plan)


def _rows(frame: DataFrame) -> list[str]:
    """Maps among them, by which Spark sorts nothing."""
    return sorted(str(row.asDict(recursive=True)) for row in frame.collect())


@pytest.fixture
def copy(sample: Lake, tmp_path: Path) -> Lake:
    """A sample of one's own, to write to."""
    shutil.copytree(sample.root, tmp_path / "copy")
    return Lake(sample.spark, tmp_path / "copy")


def test_every_section_of_a_policy_is_told_apart_or_is_none_that_candidates_depend_on() -> None:
    assert {*OTHERS} == {*Policy.model_fields}
    told_apart = {name for name in OTHERS if reuse._asked(_other(name)) != reuse._asked(FIRST)}
    assert told_apart == {*OTHERS} - {"name", *NOT_ASKED}


def test_candidates_ask_for_the_same_whatever_those_sections_say(sample: Lake) -> None:
    said = {key: value for name in ("name", *NOT_ASKED) for key, value in OTHERS[name].items()}
    other = policy(text=TEXT, **said)
    rules = {"keep": (*FIRST.rules(), *other.rules())}
    columns = columns_read(FIRST) | columns_read(other)
    first, second = (
        _plan(candidates(sample, each.model_copy(update=rules), only=columns)) for each in (FIRST, other)
    )
    assert first == second


def test_splits_and_reasons_are_those_of_a_policy_alone(copy: Lake) -> None:
    """The second reads a signal that the first does not."""
    met = {"fingerprint": f"k1.{SAMPLING_VERSION}"}
    rows = [
        {**met, "corpus": corpus_of(clip), "utterance_id": clip, "content_sha256": content_of(clip)}
        for clip in ("c1", "c2", "b2", "b3")
    ]
    write_rows(copy.spark, Path(copy.root), TABLES["key_buckets"], rows)
    asked = _other("keep")
    assert not columns_read(FIRST) >= columns_read(asked)

    def found() -> list[list[str]]:
        build = evaluated(copy, asked).build
        return [_rows(frame) for frame in (build.splits, build.decisions, build.rules)]

    alone = found()
    assert all(alone)
    own = candidates(copy, FIRST, only=columns_read(FIRST))
    with reusing([FIRST, asked]):
        first = joined_candidates(copy, FIRST)
        assert _rows(first.select(own.columns)) == _rows(own)
        assert joined_candidates(copy, asked) is first
        assert found() == alone


def test_nothing_is_kept_for_the_last_one(sample: Lake) -> None:
    with reusing([FIRST]):
        assert not _is_kept(joined_candidates(sample, FIRST))


def test_nothing_is_kept_for_one_that_was_published_before(sample: Lake) -> None:
    other = _other("caps")
    with reusing([FIRST, other]):
        assert not _is_kept(joined_candidates(sample, other))


def test_one_that_asks_for_something_else_in_between_takes_nothing_from_the_next(sample: Lake) -> None:
    other = _other("text")
    with reusing([FIRST, other, _other("caps")]):
        assert not _is_kept(joined_candidates(sample, FIRST))


def test_simulate_names_both_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting: list[Any] = []

    def evaluated(_: Any, __: Policy) -> str:
        waiting.append([*reuse._REUSE.get().waiting])  # type: ignore[union-attr]
        return "end"

    monkeypatch.setattr(simulate, "evaluated", evaluated)
    monkeypatch.setattr(simulate, "_told", lambda *_: {})
    monkeypatch.setattr(simulate, "_changed", lambda *_: [])
    lake: Any = SimpleNamespace(root="lake")
    simulate.run(lake, {"a": FIRST, "b": _other("caps")})
    assert waiting == [[FIRST, _other("caps")]] * 2


def test_one_policy_may_be_cut_twice(sample: Lake) -> None:
    with reusing([FIRST, FIRST]):
        first = joined_candidates(sample, FIRST)
        assert _is_kept(first)
        assert joined_candidates(sample, FIRST) is first


def test_what_is_kept_is_freed_at_the_end(sample: Lake) -> None:
    with reusing([FIRST, _other("caps")]):
        first = joined_candidates(sample, FIRST)
        assert _is_kept(first)
        assert joined_candidates(sample, _other("overrides")) is first
    assert not _is_kept(first)


def test_one_that_was_not_named_and_reads_more_is_joined_anew_and_the_other_freed(sample: Lake) -> None:
    with reusing([FIRST, _other("caps")]):
        first = joined_candidates(sample, FIRST)
        assert joined_candidates(sample, _other("keep")) is not first
        assert not _is_kept(first)


def test_a_text_that_another_process_writes_in_between_is_read(copy: Lake) -> None:
    with reusing([FIRST, _other("caps")]):
        first = joined_candidates(copy, FIRST)
        assert first.where(SAID_SINCE).count() == 0
        _say(copy)
        # Spark keeps rows by plan, and hands them to whoever has the same one.
        assert candidates(copy, FIRST, only=columns_read(FIRST)).where(SAID_SINCE).count() == 1
        second = joined_candidates(copy, _other("caps"))
        assert second is not first
        assert second.where(SAID_SINCE).count() == 1


def test_what_was_joined_while_a_table_was_written_serves_nobody(
    copy: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(*args: Any, **said: Any) -> Any:
        made = candidates(*args, **said)
        _say(copy)
        return made

    monkeypatch.setattr(reuse, "candidates", meanwhile)
    with reusing([FIRST, _other("caps")]):
        first = joined_candidates(copy, FIRST)
        monkeypatch.undo()
        assert joined_candidates(copy, _other("caps")) is not first


def test_a_commit_to_any_table_that_is_joined_is_noticed_and_one_to_remembered_sides_is_not(
    copy: Lake,
) -> None:
    noticed, before = set(), reuse._made_of(copy, FIRST)
    assert reuse._made_of(copy, FIRST) == before
    for name in TABLES_READ:
        _commit(copy, name)
        now = reuse._made_of(copy, FIRST)
        noticed |= {name} if now != before else set()
        before = now
    assert {*TABLES_READ} - noticed == {"assignments"}


def test_another_lake_is_another_lake(sample: Lake, copy: Lake) -> None:
    assert reuse._made_of(sample, FIRST) != reuse._made_of(copy, FIRST)


def test_a_value_that_was_never_imported_refuses_the_policy_that_asks_for_it_alone(sample: Lake) -> None:
    asks = policy(text=TEXT, keep=[{"rule": "loss", "signal": "imported.asr3.loss", "at_most": 2}])
    with reusing([FIRST, asks, _other("caps")]):
        first = joined_candidates(sample, FIRST)
        with pytest.raises(ConfigError, match="imported"):
            joined_candidates(sample, asks)
        assert joined_candidates(sample, _other("caps")) is first


def test_a_list_that_lies_beside_its_policy_is_another_than_one_that_does_not(tmp_path: Path) -> None:
    (tmp_path / "test.txt").write_text("c1\n")
    (tmp_path / "policy.yaml").write_text(
        "name: listed\nsplits: {scheme: main, salt: 1}\nlists: {test: {file: test.txt}}\n"
    )
    here, _ = read_policy(tmp_path / "policy.yaml")
    alone = policy(lists={"test": {"file": "test.txt", "sha256": here.lists.named()["test"].sha256}})
    assert here.digest() == alone.digest()
    assert reuse._asked(here) != reuse._asked(alone)


# Spark leaves out of a plan's text what is above that.
MOST_FIELDS = "spark.sql.debug.maxToStringFields"
SAID_SINCE = "text = 'said since'"


def _say(copy: Lake) -> None:
    DeltaTable(copy.path("transcripts")).update(
        predicate="utterance_id = 'c1'", new_values={"text": "said since"}
    )


def _commit(copy: Lake, name: str) -> None:
    """One of no rows, or the table's first."""
    if DeltaTable.is_deltatable(copy.path(name)):
        DeltaTable(copy.path(name)).alter.set_table_properties(
            {"comment": "touched"}, raise_if_not_exists=False
        )
    else:
        write_rows(copy.spark, Path(copy.root), TABLES[name], [])
