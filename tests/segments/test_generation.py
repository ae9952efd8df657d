"""What segmenting writes into `utterances`, beside what an ingest of the same corpus writes meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from speechlake.schemas import CONTENT_HASHES, RECORDINGS, SEGMENTATIONS, UTTERANCES
from speechlake.segments.generation import renew
from speechlake.segments.plan import sources
from speechlake.segments.segmenter import Segmenter

pytestmark = pytest.mark.slow

HOW = Segmenter()
FP = HOW.identity().fingerprint
WHOLE: dict[str, Any] = {"corpus": "c", "origin": "manifest", "speaker_id": "c:ann", "channel": "mix"}


def test_what_an_ingest_says_of_a_recording_while_it_is_segmented_stands(lake, rows):
    """u is cut; of v the manifest lets go, and of both it names another speaker, after they were looked at."""
    place = {"corpus": "c", "listing_key": "k"}
    cut = {"corpus": "c", "content_sha256": "x", "fingerprint": FP, "speech_s": 1.0}
    with lake.hold("fill", "c", "r") as hold:
        for table, literal in (
            (RECORDINGS, [(f"r{u}", {**place, "state": "present"}) for u in "uv"]),
            (CONTENT_HASHES, [(f"r{u}", {**place, "content_sha256": "x"}) for u in "uv"]),
            (UTTERANCES, [(u, {**WHOLE, "recording_id": f"r{u}"}) for u in "uv"]),
            (
                SEGMENTATIONS,
                [
                    (u, {**cut, "segments": [{"utterance_id": f"{u}1", "start_ms": 0, "end_ms": 1000}]})
                    for u in "uv"
                ],
            ),
        ):
            hold.append_missing(table.name, rows(table, *literal))
    asked = sources(lake, "c", HOW, discard_text=False)
    # What another process would hold of it: Spark reads a cached frame again where its own session writes a table.
    seen = lake.spark.createDataFrame(asked.collect(), asked.schema)
    now = {"u": {}, "v": {"retired_in": "m#2"}}
    with lake.hold("ingest-manifests", "c", "i") as hold:
        said = [(u, {**WHOLE, "recording_id": f"r{u}", "speaker_id": "c:bob", **now[u]}) for u in "uv"]
        hold.merge("utterances", rows(UTTERANCES, *said), corpus="c")
    with lake.hold("segment-recordings", "c", "s") as hold:
        renew(hold, seen, FP)
    found = {row.utterance_id: (row.speaker_id, row.retired_in) for row in lake.read("utterances").collect()}
    assert found["u"] == ("c:bob", f"segmented:{FP}")
    assert found["v"] == ("c:bob", "m#2")
    # The next run passes on what the line says now, and takes nothing back.
    with lake.hold("segment-recordings", "c", "t") as hold:
        renew(hold, sources(lake, "c", HOW, discard_text=False), FP)
    found = {row.utterance_id: (row.speaker_id, row.retired_in) for row in lake.read("utterances").collect()}
    assert found["u"] == ("c:bob", f"segmented:{FP}")
    assert found["u1"] == ("c:bob", None)
    assert found["v1"][1] is not None


def test_an_interval_that_a_manifest_listed_once_is_a_segment_where_one_is_cut_there(lake, rows):
    place = {"corpus": "c", "listing_key": "k"}
    cut = {"corpus": "c", "content_sha256": "x", "fingerprint": FP, "speech_s": 1.0}
    segments = [{"utterance_id": f"u{n}", "start_ms": 1000 * n, "end_ms": 1000 * n + 900} for n in (1, 2)]
    with lake.hold("fill", "c", "r") as hold:
        hold.append_missing("recordings", rows(RECORDINGS, ("r1", {**place, "state": "present"})))
        hold.append_missing("content_hashes", rows(CONTENT_HASHES, ("r1", {**place, "content_sha256": "x"})))
        lines = {"u": {}, "u1": {"retired_in": "m#1", **segments[0]}, "u2": segments[1]}
        said = [(u, {**WHOLE, "recording_id": "r1", **line, "utterance_id": u}) for u, line in lines.items()]
        hold.append_missing("utterances", rows(UTTERANCES, *said))
        hold.append_missing("segmentations", rows(SEGMENTATIONS, ("u", {**cut, "segments": segments})))
    versions = []
    for run in ("first", "again"):
        with lake.hold("segment-recordings", "c", run) as hold:
            renew(hold, sources(lake, "c", HOW, discard_text=False), FP)
        versions.append(lake.version("utterances"))
    found = {row.utterance_id: (row.origin, row.retired_in) for row in lake.read("utterances").collect()}
    # What a manifest still lists is its own.
    assert found == {"u": ("manifest", f"segmented:{FP}"), "u1": (FP, None), "u2": ("manifest", None)}
    assert versions[0] == versions[1]
