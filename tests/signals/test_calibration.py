"""Cut windows only where they were found equal: the verdict, the choice that follows from it, and the whole way."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import soundfile
from lake_tools import QUIET, ingest, says, write_lines

from speechlake.commands import calibrate, extract_signals
from speechlake.commands.extract_signals import wanted_of
from speechlake.errors import UsageError
from speechlake.schemas import (
    CALIBRATIONS,
    CORPORA,
    EXTRACTORS,
    PROFILES,
    RECORDINGS,
    SIGNALS_AUDIO,
    SIGNALS_WHISPER,
    TRANSCRIPTS,
    UTTERANCES,
)
from speechlake.signals.calibration import (
    calibrated_languages,
    in_cut_windows,
    sampled,
    verdict,
    write_verdicts,
)
from speechlake.signals.choice import is_of_profile, wanted_by_profile, wanted_whisper, whisper_of
from speechlake.signals.outlook import show_outlook
from speechlake.signals.plan import Wanted, unmeasured
from speechlake.signals.whisper import Whisper
from speechlake.signals.whisper_flags import as_flags, whisper_options
from speechlake.text.alignment import Counts
from speechlake.text.paired import Paired

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from speechlake.lake import Lake

HOW = Whisper(model="whisper-tiny.en")
CUT = replace(HOW, windows="cut")
CUT_FP, FULL_FP = CUT.identity().fingerprint, HOW.identity().fingerprint
NONE = Counts(0, 0, 0, 0)


def paired(clips: int = 300, rate: float | None = 0.1, high: float | None = 0.004) -> Paired:
    """A comparison of full windows (a) with cut ones (b)."""
    return Paired(clips, 10, NONE, NONE, rate, rate, 0.0, -0.004, high, 0.5, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("found", "flips", "runaways", "equal", "why"),
    [
        (paired(), 0, 0, True, "not worse"),
        (paired(high=0.0051), 0, 0, False, "0.5 points higher"),
        (paired(rate=0.4, high=0.0199), 0, 0, True, "not worse"),  # a twentieth of the error rate
        (paired(clips=49), 0, 0, False, "49 clips"),
        (paired(rate=None, high=None), 0, 0, False, "no reference"),
        (paired(), 3, 3, True, "not worse"),
        (paired(), 4, 0, False, "4 clips change"),
        (paired(), 0, 4, False, "4 more texts"),
    ],
)
def test_cut_windows_are_equal_while_nothing_speaks_against_them(
    found: Paired, flips: int, runaways: int, equal: bool, why: str
) -> None:
    said = verdict("de", found, {"language_changed": flips, "a_runaway": 2, "b_runaway": 2 + runaways})
    assert (said.equal, said.flips, said.runaways) == (equal, flips, runaways)
    assert why in said.why


@pytest.fixture(scope="module")
def judged(spark: Any, rows: Callable[..., DataFrame], tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """English equal, German no longer; four utterances of which one was measured in cut windows."""
    from speechlake.lake import Lake

    lake = Lake(spark, tmp_path_factory.mktemp("judged"))
    verdicts = [
        (CUT_FP, "en", 1, True),
        (CUT_FP, "de", 1, True),
        (CUT_FP, "de", 2, False),
        ("other", "fr", 1, True),
    ]
    identity = {"name": "whisper", "model_id": "whisper-tiny.en"}
    with lake.hold("fill", "c", "r") as hold:

        def put(table: Any, *literal: tuple[Any, dict[str, Any]]) -> None:
            hold.append_missing(table.name, rows(table, *literal))

        for fingerprint, language, n, equal in verdicts:
            said = {"language": language, "n": n, "equal": equal, "full_fingerprint": FULL_FP}
            put(CALIBRATIONS, (fingerprint, said))
        for fingerprint, how in ((CUT_FP, CUT), (FULL_FP, HOW)):
            parameters = json.dumps(how.identity().parameters)
            put(EXTRACTORS, (fingerprint, {**identity, "parameters": parameters}))
        put(PROFILES, (1, {"extractor": "whisper", "fingerprint": FULL_FP}))
        put(PROFILES, (2, {"extractor": "whisper", "fingerprint": CUT_FP, "language": "en"}))
        put(CORPORA, ("c", {"role": "training", "ids": "interval"}))
        put(RECORDINGS, ("r1", {"corpus": "c", "listing_key": "k", "state": "present"}))
        spoken = {"u1": "en-US", "u2": "de", "u3": None, "u4": "en"}
        of = {"corpus": "c", "recording_id": "r1", "end_ms": 1000}
        put(UTTERANCES, *((u, {**of, "language": said}) for u, said in spoken.items()))
        hashes = {
            row.utterance_id: row.h
            for row in lake.read("utterances").select("utterance_id", _inputs_hash()).collect()
        }
        filed = {
            "corpus": "c",
            "content_sha256": "listing:k",
            "fingerprint": CUT_FP,
            "inputs_hash": hashes["u4"],
        }
        put(SIGNALS_WHISPER, ("u4", filed))
    return lake


def _inputs_hash() -> Any:
    from speechlake.signals.plan import inputs_hash

    return inputs_hash(Whisper.inputs).alias("h")


def told(wanted: list[Wanted]) -> list[tuple[str, frozenset[str] | None, frozenset[str]]]:
    return [(each.fingerprint, each.languages, each.but) for each in wanted]


def test_the_newest_verdict_on_these_very_parameters_counts(judged: Lake) -> None:
    assert calibrated_languages(judged, CUT_FP) == {"en"}
    assert calibrated_languages(judged, FULL_FP) == set()


def test_fast_means_cut_windows_for_the_languages_found_equal_and_full_ones_for_the_rest(
    judged: Lake,
) -> None:
    english = frozenset({"en"})
    assert told(wanted_whisper(judged, HOW, "fast")) == [
        (CUT_FP, english, frozenset()),
        (FULL_FP, None, english),
    ]
    assert told(wanted_whisper(judged, HOW, "accurate")) == [(FULL_FP, None, frozenset())]


def test_the_profile_is_measured_language_by_language(judged: Lake) -> None:
    wanted = wanted_by_profile(judged, "whisper", {"device": "cpu"}, "fast")
    assert sorted(told(wanted), key=str) == sorted(
        [(CUT_FP, frozenset({"en"}), frozenset()), (FULL_FP, None, frozenset({"en"}))], key=str
    )


def test_accurate_means_full_windows_whatever_the_profile_says(judged: Lake) -> None:
    assert told(wanted_by_profile(judged, "whisper", {}, "accurate")) == [(FULL_FP, None, frozenset())]


def test_naming_what_the_profile_names_measures_in_the_windows_of_the_profile(judged: Lake) -> None:
    """Else the new clips of a language that was calibrated later would be measured for nobody."""

    def wanted(*flags: str) -> Any:
        return told(
            wanted_of(
                extract_signals.arguments().parse_args(["--lake", "x", "--extractor", "whisper", *flags]),
                judged,
            )
        )

    by_profile = [(CUT_FP, frozenset({"en"}), frozenset()), (FULL_FP, None, frozenset({"en"}))]
    same = ("--device", "cpu", "--model", "whisper-tiny.en")
    assert wanted("--device", "cpu") == wanted(*same) == by_profile
    assert not is_of_profile(judged, replace(HOW, compute_type="int8", beam_size=5))
    assert is_of_profile(judged, replace(HOW, compute_type="int8", windows="cut"))


def test_flags_name_an_extractor_again() -> None:
    how = replace(HOW, beam_size=5, temperatures=(0.0, 0.4), initial_prompt="Dr. No's", hotwords="a b")
    parsed = extract_signals.arguments().parse_args(["--lake", "x", *shlex.split(as_flags(how))])
    assert Whisper(**whisper_options(parsed)) == how


def test_whisper_is_the_profiles_but_for_the_options_given(judged: Lake, lake: Lake) -> None:
    int8 = replace(HOW, compute_type="int8")
    assert whisper_of(judged, {"beam_size": 5}, {"device": "cuda"}) == replace(
        int8, beam_size=5, device="cuda"
    )
    assert whisper_of(judged, {"model": "whisper-base"}, {}) == Whisper()
    assert whisper_of(lake, {"beam_size": 5}, {}) == Whisper(beam_size=5)


def test_an_utterance_is_planned_for_the_fingerprint_of_its_language_only(judged: Lake) -> None:
    rows = unmeasured(judged, "c", wanted_whisper(judged, HOW, "fast")).collect()
    assert {row.utterance_id: list(row.needs) for row in rows} == {
        "u1": [CUT_FP],
        "u2": [FULL_FP],
        "u3": [FULL_FP],
    }


def test_the_outlook_says_what_would_run_and_runs_nothing(
    judged: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    before = judged.versions()
    report = show_outlook("extract-signals", judged, wanted_whisper(judged, HOW, "fast"), None, 2.0)
    assert report.counts["utterances"] == 3
    assert report.counts["hours"] == pytest.approx(3 / 3600, abs=1e-4)
    assert report.counts["predicted_price"] is None  # nothing like it ran here
    assert "at a guess" in capsys.readouterr().out
    assert judged.versions() == before


def test_a_sample_holds_what_can_count_and_what_is_heard_in_a_full_window_is_no_evidence(
    lake: Lake, rows: Any
) -> None:
    known: dict[str, dict[str, Any]] = {
        "short": {"end_ms": 22_000},
        "long": {"end_ms": 22_001},
        "told": {"declared_duration_s": 30.0},
        "measured": {},
        "unknown": {},
        "gone": {"end_ms": 1000},
        "a title": {"end_ms": 1000},
        "a podcast": {},
    }
    with lake.hold("fill", "c", "r") as hold:

        def put(table: Any, *literal: tuple[Any, dict[str, Any]]) -> None:
            hold.append_missing(table.name, rows(table, *literal))

        place = {"corpus": "c", "listing_key": "k"}
        states = {u: "missing" if u == "gone" else "present" for u in known}
        put(RECORDINGS, *((u, {**place, "state": state}) for u, state in states.items()))
        said = {"corpus": "c", "language": "de"}
        put(UTTERANCES, *((u, {**said, "recording_id": u, **length}) for u, length in known.items()))
        sources = {u: "manifest:title" if u == "a title" else "manifest" for u in known}
        put(TRANSCRIPTS, *((u, {"corpus": "c", "kind": "human", "source": s}) for u, s in sources.items()))
        lengths = {"measured": 20.0, "a podcast": 3600.0}
        put(SIGNALS_AUDIO, *((u, {"corpus": "c", "duration_s": s}) for u, s in lengths.items()))
        heard = {"corpus": "c", "fingerprint": CUT_FP, "tokens_per_second": 2.0}
        put(
            SIGNALS_WHISPER,
            ("short", {**heard, "tokens": 44}),
            ("measured", {**heard, "tokens": 46}),  # 23 s by now
        )
    chosen = sampled(lake, None, 10)
    assert {row.utterance_id for row in chosen.collect()} == {"short", "measured"}
    assert [row.utterance_id for row in in_cut_windows(lake, CUT_FP, chosen).collect()] == ["short"]
    assert sampled(lake, ["de"], 1).count() == 1
    assert sampled(lake, ["en"], 1).isEmpty()


def test_a_verdict_of_too_few_clips_takes_no_other_ones_place(lake: Lake) -> None:
    def written(clips: int, rate: float, *languages: str) -> int:
        changed = {"language_changed": 0, "a_runaway": 0, "b_runaway": 0}
        found = [verdict(language, paired(clips, rate), changed) for language in languages]
        with lake.hold("calibrate", "lake", "r") as hold:
            return write_verdicts(hold, FULL_FP, CUT_FP, found)

    assert written(300, 0.1, "en") == 1
    assert written(20, 0.2, "de", "en") == 1
    assert calibrated_languages(lake, CUT_FP) == {"en"}
    assert written(50, 0.2, "de") == 1
    assert calibrated_languages(lake, CUT_FP) == {"en", "de"}


def test_translations_are_not_calibrated(judged: Lake) -> None:
    with pytest.raises(UsageError, match="a translation has none"):
        calibrate.run(judged, replace(HOW, task="translate"), languages=None, clips=100, progress=QUIET)


@pytest.fixture(scope="module")
def calibrated(
    spark: Any, speech: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Lake, dict[str, Any]]:
    """Sixty transcribed English clips, calibrated twice, then measured."""
    from speechlake.lake import Lake

    folder = tmp_path_factory.mktemp("calibrated")
    lake = Lake(spark, folder / "lake")
    lines = (speech / "texts" / "en.txt").read_text("utf-8-sig").splitlines()
    texts = dict(line.split(": ", 1) for line in lines if ": " in line and line[0] != ";")
    voice = speech / "en_US_f_Allison"
    named = [(voice / f"{name}.wav", text) for name, text in sorted(texts.items())]
    there = [(file, text) for file, text in named if file.exists() and file.stat().st_size > 30_000][:60]
    manifest = write_lines(
        folder / "m.jsonl",
        *(says(str(f), text, lang="en", duration=soundfile.info(f).duration) for f, text in there),
    )
    ingest(lake, manifest, roots={"audio": str(speech)})
    reports = {
        name: calibrate.run(lake, HOW, languages=None, clips=100, progress=QUIET)
        for name in ("first", "again")
    }
    profile = [row.asDict() for row in lake.read("profiles").collect()]
    wanted = wanted_whisper(lake, HOW, "fast")
    reports["extracted"] = extract_signals.run(lake, wanted, corpus="c", promote=True, progress=QUIET)
    return lake, {**reports, "profile": profile, "wanted": wanted}


@pytest.mark.slow
@pytest.mark.long
def test_a_calibration_measures_both_ways_and_stores_what_it_found_once(calibrated: Any) -> None:
    lake, found = calibrated
    (row,) = lake.read("calibrations").collect()
    # One of the sixty is longer than 22 s: it would be heard in a full window both times.
    assert (row.language, row.n, row.clips, row.fingerprint) == ("en", 1, 59, CUT_FP)
    assert row.difference_low <= row.cut_error_rate - row.full_error_rate <= row.difference_high
    assert 0 < row.full_error_rate < 0.3
    assert row.equal == (row.why == "not worse")
    assert (found["first"].outcome, found["again"].outcome) == ("done", "nothing to do")
    assert found["profile"] == []


@pytest.mark.slow
@pytest.mark.long
def test_what_a_calibration_measured_is_not_measured_again(calibrated: Any) -> None:
    lake, found = calibrated
    counted = lake.read("signals_whisper").groupBy("fingerprint").count().collect()
    # The one that was not in the sample is heard as the verdict says.
    (late,) = {CUT_FP, FULL_FP} & {
        w.fingerprint for w in found["wanted"] if "en" in (w.languages or {"en"} - w.but)
    }
    assert {row.fingerprint: row["count"] for row in counted} == {CUT_FP: 59, FULL_FP: 59} | {late: 60}
    assert found["extracted"].counts["utterances"] == 1


@pytest.mark.slow
@pytest.mark.long
def test_promoting_makes_current_what_was_measured_for_each_language(calibrated: Any) -> None:
    lake, found = calibrated
    current = {(row.language, row.fingerprint) for row in lake.read("profiles").collect()}
    expected = {
        (language, each.fingerprint) for each in found["wanted"] for language in each.languages or [None]
    }
    assert current == expected
