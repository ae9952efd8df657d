"""A world for tests of splits: rows that share clips, texts, sessions, books and voices, delivered, corrected and
retired between releases."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from splits_tables import candidate

# Corpora of one voice, and its name, which rows of others may have too; `solo` and `duo` do not always say it.
VOICES = {"solo": "s0", "duo": "s1"}
CORPORA = {"c": 10, "d": 5, "solo": 2, "duo": 2, "bench": 1}
# A clip in more recordings is boilerplate; in a lake it is 20, too many for a small world.
BOILERPLATE_RECORDINGS = 6
# What `find-duplicates` says of a row: whose copy it is, with whom it shares audio, and how.
COPIES = ("cluster_id", "overlap_id", "duplicate_kind")


def somebody(rng: random.Random, row: Mapping[str, Any]) -> str | None:
    """A speaker whom other rows have too; in a corpus of one voice that one, or nobody."""
    if row["single_speaker"]:
        return rng.choice([None, VOICES[row["corpus"]]])
    return rng.choice([None, *(f"s{n}" for n in range(60))])


def some_book(rng: random.Random, row: Mapping[str, Any]) -> dict[str, str]:
    return rng.choice([{}, {"book": f"b{rng.randrange(40)}"}])


def some_text(rng: random.Random, row: Mapping[str, Any]) -> str:
    number = rng.randrange(60)
    return f"sentence number {number} of some words said {number}"


# What somebody may say otherwise of a row, from one release to the next; `retired_in` twice as often.
CORRECTIONS: tuple[tuple[str, Callable[[random.Random, Mapping[str, Any]], Any]], ...] = (
    ("speaker_id", somebody),
    ("audio_duration_s", lambda rng, row: rng.choice([0.1, 3.0])),
    ("audio_clipped_ratio", lambda rng, row: rng.choice([0.0, 0.5])),
    ("listed", lambda rng, row: rng.choice([None, "dev", "test"])),
    ("session_id", lambda rng, row: rng.choice([None, f"c:{rng.randrange(40)}"])),
    ("extras", some_book),
    ("text", some_text),
    ("not_compared", lambda rng, row: rng.random() < 0.3),
    *(2 * (("retired_in", lambda rng, row: rng.choice([None, "m"])),)),
)


@dataclass
class Line:
    """A row and the clips that are heard in it, mostly one; `is_exact` where its bytes are those of the clip."""

    row: dict[str, Any]
    clips: frozenset[int]
    is_exact: bool

    @property
    def name(self) -> str:
        return str(self.row["utterance_id"])

    @property
    def is_retired(self) -> bool:
        return self.row["retired_in"] is not None

    @property
    def samples(self) -> str:
        return f"samples of {min(self.clips) if self.is_exact and len(self.clips) == 1 else self.name}"


@dataclass
class World:
    """All that was delivered so far; `published` names what some release kept, `boilerplate` clips that ever were."""

    rng: random.Random
    clips: int
    lines: list[Line] = field(default_factory=list)
    published: set[str] = field(default_factory=set)
    boilerplate: set[int] = field(default_factory=set)
    evaluation_corpora: set[str] = field(default_factory=lambda: {"bench"})

    def deliver(self, count: int) -> None:
        """Add `count` lines."""
        self.lines += [self._line(len(self.lines) + n) for n in range(count)]

    def _line(self, number: int) -> Line:
        rng = self.rng
        corpus = rng.choices([*CORPORA], [*CORPORA.values()])[0]
        row = candidate(
            f"u{number:04d}",
            start_ms=5000 * number,
            corpus=corpus,
            single_speaker=corpus in VOICES,
            recording_id=f"r{rng.randrange(60)}" if rng.random() < 0.1 else f"own {number}",
            session_id=f"c:{rng.randrange(40)}" if rng.random() < 0.15 else None,
            listed=rng.choice(["dev", "test"]) if rng.random() < 0.03 else None,
            audio_clipped_ratio=rng.choice([0.0, 0.0, 0.5]),
            audio_duration_s=rng.choice([0.1, 2.0, 3.0, 3.0, 4.0, 5.0]),
        )
        if row["single_speaker"] or rng.random() < 0.7:
            row["speaker_id"] = somebody(rng, row)
        if rng.random() < 0.3:
            row["extras"] = some_book(rng, row)
        row["text"] = some_text(rng, row) if rng.random() < 0.4 else f"what {number} alone says of {number}"
        heard = {rng.randrange(self.clips) for _ in range(1 + (rng.random() < 0.08))}
        return Line(row, frozenset(heard), rng.random() < 0.3)

    def correct(self, share: float) -> None:
        """Say something otherwise of a `share` of all lines; at times a whole corpus evaluates, or does so no more."""
        if self.rng.random() < 0.2:
            self.evaluation_corpora ^= {"d"}
        for line in self.lines:
            if self.rng.random() < share:
                column, drawn = self.rng.choice(CORRECTIONS)
                line.row[column] = drawn(self.rng, line.row)

    def rows(self) -> list[dict[str, Any]]:
        """Candidates, with what `find-duplicates` would say of them: it knows what is there, or was published."""
        compared = [line for line in self.lines if not line.is_retired or line.name in self.published]
        often = Counter(clip for line in compared if not line.is_retired for clip in line.clips)
        common = {clip for clip, times in often.items() if times > BOILERPLATE_RECORDINGS}
        self.boilerplate |= common
        said = copies(compared, common)
        unsaid = (None, None, None)
        found = []
        for line in self.lines:
            row = line.row | dict(zip(COPIES, said.get(line.name, unsaid), strict=True))
            row["audio_samples_sha256"] = line.samples
            if row["corpus"] in self.evaluation_corpora:
                row |= {"role": "evaluation", "evaluation_texts": [row["text"]]}
            found.append(row)
        return found


def copies(lines: list[Line], common: set[int]) -> dict[str, tuple[str, str, str]]:
    """COPIES of each line that shares a clip with others, whatever others, or has nothing but `common` clips."""
    first: dict[int, int] = {}

    def of(clip: int) -> int:
        return clip if first.setdefault(clip, clip) == clip else of(first[clip])

    own = {line.name: line.clips - common for line in lines}
    for clips in own.values():
        for clip in clips:
            one, other = sorted((of(clip), of(min(clips))))
            first[other] = one
    sharing = Counter(of(min(clips)) for clips in own.values() if clips)
    alike = Counter(line.samples for line in lines)
    said = {}
    for line in lines:
        if not own[line.name]:
            jingle = f"jingle {min(line.clips)}"
            said[line.name] = (jingle, jingle, "boilerplate")
        elif sharing[of(min(own[line.name]))] > 1:
            is_part = len(line.clips) > 1
            kind = "contained" if is_part else "exact" if alike[line.samples] > 1 else "near"
            cluster = f"part {line.name}" if is_part else f"clip {min(line.clips)}"
            said[line.name] = (cluster, f"overlap {of(min(own[line.name]))}", kind)
    return said


@dataclass
class Release:
    """The side of each row that a release keeps, and all rows by name."""

    sides: dict[str, str]
    rows: dict[str, dict[str, Any]]

    def on(self, value: Callable[[dict[str, Any]], Any]) -> dict[Any, set[str]]:
        """The sides of each value that a kept row has."""
        found = defaultdict(set)
        for name, side in self.sides.items():
            found[value(self.rows[name])].add(side)
        found.pop(None, None)
        return found

    def voice(self, row: dict[str, Any]) -> str | None:
        """The speaker; of a nameless row of a corpus of one voice that of its other rows."""
        if row["speaker_id"] or not row["single_speaker"]:
            return row["speaker_id"]
        return next(
            filter(None, (r["speaker_id"] for r in self.rows.values() if r["corpus"] == row["corpus"])), None
        )

    @property
    def evaluating(self) -> list[dict[str, Any]]:
        """Rows that do not train."""
        return [self.rows[name] for name, side in self.sides.items() if side != "train"]


def book(row: Mapping[str, Any]) -> str | None:
    """A book, of one namespace."""
    named = row["extras"].get("book")
    return named and f"{row['speaker_namespace']}: {named}"
