"""Which extractors a lake knows, and which of each is current, whoever writes at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from speechlake.errors import UsageError
from speechlake.lake import Lake
from speechlake.signals.catalogue import is_heeded, numbered, profile, register, using, ways
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


class Few:
    """A lake of which only its small tables are asked."""

    root = "somewhere"

    def __init__(self, **tables: Sequence[tuple[Any, ...]]) -> None:
        columns = {
            "profiles": ("n", "extractor", "language", "fingerprint"),
            "calibrations": ("fingerprint", "full_fingerprint", "language", "n", "equal"),
            "extractors": ("fingerprint", "name", "model_id"),
        }
        self.tables = {
            name: [
                SimpleNamespace(**dict(zip(columns[name], row, strict=True))) for row in tables.get(name, ())
            ]
            for name in columns
        }

    def few(self, name: str) -> list[Any]:
        return self.tables[name]


VERDICTS = [
    ("cut", "full", "de", 2, False),
    ("cut", "full", "de", 1, True),
    ("cut", "full", "en", 1, True),
    ("cut", "full", "fr", 1, True),
]
RAN = [
    *(("cut", "whisper", "base"), ("full", "whisper", "base"), ("large", "whisper", "large")),
    *(("int8", "whisper", "small"), ("float16", "whisper", "small"), ("vad", "speech", "silero")),
]


@pytest.mark.parametrize(
    ("said", "now"),
    [
        # A verdict that was taken back puts full windows in the place of cut ones, and only there.
        ([("de", "cut"), ("en", "cut"), (None, "full")], [("de", "full"), ("en", "cut"), (None, "full")]),
        # Cut windows for every language are cut windows for those that were found equal.
        ([(None, "cut")], [("en", "cut"), ("fr", "cut"), (None, "full")]),
        ([("fr", "large"), (None, "cut")], [("en", "cut"), ("fr", "large"), (None, "full")]),
        # Equal is no reason to leave full windows: those are what was measured.
        ([(None, "full")], [(None, "full")]),
    ],
)
def test_cut_windows_are_current_only_for_languages_whose_newest_verdict_is_equal(said, now):
    rows = [(n, "whisper", language, fingerprint) for n, (language, fingerprint) in enumerate(said)]
    found = profile(Few(profiles=rows, calibrations=VERDICTS))  # type: ignore[arg-type]
    assert spelled(found["whisper"]) == now


def test_cut_windows_are_set_only_for_languages_that_they_were_found_equal_for():
    lake: Any = Few(calibrations=VERDICTS)
    said = [("cut", "en"), ("cut", "de"), ("cut", "ka"), ("cut", None), ("full", "de"), ("other", None)]
    assert [is_heeded(lake, *each) for each in said] == [True, False, False, True, True, True]


def spelled(entries: Any) -> list[tuple[str | None, str]]:
    return [
        (language, fingerprint)
        for languages, fingerprint in entries
        for language in (sorted(languages) if languages else [None])
    ]


@pytest.mark.parametrize(
    ("said", "base"),
    [
        ([("en", "cut"), (None, "full")], [("en", "cut"), (None, "full")]),
        ([(None, "full")], [(None, "full")]),
        ([("en", "cut"), (None, "large")], [("en", "cut"), (None, "full")]),
        ([(None, "large")], [("en", "cut"), ("fr", "cut"), (None, "full")]),
    ],
)
def test_a_model_stands_for_what_the_profile_says_of_it_language_by_language(said, base):
    rows = [(n, "whisper", language, fingerprint) for n, (language, fingerprint) in enumerate(said)]
    lake: Any = Few(profiles=rows, calibrations=VERDICTS, extractors=RAN)
    found = ways(lake)
    assert spelled(found["base"][1]) == base
    assert found["large"] == ("whisper", [(None, "large")])
    assert found["int8"] == ("whisper", [(None, "int8")])
    # Of two ways of one model that no profile names, none is taken for the other.
    assert found["small"] == ("whisper", [])
    assert spelled(using(lake, {"whisper": [(None, "base")]})["whisper"]) == base
    with pytest.raises(UsageError, match="ran here in 2 ways") as error:
        using(lake, {"whisper": [(None, "small")]})
    assert "float16, int8" in str(error.value)


def test_a_policy_that_names_models_for_some_languages_leaves_the_others_to_the_profile():
    rows = [(1, "whisper", None, "full"), (2, "whisper", "ka", "large"), (3, "whisper", "en", "cut")]
    lake: Any = Few(profiles=rows, calibrations=VERDICTS, extractors=RAN)
    found = using(lake, {"whisper": [(frozenset(["ka"]), "base"), (frozenset(["fr"]), "large")]})
    assert spelled(found["whisper"]) == [
        ("ka", "full"),
        ("fr", "large"),
        *(("en", "cut"), ("ka", "large"), (None, "full")),
    ]
    with pytest.raises(UsageError, match=r"'silero' for whisper, which measured nothing here .*base, large"):
        using(lake, {"whisper": [(None, "silero")]})
