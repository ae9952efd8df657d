"""What a build reads of candidates is named before they are joined; nothing else is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import AnalysisException
from sample_lake import write_rows
from splits_tables import candidate, candidates, policy, unassigned

from speechlake.checkpoints import planned_at_once
from speechlake.errors import ConfigError
from speechlake.schemas import (
    CONTENT_HASHES,
    PROFILES,
    RECORDINGS,
    RELEASES,
    SIGNALS_SPEAKER,
    TRANSCRIPTS,
    UTTERANCES,
)
from speechlake.splits.build import build, columns_read
from speechlake.splits.candidates import candidates as joined
from speechlake.splits.candidates import heard_voices
from speechlake.splits.columns import COLUMNS
from speechlake.splits.fields import refuse_unknown_fields
from speechlake.splits.judging import judged
from speechlake.splits.signals import SIGNALS

TEXT = {"prefer": ["manifest"]}
OF_KINDS = [
    {"rule": "same_language", "minimum_probability": 0.5},
    {"rule": "error_rate", "at_most": 0.3, "min_units": 2},
]
# Every signal and column that there is, and every kind of rule: what one leaves out, no other is to bring in.
EACH_ALONE: dict[str, dict[str, Any]] = {
    **{name: {"signal": name, "is": None} for name in SIGNALS},
    **{name: {"column": name, "is": None} for name in COLUMNS},
    "extras.votes": {"column": "extras.votes", "at_least": 2},
    "when": {
        "signal": "audio.duration_s",
        "at_least": 1,
        "when": {"signal": "speech.speech_ratio", "at_least": 0.5},
    },
    **{str(rule["rule"]): rule for rule in OF_KINDS},
}
RICH = policy(
    text=TEXT,
    keep=[
        {"rule": "length", "signal": "audio.duration_s", "between": [0.4, 30]},
        {"rule": "as_declared", "signal": "audio.declared_difference_s", "between": [-1, 1]},
        {"rule": "quiet", "signal": "flags.chars_per_speech_second", "at_most": 40, "if_missing": "pass"},
        {"rule": "loops", "signal": "flags.runaway", "is": False, "if_missing": "pass"},
        {"rule": "speaks", "signal": "speech.speech_ratio", "at_least": 0.3, "if_missing": "pass"},
        *({**rule, "if_missing": "pass"} for rule in OF_KINDS),
    ],
    overrides=[{"corpora": ["books"], "keep": [{"rule": "length", "between": [0.4, 12]}]}],
    links={"session": "together", "columns": {"extras.book": "exclude_from_train"}},
    duplicates={"keep": ["quality", "duration"]},
    splits={"test": {"hours": 1, "max_share": 0.3}},
)


def _named(frame: Any, asked: Any) -> list[str]:
    return [name for name in frame.columns if name in columns_read(asked)]


def _rows(frame: Any) -> list[str]:
    """Maps among them, by which Spark sorts nothing."""
    return sorted(str(row.asDict(recursive=True)) for row in frame.collect())


def test_judging_reads_no_column_that_is_not_named(spark: Any) -> None:
    frame = candidates(spark, candidate("u"))
    unnamed = {}
    for name, rule in EACH_ALONE.items():
        asked = policy(text=TEXT, keep=[{"rule": "it", **rule}])
        try:
            judged(frame.select(*_named(frame, asked)), asked)
        except AnalysisException as error:
            unnamed[name] = str(error).splitlines()[0]
    assert unnamed == {}


def test_hardly_any_column_is_named_where_a_policy_asks_for_nothing(spark: Any) -> None:
    frame = candidates(spark, candidate("u"))
    named = _named(frame, policy())
    assert {*judged(frame.select(*named), policy()).columns} >= {"said", "fits_train"}
    assert not [name for name in named if name.startswith(("whisper_", "speech_", "score_word"))]


def test_a_build_of_the_named_columns_is_that_of_all(spark: Any) -> None:
    rows = [
        candidate(f"u{n}", extras={"book": str(n % 3)}, session_id=f"s{n % 4}", audio_duration_s=n / 2)
        for n in range(12)
    ]
    frame = candidates(spark, *rows)
    narrowed = frame.select(*_named(frame, RICH))
    wide, narrow = (build(each, RICH, unassigned(spark)) for each in (frame, narrowed))
    for part in ("splits", "decisions", "assignments"):
        assert _rows(getattr(narrow, part)) == _rows(getattr(wide, part)) != []


def test_columns_that_are_joined_in_structs_hold_what_all_hold(sample: Any) -> None:
    named = columns_read(RICH)
    wide = joined(sample, RICH)
    narrow = joined(sample, RICH, only=named)
    assert {*narrow.columns} == {*wide.columns} & named
    with planned_at_once(sample.spark):
        found = _rows(narrow)
    assert found == _rows(wide.select(*narrow.columns))
    assert narrow.filter("score_wer > 0 AND audio_duration_s > 0").count() > 0


CLIPS = ("new", "old", "silent", "replaced")
# Clip, what it held, what measured it, its voice.
HEARD = [
    ("new", "bytes of new", "v2", [1.0]),
    ("new", "bytes of new", "v1", [2.0]),
    ("old", "bytes of old", "v1", [3.0]),
    ("silent", "bytes of silent", "v2", None),
    ("replaced", "what it held before", "v2", [4.0]),
]
TABLES = [
    (UTTERANCES, [{"utterance_id": clip, "recording_id": f"r-{clip}"} for clip in CLIPS]),
    (RECORDINGS, [{"recording_id": f"r-{clip}", "listing_key": "1", "state": "present"} for clip in CLIPS]),
    (
        CONTENT_HASHES,
        [
            {"recording_id": f"r-{clip}", "listing_key": "1", "content_sha256": f"bytes of {clip}"}
            for clip in CLIPS
        ],
    ),
    (
        SIGNALS_SPEAKER,
        [
            dict(zip(("utterance_id", "content_sha256", "fingerprint", "embedding"), row, strict=True))
            | {"inputs_hash": ""}
            for row in HEARD
        ],
    ),
    (PROFILES, [{"n": 1, "extractor": "speaker", "fingerprint": "v2"}]),
]


def test_voices_are_those_of_the_model_that_the_profile_names_and_of_what_is_there_now(lake: Any) -> None:
    for table, rows in TABLES:
        write_rows(lake.spark, Path(lake.root), table, rows)
    assert [tuple(row) for row in heard_voices(lake, policy()).collect()] == [("new", [1.0])]


def test_a_field_of_manifests_that_no_utterance_has_is_refused_with_the_nearest_name(lake: Any) -> None:
    utterances = [
        {"utterance_id": "a", "extras": [("room", "1"), ("licence", "x")]},
        {"utterance_id": "b", "extras": [("lab", "1")], "retired_in": "r"},
    ]
    write_rows(lake.spark, Path(lake.root), UTTERANCES, utterances)
    rule = {"rule": "nc", "when": {"column": "extras.licenze", "is": None}, "column": "licence", "is": None}
    said = {"rule": "x", "column": "extras.lab", "equals": "extras.nowhere"}
    refuse_unknown_fields(lake, policy(links={"columns": {"extras.room": "together"}}, keep=[said]))
    with pytest.raises(ConfigError, match=r"'extras\.rom'.*\n.*extras\.room"):
        refuse_unknown_fields(lake, policy(links={"columns": {"extras.rom": "together"}}))
    with pytest.raises(ConfigError, match=r"'extras\.licenze'"):
        refuse_unknown_fields(lake, policy(keep=[rule]))


def test_a_field_stays_good_to_a_policy_that_a_release_was_cut_by(lake: Any) -> None:
    gone = policy(links={"columns": {"extras.room": "together"}})
    write_rows(lake.spark, Path(lake.root), UTTERANCES, [{"utterance_id": "a"}])
    with pytest.raises(ConfigError, match="Manifests here have no fields"):
        refuse_unknown_fields(lake, gone)
    write_rows(lake.spark, Path(lake.root), RELEASES, [{"release": "r1", "policy_sha256": gone.digest()}])
    refuse_unknown_fields(lake, gone)


def test_a_text_of_manifests_that_no_utterance_has_is_refused_with_the_nearest_name(lake: Any) -> None:
    texts = [
        {"utterance_id": "a", "source": source, "text_sha256": source, "kind": "human"}
        for source in ("manifest", "manifest:normalised")
    ]
    write_rows(lake.spark, Path(lake.root), TRANSCRIPTS, texts)
    refuse_unknown_fields(lake, policy(text={"prefer": ["manifest:normalised", "manifest"]}))
    with pytest.raises(ConfigError, match=r"'manifest:normalized'.*\n.*manifest:normalised"):
        refuse_unknown_fields(lake, policy(text={"prefer": ["manifest:normalized", "manifest"]}))
