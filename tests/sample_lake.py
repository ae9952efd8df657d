"""A small lake of literal rows that has something to answer to every question: two corpora, two releases.

What is odd about its clips, c* of `calls` and b* of `books`: c0 is retired; c1 and b1 are the same audio; c2
and c3 are near copies; c4 was not heard again after the model was changed; c5 failed once for a passing reason;
c6 has other bytes than were measured; b4 does not decode; b5's file is missing. Written by delta-rs, which
takes a tenth of the time that Spark's appends do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lake_tools import default

from speechlake.schemas import TABLES, Table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from speechlake.lake import Lake

Row = dict[str, Any]
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
# Clip -> (language, speaker, seconds as decoded, seconds as declared, text of the manifest).
CLIPS: Mapping[str, tuple[str | None, str | None, float | None, float | None, str]] = {
    "c0": ("en", "calls:ann", 2.0, None, "gone"),
    "c1": ("en", "calls:ann", 4.0, 4.0, "how can i help you"),
    "c2": ("en", "calls:ann", 6.0, 9.0, "one two three four"),
    "c3": ("de", "calls:bob", 5.0, 5.0, "guten tag"),
    "c4": ("de", "calls:bob", 3.0, None, "auf wiedersehen"),
    "c5": ("en", None, None, 7.0, "hold the line"),
    "c6": ("en", None, 8.0, None, "thank you"),
    "b1": ("en", "books:eve", 4.0, None, "how can i help you"),
    "b2": ("en", "books:eve", 20.0, None, "call me ishmael some years ago"),
    "b3": (None, "books:joe", 10.0, None, "it was the best of times"),
    "b4": ("en", "books:joe", None, None, "it was the worst of times"),
    "b5": ("en", "books:joe", None, None, "it was the age of wisdom"),
}
HEARD = {
    "w1": {
        **{k: v[4] for k, v in CLIPS.items()},
        "c2": "one to three for",
        "b2": "call me fish mail some years ago",
    },
    "w2": {**{k: v[4] for k, v in CLIPS.items()}, "c3": "guten morgen", "b3": "it is the best of crimes"},
}
BY_MODEL = {"w1": ("c1", "c2", "c3", "c4", "b1", "b2", "b3"), "w2": ("c1", "c2", "c3", "b1", "b2", "b3")}
SIDES = {
    "first": {"c1": "train", "c2": "train", "c3": "train", "b2": "test"},
    "second": {"c1": "train", "c2": "train", "b2": "test", "b3": "dev"},
}
REASONS = {
    "first": {"c4": ["too_short"], "b1": ["duplicate_of_kept"], "b3": ["same_language"], "b4": ["decodes"]},
    "second": {
        "c3": ["error_rate", "same_language"],
        "c4": ["missing:whisper"],
        "c5": ["missing:audio"],
        "c6": ["missing:audio"],
        "b1": ["duplicate_of_kept"],
        "b4": ["decodes"],
        "b5": ["audio_missing"],
    },
}


def corpus_of(clip: str) -> str:
    """calls or books."""
    return {"c": "calls", "b": "books"}[clip[0]]


def content_of(clip: str) -> str:
    """What the bytes of a clip's file are now; c1 and b1 are the same."""
    return "content of c1" if clip == "b1" else f"content of {clip}"


def sample_rows(inputs: Callable[[str], Mapping[str, str]]) -> dict[str, list[Row]]:
    """{table: rows}; `inputs(extractor)` gives {clip: inputs_hash}."""
    return {
        "corpora": [{"corpus": name, "licence": "CC0-1.0", "role": "training"} for name in ("calls", "books")],
        "manifests": _manifests(),
        "quarantine": _quarantine(),
        "recordings": [_recording(clip) for clip in CLIPS],
        "content_hashes": [_content(clip) for clip in CLIPS if clip not in ("c6", "b5")],
        "utterances": [_utterance(clip) for clip in CLIPS],
        "transcripts": [_transcript(clip) for clip in CLIPS],
        "extractors": [
            {"fingerprint": fingerprint, "name": name, "model_id": model, "parameters": "{}"}
            for fingerprint, name, model in (
                *(("a1", "audio", None), ("s1", "speech", "silero"), ("k1", "audio_keys", None)),
                *(("w1", "whisper", "whisper-tiny.en"), ("w2", "whisper", "whisper-base")),
            )
        ],
        "profiles": [
            {"n": n, "extractor": name, "fingerprint": fingerprint}
            for n, (name, fingerprint) in enumerate(
                (("audio", "a1"), ("speech", "s1"), ("whisper", "w1"), ("audio_keys", "k1"), ("whisper", "w2")), 1
            )
        ],
        "signals_audio": [*_audio(), _filed("c6", "a1", content="listing:old", duration_s=8.5)],
        "signals_speech": [_filed(clip, "s1", speech_ratio=0.75) for clip in (*BY_MODEL["w1"], "c5", "c6")],
        "signals_audio_keys": [_filed(clip, "k1", frames=40) for clip in BY_MODEL["w1"]],
        "signals_whisper": [
            *(_heard(clip, w, inputs("whisper")) for w in BY_MODEL for clip in BY_MODEL[w]),
            # What c1's file held once.
            _heard("c1", "w1", inputs("whisper")) | {"content_sha256": "older", "text": "hello", "text_sha256": "hello"},
        ],
        "attempts": [_attempt("c5")],
        "scores": [
            *(_score(clip, w) for w in BY_MODEL for clip in BY_MODEL[w]),
            # Against a text that c2 had once, and by a normaliser of before.
            _score("c2", "w1") | {"reference_sha256": "older", "wer": 1.0},
            _score("c2", "w1") | {"normaliser": "an older one", "wer": 1.0},
        ],
        "duplicates": [
            _duplicate(clip, cluster, kind)
            for clip, cluster, kind in (("c1", "K1", "exact"), ("b1", "K1", "exact"), ("c2", "K2", "near"), ("c3", "K2", "near"))
        ],
        "splits": [_kept(release, clip) for release in SIDES for clip in SIDES[release]],
        "decisions": [_dropped(release, clip) for release in REASONS for clip in REASONS[release]],
        "releases": [_release(release, day) for release, day in (("first", 1), ("second", 2))],
        "runs": _runs(),
        "chunks": [
            *(_chunk("r2", 0, 4.0, 8.0), _chunk("r2", 1, 14.0, 7.0), _chunk("r3", 0, 38.0, 76.0)),
            _chunk("killed", 0, 10.0, 45.0),
        ],
    }  # fmt: skip


def _manifests() -> list[Row]:
    def one(corpus: str, generation: int, lines: int, quarantined: int) -> Row:
        return {
            "corpus": corpus,
            "uri": f"audio:{corpus}.jsonl",
            "generation": generation,
            "sha256": f"{corpus}{generation}",
            "parser_version": "1",
            "lines": lines,
            "utterances": lines - quarantined,
            "quarantined": quarantined,
            "accepted": True,
        }

    return [one("calls", 1, 7, 0), one("calls", 2, 8, 2), one("books", 1, 5, 0)]


def _quarantine() -> list[Row]:
    said = (("BAD_JSON", 7, "calls2"), ("OUTSIDE_ROOT", 8, "calls2"), ("NO_AUDIO_FIELD", 3, "calls1"))
    return [
        {
            "corpus": "calls",
            "uri": "audio:calls.jsonl",
            "sha256": sha256,
            "parser_version": "1",
            "byte_offset": line * 100,
            "line_number": line,
            "reason": reason,
            "detail": f"line {line}",
        }
        for reason, line, sha256 in said
    ]


def _recording(clip: str) -> Row:
    return {
        "corpus": corpus_of(clip),
        "recording_id": f"r-{clip}",
        "root": "audio",
        "path": f"{clip}.wav",
        "listing_key": "new" if clip == "c6" else "listed",
        "size_bytes": 32_000,
        "state": "missing" if clip == "b5" else "present",
    }


def _content(clip: str) -> Row:
    return {
        "corpus": corpus_of(clip),
        "recording_id": f"r-{clip}",
        "listing_key": "listed",
        "content_sha256": content_of(clip),
    }


def _utterance(clip: str) -> Row:
    language, speaker, _, declared, _ = CLIPS[clip]
    return {
        "corpus": corpus_of(clip),
        "utterance_id": clip,
        "recording_id": f"r-{clip}",
        "channel": "mix",
        "language": language,
        "speaker_id": speaker,
        "declared_duration_s": declared,
        "retired_in": "audio:calls.jsonl#2" if clip == "c0" else None,
    }


def _transcript(clip: str) -> Row:
    return {
        "corpus": corpus_of(clip),
        "utterance_id": clip,
        "source": "manifest",
        "text_sha256": f"said {clip}",
        "text": CLIPS[clip][4],
        "kind": "human",
        "language": CLIPS[clip][0],
    }


def _filed(clip: str, fingerprint: str, content: str | None = None, inputs: str = "", **values: Any) -> Row:
    return {
        "corpus": corpus_of(clip),
        "utterance_id": clip,
        "content_sha256": content or content_of(clip),
        "fingerprint": fingerprint,
        "inputs_hash": inputs,
        "run_id": "r2",
        **values,
    }


def _audio() -> list[Row]:
    good = [
        _filed(c, "a1", duration_s=s) for c, (_, _, s, *_) in CLIPS.items() if s and c not in ("c0", "c6")
    ]
    return [*good, _filed("b4", "a1", error="CORRUPT")]


def _heard(clip: str, fingerprint: str, inputs: Mapping[str, str]) -> Row:
    text = HEARD[fingerprint][clip]
    return _filed(
        clip,
        fingerprint,
        inputs=inputs[clip],
        text=text,
        text_sha256=f"{fingerprint} heard {text}",
        language="nl" if clip == "c3" else CLIPS[clip][0] or "en",
        language_probability=0.9,
        decoded_language=CLIPS[clip][0] or "en",
    )


def _attempt(clip: str) -> Row:
    tried = _filed(clip, "a1", n=1, listing_key="listed", code="TIME_OUT", detail="60 s")
    return {name: value for name, value in tried.items() if name != "content_sha256"}


def _score(clip: str, fingerprint: str) -> Row:
    from speechlake.text.normalisers import DEFAULT_NORMALISER, NORMALISER_BY_PRIMARY

    said, heard = CLIPS[clip][4].split(), HEARD[fingerprint][clip].split()
    wrong = sum(a != b for a, b in zip(said, heard, strict=False))
    return {
        "corpus": corpus_of(clip),
        "utterance_id": clip,
        "hypothesis_source": f"whisper:{fingerprint}",
        "hypothesis_sha256": f"{fingerprint} heard {HEARD[fingerprint][clip]}",
        "reference_source": "manifest",
        "reference_sha256": f"said {clip}",
        "normaliser": NORMALISER_BY_PRIMARY.get(CLIPS[clip][0] or "en", DEFAULT_NORMALISER),
        "unit": "word",
        "word_hits": len(said) - wrong,
        "word_substitutions": wrong,
        "word_deletions": 0,
        "word_insertions": max(0, len(heard) - len(said)),
        "wer": (wrong + max(0, len(heard) - len(said))) / len(said),
    }


def _duplicate(clip: str, cluster: str, kind: str) -> Row:
    said = {"cluster_id": cluster, "overlap_id": cluster, "kind": kind, "similarity": 1.0}
    return {"corpus": corpus_of(clip), "utterance_id": clip, **said}


def _kept(release: str, clip: str) -> Row:
    language, speaker, seconds, _, text = CLIPS[clip]
    return {
        "build_id": f"build of {release}",
        "corpus": corpus_of(clip),
        "utterance_id": clip,
        "split": SIDES[release][clip],
        "weight": 1.0,
        "root": "audio",
        "path": f"{clip}.wav",
        "channel": "mix",
        "content_sha256": content_of(clip),
        "text": text,
        "text_source": "manifest",
        "language": language,
        "speaker_id": speaker,
        "duration_s": seconds,
        "fingerprints": {"audio": "a1", "whisper": {"first": "w1", "second": "w2"}[release]},
    }


def _dropped(release: str, clip: str) -> Row:
    failed = REASONS[release][clip]
    return {
        "build_id": f"build of {release}",
        "corpus": corpus_of(clip),
        "utterance_id": clip,
        "failed": failed,
        "rule": failed[0],
        "value": "0.5" if failed[0] == "error_rate" else None,
        "threshold": "at most 0.3" if failed[0] == "error_rate" else None,
        "duration_s": CLIPS[clip][2],
    }


def _release(release: str, day: int) -> Row:
    rows = [*SIDES[release].items(), *((clip, None) for clip in REASONS[release])]
    counts = [
        {
            "corpus": corpus_of(clip),
            "language": CLIPS[clip][0],
            "split": side,
            "utterances": 1,
            "hours": (CLIPS[clip][2] or 0.0) / 3600,
            "speakers": 1,
        }
        for clip, side in rows
    ]
    alone = {"decodes": 0.0, "error_rate": 5 / 3600}
    rules = [
        {"rule": rule, "passed": 5, "failed": 1, "not_applicable": 0, "hours_alone": hours}
        for rule, hours in alone.items()
    ]
    return {
        "release": release,
        "build_id": f"build of {release}",
        "policy": "name: sample",
        "scheme": "main",
        "counts": counts,
        "rules": rules,
        "known_speaker_hours_ratio": 1.0,
        "published_at": NOON + timedelta(days=day),
    }


def _runs() -> list[Row]:
    said = (
        ("r1", "ingest-manifests", "calls", 0.0, 0.0),
        ("r2", "extract-signals", "calls", 18.0, 15.0),
        ("r3", "extract-signals", "books", 38.0, 76.0),
        ("r4", "score-transcripts", "calls", 0.0, 0.0),
        ("r5", "build-splits", "main", 0.0, 0.0),
    )
    return [
        {
            "run_id": run_id,
            "job": job,
            "scope": scope,
            "arguments": "{}",
            "outcome": "done",
            "audio_s_out": audio_s,
            "cpu_s": cpu_s,
            "started_at": NOON + timedelta(minutes=n),
            "finished_at": NOON + timedelta(minutes=n, seconds=30),
        }
        for n, (run_id, job, scope, audio_s, cpu_s) in enumerate(said)
    ]


def _chunk(run_id: str, chunk: int, audio_s: float, cpu_s: float) -> Row:
    corpus = "calls" if run_id == "r2" else "books"
    said = {"fingerprints": ["a1", "w2"], "utterances": 3, "audio_s": audio_s, "cpu_s": cpu_s}
    return {"corpus": corpus, "run_id": run_id, "chunk": chunk, **said}


def write_rows(spark: SparkSession, root: Path, table: Table, rows: Sequence[Row]) -> None:
    """Make a table of literal rows by delta-rs; what a row does not say is null, or a default where that may not be."""
    import pyarrow as pa
    from deltalake import write_deltalake
    from pyspark.sql.pandas.types import to_arrow_schema

    from speechlake.contracts import struct_of
    from speechlake.lake import PROPERTIES

    unknown = {name for row in rows for name in row} - set(table.column_names)
    assert not unknown, f"{table.name} has no column {unknown}"
    plain = {c.name: None if c.nullable else default(c.type) for c in table.columns}
    data = pa.Table.from_pylist(
        [{**plain, **row} for row in rows], schema=to_arrow_schema(struct_of(table), timezone="UTC")
    )
    write_deltalake(
        str(root / table.name), data, configuration=dict(PROPERTIES), partition_by=list(table.partition_by)
    )


def inputs_now(spark: SparkSession, rows: Sequence[Row]) -> Callable[[str], Mapping[str, str]]:
    """extractor -> {utterance_id: inputs_hash} of rows of utterances."""
    from speechlake.signals.plan import inputs_hash
    from speechlake.views import extractor_inputs

    languages = [(row["utterance_id"], row["language"]) for row in rows]
    frame = spark.createDataFrame(languages, "utterance_id string, language string")

    def of(extractor: str) -> Mapping[str, str]:
        told = frame.select("utterance_id", inputs_hash(extractor_inputs(extractor)).alias("h")).collect()
        return {row.utterance_id: row.h for row in told}

    return of


def make_sample(spark: SparkSession, root: Path) -> Lake:
    """The lake, under `root`."""
    from speechlake.lake import Lake

    inputs = inputs_now(spark, [_utterance(clip) for clip in CLIPS])
    for name, rows in sample_rows(inputs).items():
        write_rows(spark, root, TABLES[name], rows)
    return Lake(spark, root)
