"""Measuring: one recording read and decoded once, sliced into clips, given to every extractor that wants it.

Runs in Spark's Python workers (`mapInArrow`). Rows carry references in and results out, never samples.
Models and the decode child live in this module, so that they load once per worker process.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from speechlake.schemas import TABLES
from speechlake.signals.extractor import Clip, Measurement
from speechlake.signals.plan import Wanted

if TYPE_CHECKING:
    import pyarrow as pa

    from speechlake.audio.decoder import Decoded, Decoder
    from speechlake.audio.storage import OpenAudio

FILED = ("corpus", "utterance_id", "content_sha256", "run_id")
ROWS_PER_BATCH = 64
COST_DDL = "struct<cpu_s:double,bytes_read:bigint,audio_s:double,model_loads:int>"

_models: dict[str, Any] = {}
_decoder: list[Decoder] = []


def own_columns(name: str) -> list[tuple[str, str]]:
    """(column, type) of what extractor `name` stages: its table without the columns that are filed for it."""
    return [(c.name, c.type) for c in TABLES[f"signals_{name}"].columns if c.name not in FILED]


def staged_ddl(wanted: Sequence[Wanted]) -> str:
    """The rows that `measure` yields: one per utterance, a struct per extractor, null where it was not asked."""
    structs = [
        f"{each.name} struct<{','.join(f'{n}:{t}' for n, t in own_columns(each.name))},transient:boolean,detail:string>"
        for each in wanted
    ]
    head = "utterance_id string, recording_id string, listing_key string, content_sha256 string, size_bytes bigint"
    return ", ".join([head, *structs, f"cost {COST_DDL}"])


@dataclass
class _Cost:
    """What one recording cost; told on its first utterance's row."""

    bytes_read: int = 0
    audio_s: float = 0.0
    model_loads: int = 0
    cpu_at_start: float = field(default_factory=lambda: cpu_seconds())

    def told(self) -> dict[str, Any]:
        cpu = cpu_seconds() - self.cpu_at_start
        return {
            "cpu_s": cpu,
            "bytes_read": self.bytes_read,
            "audio_s": self.audio_s,
            "model_loads": self.model_loads,
        }


def measure(
    wanted: Sequence[Wanted], roots: Mapping[str, str], schema: Any
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for `mapInArrow`: plan rows in, staged rows out, in order.

    `roots` maps a root's name to its present URI; `schema` is the Arrow schema of `staged_ddl`.
    """

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        pending: list[dict[str, Any]] = []
        for batch in batches:
            for recording in batch.to_pylist():
                pending.extend(measure_recording(recording, wanted, roots))
                if len(pending) >= ROWS_PER_BATCH:
                    yield pa.RecordBatch.from_pylist(pending, schema)
                    pending = []
        if pending:
            yield pa.RecordBatch.from_pylist(pending, schema)

    return run


def measure_recording(
    recording: Mapping[str, Any], wanted: Sequence[Wanted], roots: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The staged rows of one recording; whatever goes wrong with its audio becomes codes in them."""
    from speechlake.audio.errors import AudioError
    from speechlake.audio.storage import open_audio

    cost = _Cost()
    content, size = recording["content_sha256"], None
    try:
        place = recording["container"] or recording["path"]
        part = {name: recording[name] for name in ("byte_offset", "byte_length")}
        with open_audio(roots[recording["root"]], place, **part) as audio:
            content, size = _identified(audio, recording), audio.size_bytes
            cost.bytes_read = size
            decoded = decoder().decode(audio.fd)
        clips = [_clip(decoded, utterance) for utterance in recording["utterances"]]
    except AudioError as error:
        clips = [_failed(error)] * len(recording["utterances"])
    rows = [
        {key: recording[key] for key in ("recording_id", "listing_key")}
        | {"utterance_id": utterance["utterance_id"], "content_sha256": content, "size_bytes": size}
        for utterance in recording["utterances"]
    ]
    for each in wanted:
        _measure_with(each, recording["utterances"], clips, rows, cost)
    cost.audio_s = sum(clip.duration_s for clip in clips if isinstance(clip, Clip))
    rows[0]["cost"] = cost.told()
    return rows


def _measure_with(
    each: Wanted,
    utterances: Sequence[Mapping[str, Any]],
    clips: Sequence[Clip | Measurement],
    rows: Sequence[dict[str, Any]],
    cost: _Cost,
) -> None:
    """Let one extractor measure the clips that lack it, and write its struct into their rows."""
    asked = [i for i, utterance in enumerate(utterances) if each.name in utterance["needs"]]
    ready = [(i, clip) for i in asked if isinstance(clip := clips[i], Clip)]
    results: dict[int, Measurement] = {i: clip for i in asked if isinstance(clip := clips[i], Measurement)}
    if ready:
        own = [_with_inputs(clip, each, utterances[i]) for i, clip in ready]
        results |= dict(zip((i for i, _ in ready), _safely(each, own, cost), strict=True))
    for i, result in results.items():
        columns = {name: result.values.get(name) for name, _ in own_columns(each.name)}
        filed = {
            "fingerprint": each.fingerprint,
            "inputs_hash": utterances[i]["inputs_hashes"][each.name],
            "error": result.error,
        }
        rows[i][each.name] = {**columns, **filed, "transient": result.transient, "detail": result.detail}


def _safely(each: Wanted, clips: Sequence[Clip], cost: _Cost) -> list[Measurement]:
    """One measurement per clip, also when the extractor breaks its promise."""
    model = _model(each, cost)
    try:
        results = each.extractor.measure(model, clips)
    except MemoryError as error:
        return [Measurement(error="OUT_OF_MEMORY", detail=str(error)[:200], transient=True)] * len(clips)
    except Exception as error:
        if len(clips) > 1:  # find the one clip that raises; the others get their results
            return [result for clip in clips for result in _safely(each, [clip], cost)]
        return [Measurement(error="EXTRACTOR_FAILED", detail=f"{type(error).__name__}: {error}"[:200])]
    if len(results) != len(clips):
        detail = f"{len(results)} results for {len(clips)} clips"
        return [Measurement(error="EXTRACTOR_FAILED", detail=detail)] * len(clips)
    return results


def _model(each: Wanted, cost: _Cost) -> Any:
    key = each.fingerprint
    if key not in _models:
        _models[key] = each.extractor.load()
        cost.model_loads += each.identity.model_sha256 is not None
    return _models[key]


def _identified(audio: OpenAudio, recording: Mapping[str, Any]) -> str:
    """Hash of the bytes; AudioError (transient) when they are not what the plan saw."""
    from speechlake.audio.errors import AudioError

    if audio.listing_key != recording["listing_key"]:
        raise AudioError(
            "STORAGE", f"{audio.listing_key} was {recording['listing_key']} at the last ingest: list it again"
        )
    content, planned = audio.content_sha256(), str(recording["content_sha256"])
    if not planned.startswith("listing:") and planned != content:
        raise AudioError("STORAGE", "other bytes than before under the same listing key")
    return content


def decoder() -> Decoder:
    """This worker's decode child."""
    from speechlake.audio.decoder import Decoder

    if not _decoder:
        _decoder.append(Decoder())
    return _decoder[0]


def _clip(decoded: Decoded, utterance: Mapping[str, Any]) -> Clip | Measurement:
    from speechlake.audio.errors import AudioError
    from speechlake.audio.signal import cut, select_channel, to_16k

    rate = decoded.sample_rate_hz
    try:
        native = cut(
            select_channel(decoded.samples, utterance["channel"]),
            rate,
            utterance["start_ms"],
            utterance["end_ms"],
        )
    except AudioError as error:
        return _failed(error)
    return Clip(
        utterance_id=utterance["utterance_id"],
        native=native,
        native_rate_hz=rate,
        samples=to_16k(native, rate),
        container=decoded.container,
        codec=decoded.codec,
        channels=decoded.samples.shape[1],
        recording_duration_s=len(decoded.samples) / rate,
        header_duration_s=decoded.header_duration_s,
        inputs={},
    )


def _with_inputs(clip: Clip, each: Wanted, utterance: Mapping[str, Any]) -> Clip:
    from dataclasses import replace

    return replace(clip, inputs={name: utterance["inputs"][name] for name in each.extractor.inputs})


def _failed(error: Any) -> Measurement:
    return Measurement(error=error.code, detail=error.detail, transient=error.transient)


def cpu_seconds() -> float:
    """CPU time of this worker and its ended children."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
