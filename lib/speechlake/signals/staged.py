"""The rows that measuring stages: one per utterance, with a struct per fingerprint, null where it was not asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from speechlake.schemas import TABLES
from speechlake.signals.extractor import Measurement
from speechlake.signals.plan import Wanted

FILED = ("corpus", "utterance_id", "content_sha256", "run_id")
COST_DDL = "struct<cpu_s:double,device_s:double,bytes_read:bigint,audio_s:double,model_loads:int>"
COSTS = ("cpu_s", "device_s", "bytes_read", "audio_s", "model_loads")


def own_columns(name: str) -> list[tuple[str, str]]:
    """(column, type) of what extractor `name` stages: its table without the columns that are filed for it."""
    return [(c.name, c.type) for c in TABLES[f"signals_{name}"].columns if c.name not in FILED]


def staged_ddl(wanted: Sequence[Wanted]) -> str:
    """The columns of a staged row; `cost` is told on some rows, for itself and those after it."""
    structs = [
        f"{each.column} struct<{','.join(f'{n}:{t}' for n, t in own_columns(each.name))},transient:boolean,detail:string>"
        for each in wanted
    ]
    head = "utterance_id string, recording_id string, listing_key string, content_sha256 string, size_bytes bigint"
    return ", ".join([head, *structs, f"cost {COST_DDL}"])


def fresh_row(
    recording: Mapping[str, Any], utterance: Mapping[str, Any], content: str, size_bytes: int | None
) -> dict[str, Any]:
    """An utterance's row before anything is measured of it."""
    return {
        "utterance_id": utterance["utterance_id"],
        "recording_id": recording["recording_id"],
        "listing_key": recording["listing_key"],
        "content_sha256": content,
        "size_bytes": size_bytes,
    }


def filed(each: Wanted, utterance: Mapping[str, Any], result: Measurement) -> dict[str, Any]:
    """An extractor's struct: its values, and what they are filed under."""
    values = {name: result.values.get(name) for name, _ in own_columns(each.name)}
    return {
        **values,
        "fingerprint": each.fingerprint,
        "inputs_hash": utterance["inputs_hashes"][each.name],
        "error": result.error,
        "transient": result.transient,
        "detail": result.detail,
    }
