"""A lake says which version of the contracts it has, and code of another version keeps off."""

from __future__ import annotations

import pytest

from speechlake.errors import Busy, LakeMismatch
from speechlake.lake import Lake
from speechlake.lake_version import mark, version_of
from speechlake.locks import UPGRADE, JvmLock, lock_file
from speechlake.schemas import CONTENT_HASHES, TABLES
from speechlake.schemas.contract import CONTRACT


def written(lake, rows):
    with lake.hold("job", "c", "r") as hold:
        hold.append_missing("content_hashes", rows(CONTENT_HASHES, ("a", {"corpus": "c"})))


def opened(lake):
    return Lake(lake.spark, lake.root)


def test_a_new_lake_has_this_codes_version_from_its_first_table_on(lake, rows):
    assert version_of(lake) is None
    assert lake.read("content_hashes").count() == 0
    assert version_of(lake) is None, "reading makes nothing"
    written(lake, rows)
    assert version_of(lake) == CONTRACT
    assert opened(lake).read("content_hashes").count() == 1


@pytest.mark.parametrize(
    ("version", "told"), [(CONTRACT + 1, "Install the version"), (CONTRACT - 1, "upgrade-lake --lake")]
)
def test_a_lake_of_another_version_is_neither_read_nor_written(lake, version, told):
    mark(lake, version)
    with pytest.raises(LakeMismatch, match=rf"version {version}.*{CONTRACT}"):
        opened(lake).read("utterances")
    with pytest.raises(LakeMismatch, match=told), opened(lake).hold("job", "c", "r"):
        pass
    assert LakeMismatch.exit_code == 2


def test_a_lake_that_somebody_upgrades_is_worth_another_try(lake):
    mark(lake, CONTRACT - 1)
    with (
        JvmLock(lake.spark, lock_file(lake.root, UPGRADE), who="run u of upgrade-lake on lake", wait_s=0),
        pytest.raises(Busy, match="run u of upgrade-lake on lake is under way"),
    ):
        opened(lake).read("utterances")
    with pytest.raises(LakeMismatch):
        opened(lake).read("utterances")


def test_a_lake_that_was_upgraded_since_it_was_opened_is_not_written(lake):
    assert lake.read("utterances").count() == 0
    mark(lake, CONTRACT + 1)
    with pytest.raises(LakeMismatch, match="Install the version"), lake.hold("job", "c", "r"):
        pass
    with Lake(lake.spark, lake.root, any_version=True).hold("job", "c", "r"):
        pass


def test_the_highest_marker_counts_and_other_files_do_not(lake):
    for version in (1, 10, 9):
        mark(lake, version)
    lake.files.write_text(f"{lake.root}/_contract/readme.txt", "")
    assert version_of(lake) == 10


def test_a_lake_from_before_versions_is_read_table_by_table(lake, rows):
    written(lake, rows)
    lake.files.delete(f"{lake.root}/_contract")
    again = opened(lake)
    assert again.read("content_hashes").count() == 1
    with again.hold("job", "c", "r2") as hold:
        hold.lake.create(TABLES["attempts"])
    assert version_of(again) is None, "what is old does not become new by a table more"
