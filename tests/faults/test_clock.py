"""The clock of the machine is set back by an hour between two jobs, or while one runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest
from fault_story import FaultStory
from watched import copied, difference, forget_logs, stored, values

from speechlake import ledger
from speechlake.lake import Lake
from speechlake.ledger import Run
from speechlake.schemas import RELEASES
from speechlake.splits import publish

HOUR = timedelta(hours=1)


@contextmanager
def set_back(by: timedelta) -> Iterator[None]:
    """Every place that reads the time of day is told an earlier one."""

    class Earlier(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) - by

    with pytest.MonkeyPatch.context() as patch:
        for module in (ledger, publish):
            patch.setattr(module, "datetime", Earlier)
        yield


def test_a_run_lasts_as_long_as_it_lasts_whatever_the_clock_says() -> None:
    with set_back(-HOUR):
        run = Run("job", "c", {})
    with set_back(HOUR):
        assert 0 <= run.seconds < 60


@pytest.mark.slow
def test_a_release_is_published_after_the_last_one_though_the_clock_was_set_back(lake: Lake, rows) -> None:
    last = datetime(2126, 1, 1, tzinfo=UTC)
    with lake.hold("job", "main", "r") as hold:
        assert publish._now_or_later(lake) < last  # no release yet: now
        hold.append_missing("releases", rows(RELEASES, ("first", {"published_at": last, "build_id": "b"})))
    assert publish._now_or_later(lake) == last + timedelta(microseconds=1)


@pytest.mark.slow
@pytest.mark.long
def test_jobs_after_the_clock_was_set_back_give_the_same_tables_and_find_nothing_to_do_twice(
    story: FaultStory, tmp_path: Path
) -> None:
    steps = [name for name in list(story_steps(story)) if name.endswith(", changed")]
    lake = Lake(story.lake.spark, copied(story[steps[0]].before, tmp_path / "lake"))
    for name in steps:
        with set_back(HOUR):
            story[name].command(lake)
        assert difference(values(Path(lake.root)), story[name].after) == {}
    found = sorted(stored(Path(lake.root), "releases"), key=lambda row: row["published_at"])
    assert [row["release"] for row in found] == ["first", "second"]
    settled = lake.versions()
    story[steps[-1]].command(lake)
    assert lake.versions() == settled
    forget_logs(lake)


def story_steps(story: FaultStory) -> list[str]:
    """Names of the steps, in order, up to the last that changed the corpus."""
    story["build-splits, changed"]
    return list(story)
