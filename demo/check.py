"""Check that the demo's lake holds what the demo promises; reads the Delta tables without Spark.

    .venv/bin/python demo/check.py build/demo/lake

Prints what holds and what does not, and ends with 1 where something does not.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from deltalake import DeltaTable
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

RELEASE, RECUT = "demo", "strict"
Finding = tuple[bool, str]


class Tables:
    """The tables of a lake as pandas frames, each read once."""

    def __init__(self, lake: Path) -> None:
        self.lake = lake
        self.frames: dict[str, pd.DataFrame] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self.frames:
            folder = str(self.lake / name)
            # delta-rs' own file system calls Python from pyarrow's threads: one that does so while the
            # interpreter ends aborts the process, after all went well (1 of 50 runs on a busy machine).
            files = SubTreeFileSystem(folder, LocalFileSystem())
            self.frames[name] = DeltaTable(folder).to_pandas(filesystem=files)
        return self.frames[name]

    def of_release(self, name: str) -> pd.DataFrame:
        """Rows of `splits` or `decisions` that belong to the demo's release."""
        releases = self["releases"]
        builds = releases.loc[releases["release"] == RELEASE, "build_id"]
        return self[name][self[name]["build_id"].isin(builds)]


def ingest(tables: Tables) -> Iterator[Finding]:
    """Every line is in one place, and each kind of trouble was seen."""
    manifests, utterances = tables["manifests"], tables["utterances"]
    newest = manifests.sort_values("generation").groupby(["corpus", "uri"]).tail(1)
    parts = newest["utterances"] + newest["repeats"] + newest["quarantined"]
    yield bool(newest["accepted"].all()), f"{len(newest)} manifests accepted"
    yield bool((newest["lines"] == parts).all()), f"each of {newest['lines'].sum()} lines counted once"
    reasons = sorted(tables["quarantine"]["reason"].unique())
    yield len(reasons) >= 5, f"{len(reasons)} reasons in quarantine, expected 5 or more: {', '.join(reasons)}"
    yield len(tables["repeats"]) >= 1, f"{len(tables['repeats'])} repeated lines, expected 1 or more"
    yield len(utterances) >= 200, f"{len(utterances)} utterances, expected 200 or more"
    languages = sorted(utterances["language"].dropna().unique())
    yield len(languages) >= 4, f"{len(languages)} languages, expected 4 or more: {', '.join(languages)}"
    missing = int((tables["recordings"]["state"] == "missing").sum())
    yield missing >= 1, f"{missing} missing recordings, expected 1 or more"


def signals(tables: Tables) -> Iterator[Finding]:
    """Bad audio has an error code, good audio has text, copies are found."""
    errors = tables["signals_audio"]["error"].dropna()
    kinds = ", ".join(sorted(errors.unique()))
    yield len(errors) >= 2, f"{len(errors)} clips that do not decode, expected 2 or more: {kinds}"
    heard = int(tables["signals_whisper"]["text"].fillna("").str.strip().ne("").sum())
    yield heard >= 200, f"{heard} clips in which Whisper heard words, expected 200 or more"
    copies, pairs = tables["duplicates"], tables["audio_pairs"]
    clusters = copies.loc[copies["kind"] == "exact", "cluster_id"].nunique()
    yield clusters >= 2, f"{clusters} clusters of exact copies, expected 2 or more"
    near = copies.loc[copies["kind"] == "near", "utterance_id"]
    # Keys find exact copies too, which differ in no bit.
    rate = pairs.loc[(pairs["kind"] == "near") & (pairs["bit_error_rate"] > 0), "bit_error_rate"].max()
    yield (
        len(near) >= 3,
        f"{len(near)} clips that are near copies, expected 3 or more; at most {rate:.1%} of their bits differ",
    )


def release(tables: Tables) -> Iterator[Finding]:
    """Three sides with something on each, no speaker on two, every utterance decided once."""
    splits, decisions = tables.of_release("splits"), tables.of_release("decisions")
    for side in ("train", "dev", "test"):
        rows = splits[splits["split"] == side]
        minutes = rows["duration_s"].sum() / 60
        yield (
            len(rows) > 0,
            f"{side}: {len(rows)} clips, {minutes:.1f} min, {rows['speaker_id'].nunique()} speakers",
        )
    corpora = tables["corpora"]
    together = splits[~splits["corpus"].isin(corpora.loc[corpora["single_speaker"], "corpus"])]
    astride = int((together.groupby("speaker_id")["split"].nunique() > 1).sum())
    yield astride == 0, f"{astride} speakers on more than one side, expected none"
    utterances = tables["utterances"]
    current = sorted(utterances.loc[utterances["retired_in"].isna(), "utterance_id"])
    decided = sorted([*splits["utterance_id"], *decisions["utterance_id"]])
    yield current == decided, f"{len(decided)} utterances decided, expected each of {len(current)} once"
    yield len(decisions) >= 1, f"{len(decisions)} utterances excluded, each with its reasons"


def recut(tables: Tables) -> Iterator[Finding]:
    """The second policy made a release of its own in seconds, and no clip changed sides."""
    runs = tables["runs"]
    cut = runs[(runs["job"] == "build-splits") & runs["arguments"].str.contains(f'"{RECUT}"')]
    seconds = (cut["finished_at"] - cut["started_at"]).dt.total_seconds().max() if len(cut) else 0.0
    yield len(cut) == 1, f"cut again under another policy in {seconds:.0f} s, without a model"
    releases, splits = tables["releases"], tables["splits"]
    sides = splits.merge(releases[["build_id", "release"]], on="build_id").pivot_table(
        index="utterance_id", columns="release", values="split", aggfunc="first"
    )
    both = sides.dropna()
    moved = int((both[RELEASE] != both[RECUT]).sum())
    yield moved == 0, f"{moved} of {len(both)} clips of both releases changed sides, expected none"


def main(lake: Path) -> int:
    """Print one line for each finding that fails, else one for all; 1 where any fails."""
    tables = Tables(lake)
    findings = [*ingest(tables), *signals(tables), *release(tables), *recut(tables)]
    failed = [text for holds, text in findings if not holds]
    for text in failed:
        print(f"    does not hold: {text}", file=sys.stderr)
    if not failed:
        print("\n".join(f"    {text}" for _, text in findings))
    print(f"    {len(findings) - len(failed)} of {len(findings)} checks hold")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
