"""What measuring took and cost, by chunks and the ledger of runs."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from speechlake.commands import report
from speechlake.errors import UsageError
from speechlake.prices import PRICE, price_of
from speechlake.questions import extraction_cost, price_by_release
from speechlake.schemas import CHUNKS, RELEASES, RUNS
from speechlake.signals.outlook import _charged
from speechlake.signals.rates import Rate
from speechlake.terminal import console

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import DataFrame

    from speechlake.lake import Lake


def run(minute: int, **said: Any) -> dict[str, Any]:
    """A run of extract-signals that took 30 s."""
    at = datetime(2026, 11, 24, 12, minute, tzinfo=UTC)
    times = {"started_at": at, "finished_at": at.replace(second=30)}
    return {"job": "extract-signals", "outcome": "done", "audio_s_out": 3600.0, **times, **said}


@pytest.fixture
def spent(lake: Lake, rows: Callable[..., DataFrame]) -> Lake:
    """A CPU run and a GPU run before the release, a GPU run after it, and a run of another job."""
    counts = [("c", "en", "train", 9, 1.5, 2), ("c", "en", "dev", 1, 0.5, 1), ("c", "en", None, 5, 7.0, 3)]
    with lake.hold("fill", "lake", "r") as hold:
        ledger = rows(
            RUNS,
            ("r1", run(0, cpu_s=1800.0)),
            ("r2", run(1, cpu_s=90.0, device_s=7200.0)),
            ("r3", run(5, cpu_s=10.0, device_s=3600.0)),
            ("r4", run(0, job="score-transcripts", cpu_s=9000.0)),
            ("r5", run(0, audio_s_out=0.0, cpu_s=9000.0)),
        )
        hold.append_missing("runs", ledger)
        published = {
            "counts": counts,
            "published_at": datetime(2026, 11, 24, 12, 3, tzinfo=UTC),
            "build_id": "b",
        }
        empty = {**published, "counts": counts[2:], "published_at": datetime(2026, 11, 24, 11, 0, tzinfo=UTC)}
        hold.append_missing("releases", rows(RELEASES, ("full", published), ("empty", empty)))
    return lake


@pytest.mark.slow
def test_runs_are_charged_by_their_devices_or_else_by_their_cores(spent):
    (row,) = extraction_cost(spent, 2.0).collect()
    assert (row.hours, row.wall_s, row.times_real_time) == (3.0, 90.0, 120.0)
    assert (row.device_hours, row.cpu_hours) == (3.0, pytest.approx(1900 / 3600))
    assert row.devices_used == pytest.approx(10800 / 90)
    # half an hour of a core, two hours and one hour of a device
    assert row.price == pytest.approx(2.0 * 3.5)
    assert extraction_cost(spent).collect()[0].price is None


@pytest.mark.slow
def test_a_release_costs_what_was_measured_until_it_was_published(spent):
    # The earlier release kept nothing: an hour of it has no price.
    assert [tuple(row) for row in price_by_release(spent, 2.0).collect()] == [
        ("empty", 0.0, 0.0, None),
        ("full", 2.0, 5.0, 2.5),
    ]


@pytest.mark.slow
def test_what_an_interrupted_run_measured_costs_too_and_counts_once_whoever_committed_it(spent, rows):
    chunks = rows(
        CHUNKS,
        # Killed; r1 committed its last chunk, and measured nothing else.
        ("20261124T120000-a", {"chunk": 0, "audio_s": 1800.0, "cpu_s": 1800.0, "model_loads": 2}),
        ("20261124T120000-a", {"chunk": 1, "audio_s": 3600.0, "cpu_s": 1800.0, "model_loads": 1}),
        ("r2", {"chunk": 0, "audio_s": 3600.0, "cpu_s": 90.0, "device_s": 7200.0}),
    )
    with spent.hold("fill", "lake", "chunks") as hold:
        hold.append_missing("chunks", chunks)
    (row,) = extraction_cost(spent, 2.0).collect()
    assert (row.hours, row.device_hours, row.model_loads, row.price) == (2.5, 2.0, 3, 6.0)
    # By the clock of the runs that ended.
    assert (row.wall_s, row.times_real_time) == (90.0, 120.0)
    assert [(row.release, row.price) for row in price_by_release(spent, 2.0).collect()] == [
        ("empty", 0.0),
        ("full", 6.0),
    ]


@pytest.mark.slow
def test_the_report_names_the_price_only_where_one_is_set(spent):
    out = io.StringIO()
    report._cost(console(out), spent, 2.0)
    assert "price 7.00" in out.getvalue()
    assert "Price, at 2 per device hour" in out.getvalue()
    silent = io.StringIO()
    report._cost(console(silent), spent, None)
    assert "120.0 x real time" in silent.getvalue()
    assert "rice" not in silent.getvalue()


@pytest.mark.parametrize(
    ("device_s", "price"), [(0.0, 30.0), (0.01, 0.1)], ids=["on CPUs", "on a device that its CPUs outlast"]
)
def test_a_plan_charges_what_the_report_will(device_s, price):
    assert 5.0 * _charged(Rate(cpu_s=3.0, device_s=device_s)) * 2.0 == pytest.approx(price)


def test_the_price_of_the_flag_wins_over_that_of_the_environment(monkeypatch):
    monkeypatch.setenv(PRICE, "1.5")
    assert price_of(None) == 1.5
    assert price_of(2.0) == 2.0
    assert price_of(0.0) == 0.0
    monkeypatch.setenv(PRICE, "")
    assert price_of(None) is None
    for wrong in ("dear", "-1", "nan", "inf"):
        monkeypatch.setenv(PRICE, wrong)
        with pytest.raises(UsageError, match="price per device hour"):
            price_of(None)
