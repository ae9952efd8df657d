"""Curation at scale, over generated tables: duplicates by audio keys, and a corpus cut again under a policy.

    make bench-curation
    make bench-curation ARGS='--utterances 100000 --only duplicates'

Duplicates: clips of 2 to 10 s whose keys are drawn so that strangers meet as often as in speech; 2 % are copies
of others with 5 % of their bits differing (opus at 24 kbit/s), moved or trimmed by up to 0.3 s. Timed is the job: all at
once, then 10,000 clips more. Re-cut: signals, texts and scores as after extraction; timed is `build-splits`
from the tables to the published release, then again with another limit, as one
`build-splits` cuts under two policies.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from _machine import Timed, timed
from _tables import generated, shaped

from speechlake.commands import build_splits, find_duplicates
from speechlake.duplicates.keys import Keys, pack
from speechlake.lake import Lake
from speechlake.ledger import new_run_id
from speechlake.progress import Progress
from speechlake.session import spark_session
from speechlake.signals.plan import inputs_hash
from speechlake.splits.policy import read_policy
from speechlake.splits.reuse import reusing
from speechlake.text.normalisers import DEFAULT_NORMALISER, NORMALISER_BY_PRIMARY
from speechlake.views import extractor_inputs

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = Path("build/bench/curation").absolute()
POLICY = Path(__file__).resolve().parent.parent / "lib" / "speechlake" / "policies" / "asr-train.yaml"
# Two frames of different speech have the same key as often as two of so many.
DISTINCT_KEYS = 1 << 26
COPY_EVERY = 50
NOISE = 0.05
MOST_MOVED = 12
ID = "substring(sha2(concat('u', id), 256), 1, 32)"
ADDED = 10_000
LANGUAGE = "element_at(array('en', 'de', 'fr', 'es'), cast((id div 20) % 4 + 1 as int))"


def clip(number: int) -> Keys:
    """The keys of a clip, the same for the same number: every COPY_EVERY-th is a copy of the one before."""
    if number % COPY_EVERY or not number:
        return _drawn(number)
    whole = _drawn(number - 1)
    rng = np.random.default_rng([2, number])
    begin, end = rng.integers(0, MOST_MOVED, 2)
    bits = whole.bits[begin : len(whole.bits) - end]
    flips = np.packbits(rng.random((len(bits), 32)) < NOISE, axis=1, bitorder="little").view("<u4").ravel()
    return Keys(bits ^ flips.astype(np.uint32), whole.active[begin : len(whole.bits) - end])


def _drawn(number: int) -> Keys:
    rng = np.random.default_rng([1, number])
    frames = int(rng.integers(80, 400))
    drawn = rng.integers(1, DISTINCT_KEYS, frames, dtype=np.uint64)
    # An odd factor spreads the draws over all 32 bits and keeps them distinct.
    bits = (drawn * np.uint64(0x9E3779B1) & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    return Keys(bits, np.ones(frames, bool))


def _clips(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    for batch in batches:
        made = [pack(clip(number)) for number in batch.column("id").to_pylist()]
        keys, active = (pa.array(column, pa.binary()) for column in zip(*made, strict=True))
        yield pa.RecordBatch.from_arrays([batch.column("id"), keys, active], names=["id", "keys", "active"])


def fill_keys(lake: Lake, first: int, last: int) -> None:
    """Recordings, utterances and measured keys of clips `first` to `last` - 1."""
    spark = lake.spark
    made = spark.range(first, last).mapInArrow(_clips, "id bigint, keys binary, active binary")
    stored = {
        "recordings": {"recording_id": ID, "listing_key": "'1'", "state": "'present'"},
        "content_hashes": {"recording_id": ID, "listing_key": "'1'", "content_sha256": f"concat('c', {ID})"},
        "utterances": {"utterance_id": ID, "recording_id": ID},
    }
    filed = {
        "utterance_id": ID,
        "content_sha256": f"concat('c', {ID})",
        "fingerprint": "'k'",
        "inputs_hash": "''",
    }
    with lake.hold("bench", "bench", new_run_id()) as hold:
        for name, said in stored.items():
            frame = generated(lake, name, last - first, _from(first, {"corpus": "'bench'", **said}))
            hold.append_missing(name, frame, fresh=True, expected=last - first)
        said = {"keys": "keys", "active": "active", "frames": "length(keys) div 4", "key_version": "1"}
        frame = shaped(made, "signals_audio_keys", {"corpus": "'bench'", **filed, **said})
        hold.append_missing("signals_audio_keys", frame, fresh=True, expected=last - first)
        profile = {"n": "1L", "extractor": "'audio_keys'", "fingerprint": "'k'"}
        hold.append_missing("profiles", generated(lake, "profiles", 1, profile))


def _from(first: int, said: dict[str, str]) -> dict[str, str]:
    return {name: text.replace("id)", f"id + {first})") for name, text in said.items()}


def duplicates(folder: Path, count: int) -> None:
    """The whole, then ADDED clips more; recall and precision against what was planted."""
    lake = Lake(spark_session("bench"), folder)
    fill_keys(lake, 0, count)
    whole = timed(lambda: find_duplicates.run(lake, progress=Progress(quiet=True)))
    _judge(lake, count, "whole", whole)
    fill_keys(lake, count, count + ADDED)
    added = timed(lambda: find_duplicates.run(lake, progress=Progress(quiet=True)))
    _judge(lake, count + ADDED, f"{ADDED:,} more", added)
    print(f"    adding takes {added.seconds / whole.seconds:.3f} of the whole", flush=True)


def _judge(lake: Lake, count: int, what: str, took: Timed) -> None:
    pairs = lake.read("audio_pairs").select("utterance_id", "other_id")
    copies = lake.spark.range(COPY_EVERY, count, COPY_EVERY)
    other = ID.replace("id)", "id - 1)")
    planted = copies.selectExpr(
        f"least({ID}, {other}) as utterance_id", f"greatest({ID}, {other}) as other_id"
    )
    n = planted.count()
    found, right = pairs.count(), pairs.join(planted, ["utterance_id", "other_id"], "left_semi").count()
    print(
        f"duplicates, {count:,} clips, {what}: {took}; {n:,} planted, {found:,} found, "
        f"recall {right / n:.4f}, precision {right / max(found, 1):.4f}",
        flush=True,
    )


def measured_tables(count: int) -> dict[str, tuple[int, dict[str, str]]]:
    """Rows and columns, as SQL over `id`, of each table that a policy reads."""
    recording, content = "substring(sha2(concat('r', id div 2), 256), 1, 32)", "concat('c', id div 2)"
    text = "concat('these are the words of clip ', id)"
    filed = {"utterance_id": ID, "content_sha256": content, "inputs_hash": "''"}
    draw = "(cast(conv(substring(sha2(cast(id as string), 256), 1, 8), 16, 10) as double) / 4294967296)"
    per_recording = {"recording_id": "substring(sha2(concat('r', id), 256), 1, 32)", "listing_key": "'1'"}
    heard = {"text": text, "text_sha256": f"sha2({text}, 256)"}
    return {
        "recordings": (count // 2, {**per_recording, "state": "'present'", "path": "concat(id, '.flac')"}),
        "content_hashes": (count // 2, {**per_recording, "content_sha256": "concat('c', id)"}),
        "utterances": (
            count,
            {
                "utterance_id": ID,
                "recording_id": recording,
                "channel": "'mix'",
                "start_ms": "(id % 2) * 20000",
                "end_ms": "(id % 2) * 20000 + 15000",
                "speaker_id": "concat('bench/', id div 20)",
                "language": LANGUAGE,
            },
        ),
        "transcripts": (count, {"utterance_id": ID, "source": "'manifest'", "kind": "'human'", **heard}),
        "signals_audio": (
            count,
            {
                **filed,
                "fingerprint": "'audio-1'",
                "duration_s": f"round(1 + 14 * {draw}, 3)",
                "sample_rate_hz": "16000",
                "clipped_ratio": f"{draw} * {draw} / 50",
                "rms_dbfs": "-26.0D",
                "samples_sha256": "concat('s', id - if(id % 50 = 0, 1, 0))",
            },
        ),
        "signals_speech": (count, {**filed, "fingerprint": "'speech-1'", "speech_ratio": f"1 - 0.8 * {draw}"}),
        "signals_whisper": (
            count,
            {**filed, "fingerprint": "'whisper-1'", **heard, "compression_ratio": "1.3", "truncated": "false",
             "language": LANGUAGE, "language_probability": "0.9", "decoded_language": LANGUAGE},
        ),
        "scores": (
            count,
            {
                "utterance_id": ID,
                "hypothesis_source": "'whisper:whisper-1'",
                "hypothesis_sha256": heard["text_sha256"],
                "reference_source": "'manifest'",
                "reference_sha256": heard["text_sha256"],
                "normaliser": _normaliser(),
                "unit": "'word'",
                **{f"word_{kind}": "1" for kind in ("substitutions", "deletions", "insertions")},
                "word_hits": "9",
                "wer": f"{draw} * 0.6",
            },
        ),
    }  # fmt: skip


def fill_measured(lake: Lake, count: int) -> None:
    """Everything that a policy reads, of `count` utterances in four languages, 20 to a speaker, 2 to a recording."""
    with lake.hold("bench", "bench", new_run_id()) as hold:
        for name, (rows, said) in measured_tables(count).items():
            frame = generated(lake, name, rows, {"corpus": "'bench'", **said})
            if name == "signals_whisper":
                # The language it heard is the declared one, which is its input.
                frame = frame.withColumn("inputs_hash", inputs_hash(extractor_inputs("whisper")))
            hold.append_missing(name, frame, fresh=True, expected=rows)
        hold.append_missing("corpora", generated(lake, "corpora", 1, CORPUS))
        for n, name in enumerate(("audio", "speech", "whisper"), start=1):
            said = {"n": f"{n}L", "extractor": f"'{name}'", "fingerprint": f"'{name}-1'"}
            hold.append_missing("profiles", generated(lake, "profiles", 1, said))
            told = {"fingerprint": f"'{name}-1'", "name": f"'{name}'", "parameters": "'{}'"}
            hold.append_missing("extractors", generated(lake, "extractors", 1, told))


CORPUS = {
    "corpus": "'bench'",
    "roots": "array(named_struct('name', 'audio', 'uri', '/audio', 'former_uris', array('/')))",
    "speaker_namespace": "'bench'",
    "channels": "'auto'",
    "ids": "'interval'",
    "role": "'training'",
}


def _normaliser() -> str:
    cases = " ".join(
        f"when '{language}' then '{name}'" for language, name in sorted(NORMALISER_BY_PRIMARY.items())
    )
    return f"case {LANGUAGE} {cases} else '{DEFAULT_NORMALISER}' end"


def recut(folder: Path, count: int) -> None:
    """Publish a release, then another one under a stricter limit, as one `build-splits` cuts under two policies."""
    lake = Lake(spark_session("bench"), folder)
    fill_measured(lake, count)
    find_duplicates.run(lake, progress=Progress(quiet=True))
    text = POLICY.read_text("utf-8")
    stricter = folder.parent / "stricter.yaml"
    stricter.write_text(
        text.replace(
            "signal: speech.speech_ratio, at_least: 0.3", "signal: speech.speech_ratio, at_least: 0.5"
        )
    )
    policies = {name: read_policy(path) for name, path in (("first", POLICY), ("stricter", stricter))}
    with reusing([policy for policy, _ in policies.values()]):
        for release, (policy, said) in policies.items():
            took = timed(
                lambda: build_splits.run(lake, policy, said, release=release, progress=Progress(quiet=True))  # noqa: B023
            )
            row = lake.read("releases").where(f"release = '{release}'").collect()[0]
            sides = {name: sum(c.utterances for c in row.counts if (c.split or "excluded") == name)
                     for name in ("train", "dev", "test", "excluded")}  # fmt: skip
            print(f"re-cut, {count:,} utterances, {release}: {took}; {sides}", flush=True)


WHAT = {"duplicates": duplicates, "recut": recut}


def main(argv: Sequence[str] | None = None) -> int:
    """Generate, run, print."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    made.add_argument("--utterances", type=int, nargs="+", default=[100_000, 1_000_000])
    made.add_argument("--only", choices=[*WHAT])
    parsed = made.parse_args(argv)
    shutil.rmtree(FOLDER, ignore_errors=True)
    for count in parsed.utterances:
        for name, step in WHAT.items():
            if parsed.only in (None, name):
                step(FOLDER / f"{name}-{count}", count)
    return 0


if __name__ == "__main__":
    sys.exit(main())
