"""The columns of parsed lines: lists in Python, one Arrow batch at the end. `PARSED_DDL` is the contract."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from speechlake.ids import text_sha256
from speechlake.manifests.record import Record, Refused
from speechlake.manifests.references import Located
from speechlake.manifests.roles import kind_of
from speechlake.manifests.values import one_spelling

if TYPE_CHECKING:
    import pyarrow as pa

RAW_LINE_BYTES: Final = 4096

_SCALARS: Final[Mapping[str, str]] = {
    "uri": "string",
    "format": "string",
    "range_start": "bigint",
    "line_in_range": "bigint",
    "byte_offset": "bigint",
    "raw_line": "binary",
    "reason": "string",
    "detail": "string",
    "root": "string",
    "path": "string",
    "recording_id": "string",
    "utterance_id": "string",
    "channel": "string",
    "start_ms": "bigint",
    "end_ms": "bigint",
    "source_id": "string",
    "speaker": "string",
    "speaker_said": "string",
    "speaker_placeholder": "boolean",
    "session": "string",
    "language_raw": "string",
    "language": "string",
    "declared_duration_s": "double",
    "declared_sample_rate_hz": "bigint",
    "declared_channels": "bigint",
}
_NOTHING: Final = (None,) * (len(_SCALARS) - 8)
_TEXT: Final = ("source", "text", "text_sha256", "kind", "language")

PARSED_DDL: Final = (
    ", ".join(f"{name} {kind}" for name, kind in _SCALARS.items())
    + ", extras map<string,string>, texts array<struct<"
    + ",".join(f"{name}:string" for name in _TEXT)
    + ">>"
)
"""One row per line that is neither header nor blank, with its bytes (`raw_line`, capped). `reason` null: parsed;
else only the place, `reason` and `detail` are filled, and `extras` and `texts` are empty. `speaker_said` is the line's
own spelling of the speaker where it is another."""


class Rows:
    """Rows of one batch as tuples in column order, turned into columns at its end; objects would cost more."""

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []
        self._extras: list[tuple[str, str]] = []
        self._extras_ends = [0]
        self._texts: list[tuple[str | None, ...]] = []
        self._texts_ends = [0]

    def __len__(self) -> int:
        return len(self._rows)

    def refuse(self, place: tuple[Any, ...], raw: bytes, refused: Refused) -> None:
        """Add a line that became nothing."""
        said = (raw[:RAW_LINE_BYTES], refused.reason, refused.detail or None)
        self._add((*place, *said, *_NOTHING))

    def accept(
        self,
        place: tuple[Any, ...],
        raw: bytes,
        record: Record,
        at: Located,
        *,
        recording_id: str,
        utterance_id: str,
        channel: str,
        start_ms: int,
        end_ms: int | None,
        language: str | None,
    ) -> None:
        """Add a line that became an utterance; its bytes go along, because other lines may yet refuse it."""
        # Whatever can fail comes first: a line that is refused after all must leave nothing behind.
        speaker = None if record.speaker is None else one_spelling(record.speaker)
        said = None if record.speaker == speaker else record.speaker
        texts = [
            (source, text, text_sha256(text), kind_of(source), language) for source, text in record.texts
        ]
        self._texts += texts
        if record.extras:
            self._extras += record.extras.items()
        self._add(
            (
                *(
                    *place,
                    raw[:RAW_LINE_BYTES],
                    None,
                    None,
                    at.root,
                    at.path,
                    recording_id,
                    utterance_id,
                    channel,
                    start_ms,
                    end_ms,
                ),
                *(record.source_id, speaker, said, record.speaker_placeholder, record.session),
                *(record.language, language, record.declared_duration_s),
                *(record.declared_sample_rate_hz, record.declared_channels),
            ),
        )

    def _add(self, row: tuple[Any, ...]) -> None:
        self._rows.append(row)
        self._extras_ends.append(len(self._extras))
        self._texts_ends.append(len(self._texts))

    def batch(self) -> pa.RecordBatch:
        """All rows as one Arrow batch in the order of `PARSED_DDL`."""
        import pyarrow as pa

        types = {"string": pa.string(), "bigint": pa.int64(), "binary": pa.binary(), "boolean": pa.bool_()}
        types["double"] = pa.float64()
        columns = _transposed(self._rows, len(_SCALARS))
        arrays = [
            pa.array(column, types[kind]) for column, kind in zip(columns, _SCALARS.values(), strict=True)
        ]
        extras = _transposed(self._extras, 2)
        ends = pa.array(self._extras_ends, pa.int32())
        arrays.append(pa.MapArray.from_arrays(ends, *(pa.array(column, pa.string()) for column in extras)))
        texts = [pa.array(column, pa.string()) for column in _transposed(self._texts, len(_TEXT))]
        ends = pa.array(self._texts_ends, pa.int32())
        arrays.append(pa.ListArray.from_arrays(ends, pa.StructArray.from_arrays(texts, names=list(_TEXT))))
        return pa.RecordBatch.from_arrays(arrays, names=[*_SCALARS, "extras", "texts"])


def _transposed(rows: Sequence[tuple[Any, ...]], width: int) -> Iterable[Sequence[Any]]:
    return zip(*rows, strict=True) if rows else ((),) * width
