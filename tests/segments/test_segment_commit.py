"""What of a staged chunk says that not its recordings are to blame."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from lake_tools import QUIET
from pyspark.sql.types import StructType

from speechlake.errors import ChunkFailed
from speechlake.segments import run
from speechlake.segments.commit import Heard, _counted
from speechlake.segments.segmenter import Segmenter
from speechlake.segments.worker import STAGED_DDL

HEARD = {"speech_s": 9.0, "segments": [{"utterance_id": "s", "start_ms": 0, "end_ms": 9000}]}
SHORT: dict[str, Any] = {"duration_s": 9.0}
MODEL = {"error": "MODEL_FAILED", "detail": "no session", "transient": True}
STORE = {"error": "STORAGE", "detail": "403", "transient": True}
BROKEN = {"error": "CORRUPT", "detail": "no header"}

CHUNKS = [
    ("a model that hears nothing", [MODEL] * 8 + [SHORT] * 9, ("segmenter: MODEL_FAILED, no session",)),
    ("a model that hears others", [MODEL] * 8 + [HEARD] * 9, ()),
    ("a few", [MODEL] * 7, ()),
    ("a store that gives nothing", [STORE] * 8, ("segmenter: STORAGE, 403",)),
    ("a store that gives other files", [STORE] * 8 + [SHORT] * 9, ()),
    ("damaged files", [BROKEN] * 9, ()),
]


@pytest.mark.slow
@pytest.mark.parametrize(("chunk", "broken"), [said[1:] for said in CHUNKS], ids=[said[0] for said in CHUNKS])
def test_a_model_or_store_that_fails_on_nearly_all_recordings_is_broken(
    spark: Any, chunk: list[dict[str, Any]], broken: tuple[str, ...]
) -> None:
    usual = {"transient": False, "refused": False}
    names = StructType.fromDDL(STAGED_DDL).names
    rows = [
        {**usual, "utterance_id": f"u{n}", "recording_id": f"r{n}", **said} for n, said in enumerate(chunk)
    ]
    staged = spark.createDataFrame([tuple(row.get(name) for name in names) for row in rows], STAGED_DDL)
    assert _counted(staged).broken == broken


def test_what_is_broken_ends_the_run_once_its_chunk_is_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    deleted: list[Any] = []
    spark = SimpleNamespace(sparkContext=SimpleNamespace(defaultParallelism=2))
    staging = SimpleNamespace(delete=deleted.append)
    hold: Any = SimpleNamespace(scope="c", lake=SimpleNamespace(spark=spark), staging=staging)
    plan: Any = SimpleNamespace(where=lambda _: None)
    monkeypatch.setattr(run, "totals", lambda _: {"sources": 9, "recordings": 9, "seconds": 900.0})
    monkeypatch.setattr(run, "_staged", lambda *_: "stage")
    monkeypatch.setattr(
        run, "commit_heard", lambda *_: Heard(transient=9, broken=("segmenter: MODEL_FAILED",))
    )
    with pytest.raises(ChunkFailed, match="c: nearly all clips of a chunk failed, segmenter: MODEL_FAILED"):
        list(run.heard_chunks(hold, plan, Segmenter(), QUIET))
    assert deleted == ["stage"]
