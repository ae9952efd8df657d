"""A table without its past: no file, log or checkpoint tells what was deleted, and it can be read and written on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from speechlake import purge
from speechlake.errors import SpeechlakeError
from speechlake.lake import Lake
from speechlake.purge import AT_ONCE, RETENTION, drop_partitions, forget_history
from speechlake.schemas import UTTERANCES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

pytestmark = pytest.mark.slow


def found(lake: Lake, word: str) -> set[str]:
    """Parts of the table whose raw bytes hold `word`: data, log, checkpoint, or names of folders."""
    files = [path for path in Path(lake.root, "utterances").rglob("*") if path.is_file()]
    holding = [
        path
        for path in files
        if word.encode() in path.read_bytes() or word in str(path.relative_to(lake.root))
    ]
    return {"log" if "_delta_log" in path.parts else "data" for path in holding}


@pytest.fixture
def deleted(lake: Lake, rows: Callable[..., DataFrame]) -> Lake:
    """A table of two utterances, one of which was deleted."""
    with lake.hold("fill", "lake", "r1") as hold:
        hold.append_missing("utterances", rows(UTTERANCES, ("kept-one", {"corpus": "c"})))
        hold.append_missing(
            "utterances", rows(UTTERANCES, ("gone-one", {"corpus": "zoe", "origin": "secret"}))
        )
        hold.merge("utterances", lake.read("utterances").where("corpus = 'zoe'"), corpus=None, delete=True)
    assert found(lake, "gone-one") == {"data", "log"}
    return lake


def forget(lake: Lake) -> None:
    with lake.hold("erase", "lake", "r2") as hold:
        forget_history(hold, "utterances")


def properties(lake: Lake) -> str:
    return str(lake.snapshot("utterances").metadata().configuration())


def test_what_was_deleted_is_in_no_file_of_the_table(deleted: Lake, rows: Callable[..., Any]) -> None:
    forget(deleted)
    version = deleted.version("utterances")
    forget(deleted)
    assert deleted.version("utterances") == version, "there was nothing more to forget"
    assert found(deleted, "gone-one") == found(deleted, "zoe") == set()
    assert found(deleted, "kept-one") == {"data", "log"}
    again = Lake(deleted.spark, deleted.root)
    assert [row.utterance_id for row in again.read("utterances").collect()] == ["kept-one"]
    with again.hold("fill", "lake", "r3") as hold:
        assert hold.append_missing("utterances", rows(UTTERANCES, ("new", {"corpus": "c"}))) == 1
    assert again.read("utterances").count() == 2


def test_a_file_whose_time_is_ahead_of_the_clock_goes_too(deleted: Lake) -> None:
    for file in Path(deleted.root, "utterances").rglob("*.parquet"):
        os.utime(file, (time.time() + 7200,) * 2)
    forget(deleted)
    assert found(deleted, "gone-one") == set()
    assert [row.utterance_id for row in deleted.read("utterances").collect()] == ["kept-one"]


@pytest.mark.long
def test_the_folder_of_a_partition_without_rows_goes_by_name(deleted: Lake) -> None:
    folder = Path(deleted.root, "utterances", "corpus=zoe")
    with deleted.hold("erase", "lake", "r2") as hold:
        forget_history(hold, "utterances")
        folder.mkdir(exist_ok=True)
        drop_partitions(hold, "utterances", "corpus", {"zoe"})
    assert not folder.exists()
    assert folder.with_name("corpus=c").exists()


def test_a_log_stays_and_is_an_error_where_the_checkpoint_in_its_place_was_not_written(
    deleted: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = deleted.snapshot

    def without_room(name: str) -> Any:
        """A snapshot whose checkpoint is not written, of which Delta tells nobody, as on a full disk."""
        found = snapshot(name)
        log = SimpleNamespace(checkpoint=lambda *_: None)
        return SimpleNamespace(
            deltaLog=lambda: log, version=found.version, metadata=found.metadata, allFiles=found.allFiles
        )

    with monkeypatch.context() as patch:
        patch.setattr(deleted, "snapshot", without_room)
        with pytest.raises(SpeechlakeError, match="no checkpoint of table 'utterances'"):
            forget(deleted)
    assert "log" in found(deleted, "gone-one")
    forget(deleted)
    assert found(deleted, "gone-one") == set()


@pytest.mark.long
def test_killed_in_between_the_table_is_whole_and_the_next_call_finishes(
    deleted: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(purge, "_drop_log_before", dies)
        with pytest.raises(KeyboardInterrupt):
            forget(deleted)
    # As after kill -9, which leaves the setting.
    deleted.spark.conf.set(purge.CHECK, "false")
    deleted.spark.sql(
        f"ALTER TABLE delta.`{deleted.path('utterances')}` SET TBLPROPERTIES ('{RETENTION}' = '{AT_ONCE}')"
    )
    deleted.spark.conf.unset(purge.CHECK)
    assert deleted.read("utterances").count() == 1
    forget(deleted)
    assert found(deleted, "gone-one") == set()
    assert RETENTION not in properties(deleted)


@pytest.mark.long
def test_a_retention_that_somebody_set_stays(deleted: Lake) -> None:
    table = f"delta.`{deleted.path('utterances')}`"
    deleted.spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ('{RETENTION}' = 'interval 30 days')")
    forget(deleted)
    assert "interval 30 days" in properties(deleted)
