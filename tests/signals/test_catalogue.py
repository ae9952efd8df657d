"""Which extractors a lake knows, and which of each is current, whoever writes at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from speechlake.lake import Lake
from speechlake.signals.catalogue import numbered, profile, register
from speechlake.signals.extractor import Identity
from speechlake.signals.plan import Wanted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class Named:
    """An extractor of which only the name counts here."""

    inputs: tuple[str, ...] = ()

    def __init__(self, name: str) -> None:
        self.name = name


def wanted(*names: str, version: str = "1") -> list[Wanted]:
    return [Wanted(Named(name), Identity(name, version)) for name in names]  # type: ignore[arg-type]


def current(lake: Lake) -> dict[str, Any]:
    return {name: said[-1][1] for name, said in profile(lake).items()}


def fingerprints(*each: Sequence[Wanted]) -> dict[str, str]:
    return {w.name: w.fingerprint for some in each for w in some}


def test_the_first_of_each_name_is_current_and_later_ones_are_only_known(lake):
    with lake.hold("extract-signals", "a", "r1") as hold:
        register(hold, wanted("audio"))
        register(hold, wanted("audio", "speech", version="2"))
        before = lake.versions()
        register(hold, wanted("audio", "speech", version="2"))
        assert lake.versions() == before
    assert current(lake) == fingerprints(wanted("audio"), wanted("speech", version="2"))
    assert lake.read("extractors").count() == 3


@pytest.mark.long
@pytest.mark.slow
def test_two_first_extractions_at_once_both_reach_the_profile(lake, monkeypatch):
    lake.is_local = False  # as on an object store: no lock keeps the two apart
    read = Lake.read

    def other_gets_in_between(self: Lake, name: str, **more: Any) -> DataFrame:
        found = read(self, name, **more)
        if name == "profiles":
            monkeypatch.undo()
            found = found.localCheckpoint()
            register(other, wanted("audio", "speech"))
        return found

    with lake.hold("extract-signals", "a", "r1") as one, lake.hold("extract-signals", "b", "r2") as other:
        monkeypatch.setattr(Lake, "read", other_gets_in_between)
        register(one, wanted("speech", "whisper"))
    assert current(lake) == fingerprints(wanted("audio", "speech", "whisper"))
    assert len({row.n for row in lake.read("profiles").collect()}) == lake.read("profiles").count() == 3
    assert lake.read("extractors").count() == 3


def test_a_promotion_is_numbered_after_what_is_there(lake):
    later = wanted("audio", version="2")
    with lake.hold("extract-signals", "a", "r1") as hold:
        register(hold, wanted("audio"))
        hold.insert_missing("profiles", lambda: numbered(lake, [("audio", "de", later[0].fingerprint)]))
        assert hold.insert_missing("profiles", lambda: numbered(lake, [("audio", None, "x")])) == 1
    rows = {row.n: (row.language, row.fingerprint) for row in lake.read("profiles").collect()}
    assert rows == {
        1: (None, wanted("audio")[0].fingerprint),
        2: ("de", later[0].fingerprint),
        3: (None, "x"),
    }
