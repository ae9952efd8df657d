"""A small lake with somebody who will ask to be forgotten: in her own manifest, in others', in two corpora."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lake_tools import QUIET, ingest, says, wav, write_lines

from speechlake.commands import build_splits, extract_signals, find_duplicates
from speechlake.config import loads
from speechlake.erasure.request import Request
from speechlake.signals.audio import Audio
from speechlake.signals.plan import wanted_of
from speechlake.splits.policy import Policy

if TYPE_CHECKING:
    from speechlake.lake import Lake

WHO = "zoefalke"
TEXT = "zebras cross the zambezi"
POLICY = """
name: story
text: {prefer: [manifest]}
keep: [{rule: length, signal: audio.duration_s, at_least: 0.2}]
splits: {scheme: main, salt: 5, test: {hours: 1, max_share: 0.4}}
"""
OTHERS = ("anna", "ben", "carl", "dora", "emil")


def request(**said: Any) -> Request:
    """A request for the story's speaker, unless told otherwise."""
    whole = {"reference": "p-17", "requested_by": "privacy office", "date": "2026-11-25"}
    return Request.model_validate({**whole, "erase": [{"speaker": WHO, "corpus": "talks"}], **said})


def filled(lake: Lake, folder: Path) -> Path:
    """Talks (hers, others', a panel that she shares, a copy of hers), and more in the same namespace; the folder."""
    talks, more = folder / "talks", folder / "more"
    for n in range(3):
        wav(talks / f"{WHO}-{n}.wav", seed=n, seconds=0.5)
        wav(more / f"more-{n}.wav", seed=50 + n, seconds=0.5)
    for n, name in enumerate(OTHERS):
        wav(talks / f"{name}.wav", seed=20 + n, seconds=0.5)
    wav(talks / "panel.wav", seed=40, seconds=1)
    wav(talks / "copy.wav", seed=2, seconds=0.5)
    write_lines(
        talks / f"{WHO}.jsonl",
        *(says(f"{WHO}-{n}.wav", f"{TEXT} {n}", speaker=WHO, id=f"z{n}", lang="en") for n in range(3)),
    )
    write_others(talks / "others.jsonl")
    whose = {0: WHO, 1: "fred", 2: "gina"}
    lines = [says(f"more-{n}.wav", f"more of {n}", speaker=name, lang="en") for n, name in whose.items()]
    write_lines(more / "more.jsonl", *lines)
    # By its name, which then stands among the arguments of a run.
    ingest(lake, talks / f"{WHO}.jsonl", corpus="talks", roots={"audio": str(talks)})
    take(lake, folder)
    return folder


def write_others(path: Path, *more: bytes) -> None:
    """The manifest of all, in which she has a turn on a panel, a line said twice, and one that is refused."""
    turn = says("panel.wav", f"{TEXT} again", speaker=WHO, lang="en", offset=0.5, duration=0.5)
    write_lines(
        path,
        *(says(f"{name}.wav", f"what {name} says", speaker=name, lang="en") for name in OTHERS),
        says("panel.wav", "the floor is yours", speaker="anna", lang="en", offset=0.0, duration=0.5),
        turn,
        turn,
        says("panel.wav", f"{TEXT} backwards", speaker=WHO, lang="en", offset=0.7, duration=-1),
        says("copy.wav", "a copy", speaker="ben", lang="en"),
        *more,
    )


def take(lake: Lake, folder: Path) -> list[Any]:
    """Ingest both corpora as they lie there."""
    talks, more = folder / "talks", folder / "more"
    return [
        ingest(lake, talks, corpus="talks", roots={"audio": str(talks)}, max_reject=0.3),
        ingest(lake, more, corpus="more", roots={"audio": str(more)}, speaker_namespace="talks"),
    ]


def released(lake: Lake, *, duplicates: bool = False) -> None:
    """Signals, maybe who shares audio, and a release `r1`."""
    extract_signals.run(lake, wanted_of([Audio()]), corpus=None, progress=QUIET)
    if duplicates:
        find_duplicates.run(lake, progress=QUIET)
    build_splits.run(lake, loads(POLICY, "p", Policy), POLICY, release="r1", progress=QUIET)


def needles(lake: Lake) -> list[str]:
    """Whatever tells of her: name, texts, files, and the ids of her utterances and recordings."""
    mine = lake.read("utterances").where(f"speaker_id = 'talks:{WHO}'").collect()
    alone = [row.recording_id for row in mine if row.channel and row.recording_id not in _shared(lake)]
    return sorted({WHO, TEXT, "more-0.wav", *(row.utterance_id for row in mine), *alone})


def _shared(lake: Lake) -> set[str]:
    others = lake.read("utterances").where(f"speaker_id != 'talks:{WHO}'").collect()
    return {row.recording_id for row in others}


def of_others(lake: Lake) -> Iterator[tuple[str, list[str]]]:
    """(table, rows as text) of everyone else, by value, in an order of their own."""
    gone = set(needles(lake))
    for name in sorted(lake.versions()):
        rows = [
            {k: v for k, v in row.asDict(recursive=True).items() if k not in ("raw_line", "detail", "run_id")}
            for row in lake.read(name).collect()
        ]
        yield name, sorted(repr(row) for row in rows if not any(word in repr(row) for word in gone))
