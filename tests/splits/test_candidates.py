"""What a build reads of candidates is named before they are joined; nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
from splits_tables import candidate, candidates, policy, unassigned

from speechlake.splits.build import build, columns_read
from speechlake.splits.candidates import candidates as joined
from speechlake.splits.candidates import heard_voices
from speechlake.splits.columns import COLUMNS
from speechlake.splits.judging import judged
from speechlake.splits.signals import SIGNALS

TEXT = {"prefer": ["manifest"]}
OF_KINDS = [
    {"rule": "same_language", "minimum_probability": 0.5},
    {"rule": "error_rate", "at_most": 0.3, "min_units": 2},
]
# Every signal and column that there is, and every kind of rule.
EVERYTHING = policy(
    text=TEXT,
    keep=[
        *({"rule": f"s{n}", "signal": name, "is": None} for n, name in enumerate(SIGNALS)),
        *({"rule": f"c{n}", "column": name, "is": None} for n, name in enumerate(COLUMNS)),
        {"rule": "extra", "column": "extras.votes", "at_least": 2},
        *OF_KINDS,
    ],
)
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


def _rows(frame: Any) -> list[str]:
    """Maps among them, by which Spark sorts nothing."""
    return sorted(str(row.asDict(recursive=True)) for row in frame.collect())


@pytest.mark.parametrize("asked", [EVERYTHING, policy()], ids=["everything", "nothing"])
def test_judging_reads_no_column_that_is_not_named(spark: Any, asked: Any) -> None:
    frame = candidates(spark, candidate("u"))
    named = [name for name in frame.columns if name in columns_read(asked)]
    assert {"said", "fits_train"} <= {*judged(frame.select(*named), asked).columns}
    assert len(named) < len(frame.columns)


def test_a_build_of_the_named_columns_is_that_of_all(spark: Any) -> None:
    rows = [
        candidate(f"u{n}", extras={"book": str(n % 3)}, session_id=f"s{n % 4}", audio_duration_s=n / 2)
        for n in range(12)
    ]
    frame = candidates(spark, *rows)
    named = [name for name in frame.columns if name in columns_read(RICH)]
    wide, narrow = (build(each, RICH, unassigned(spark)) for each in (frame, frame.select(*named)))
    for part in ("splits", "decisions", "assignments"):
        assert _rows(getattr(narrow, part)) == _rows(getattr(wide, part)) != []


def test_columns_that_are_joined_in_structs_hold_what_all_hold(sample: Any) -> None:
    named = columns_read(RICH)
    wide = joined(sample, RICH)
    narrow = joined(sample, RICH, only=named)
    assert {*narrow.columns} == {*wide.columns} & named
    assert _rows(narrow) == _rows(wide.select(*narrow.columns))
    assert narrow.filter("score_wer > 0 AND audio_duration_s > 0").count() > 0


def test_voices_are_null_where_none_was_measured(sample: Any) -> None:
    heard = heard_voices(sample, RICH)
    assert heard.columns == ["utterance_id", "speaker_embedding"]
    assert heard.filter("speaker_embedding IS NOT NULL").count() == 0
    assert heard.count() == sample.read("utterances").count()
