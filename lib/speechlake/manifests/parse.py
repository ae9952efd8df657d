"""Lines of manifests as rows that tables can take: parsed, located, named, or refused with a reason.

Nothing that is wrong with one line fails the job: what no format foresaw becomes `PARSER_FAILED`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from speechlake import ids
from speechlake.manifests.contract import BYTE_ORDER_MARK, Context, Format, Source
from speechlake.manifests.formats import FORMATS
from speechlake.manifests.lines import RANGE_BYTES
from speechlake.manifests.options import EACH, ParseOptions
from speechlake.manifests.parsed import PARSED_DDL, Rows
from speechlake.manifests.record import UNREADABLE, Record, Refusal, Refused
from speechlake.manifests.references import Located, Roots, base_of, resolve_from
from speechlake.manifests.values import is_placeholder

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession


def parsed_lines(
    spark: SparkSession,
    sources: Sequence[Source],
    *,
    roots: Roots,
    options: ParseOptions,
    range_bytes: int = RANGE_BYTES,
) -> DataFrame:
    """One row per line of `sources` that is neither header nor blank, columns `PARSED_DDL`.

    With `channels` each, a line that names no channel has channel `each` and an id of no utterance yet.
    Lazy, and dear: stage it once, then read the stage. Speakers are without namespace. Repeats and
    `SAME_INTERVAL` need other lines, and are the caller's. `range_bytes` is how much one task reads; `hashes` must be given the same.
    """
    from speechlake.manifests.lines_source import read_lines

    # Only tables have something that their lines do not say; a tree has a hundred thousand others.
    headers = {source.uri: source for source in sources if FORMATS[source.format].has_header}
    parser = LineParser(roots, options, headers)
    return read_lines(spark, sources, range_bytes=range_bytes).mapInArrow(parser.batches, PARSED_DDL)


class LineParser:
    """Parses lines of many manifests of one corpus; travels to the workers, and keeps what a file needs."""

    def __init__(
        self, roots: Roots, options: ParseOptions, headers: Mapping[str, Source] | None = None
    ) -> None:
        self.roots = roots
        self.options = options
        self.headers = dict(headers or {})

    def batches(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Rows of `lines_source.LINES_DDL` -> rows of `PARSED_DDL`."""
        from speechlake.text.languages import canonical

        manifest: _Manifest | None = None
        for batch in batches:
            rows = Rows()
            for uri, name, start, n, offset, raw, too_long in zip(
                *(column.to_pylist() for column in batch.columns), strict=True
            ):
                if manifest is None or manifest.uri != uri or manifest.format.name != name:
                    manifest = _Manifest(self, uri, name, canonical)
                manifest.add(rows, (uri, name, start, n, offset), raw, too_long)
            if len(rows):
                yield rows.batch()


class _Manifest:
    """What all lines of one file have in common."""

    def __init__(
        self, parser: LineParser, uri: str, name: str, canonical: Callable[[str | None], str | None]
    ) -> None:
        options = parser.options
        self.uri = uri
        self.format: Format = FORMATS[name]
        self.roots = parser.roots
        self.options = options
        source = parser.headers.get(uri) or Source(uri, name, 0)
        self.body_offset = source.body_offset
        self.context: Context = self.format.context(source, options)
        convention = self.format.relative_to
        relative_to = (
            convention if options.relative_to == "auto" or self.format.verbatim else options.relative_to
        )
        self.base = base_of(uri, parser.roots, relative_to)
        self.canonical = canonical
        self._recording = ("", "", "")

    def add(self, rows: Rows, place: tuple[Any, ...], raw: bytes | None, too_long: bool) -> None:
        """Add the row of one line; header and blank lines add nothing."""
        offset = place[4]
        if offset < self.body_offset:
            return
        if raw is None:
            rows.refuse(place, b"", Refused(UNREADABLE, "the compressed data is damaged or ends early"))
            return
        if too_long:
            rows.refuse(place, raw, Refused("TOO_LONG"))
            return
        if offset == 0 and not self.format.is_folder:
            raw = raw.removeprefix(BYTE_ORDER_MARK)
        try:
            refused = self._add(rows, place, raw)
        except Refusal as refusal:
            refused = refusal.refused
        except Exception as error:
            refused = Refused("PARSER_FAILED", f"{type(error).__name__}: {error}")
        if refused is not None:
            rows.refuse(place, raw, refused)

    def _add(self, rows: Rows, place: tuple[Any, ...], raw: bytes) -> Refused | None:
        record = self.format.parse(raw, self.context)
        if not isinstance(record, Record):
            return record
        at = resolve_from(record.audio, self.base, self.roots, verbatim=self.format.verbatim)
        if isinstance(at, Refused):
            return at
        start_ms = 0 if record.start_s is None else ids.milliseconds(str(record.start_s))
        end_ms = None if record.end_s is None else ids.milliseconds(str(record.end_s))
        if end_ms is not None and end_ms <= start_ms:
            return Refused("BAD_INTERVAL", f"nothing between {start_ms} ms and {end_ms} ms")
        recording = self._recording_id(at)
        channel = self._channel(record)
        own_id = (record.source_id or "") if self.options.ids == "source" else None
        language = self.canonical(record.language)
        if language is None and (record.language is None or is_placeholder(record.language)):
            language = self.options.language
        rows.accept(
            place,
            raw,
            record,
            at,
            recording_id=recording,
            utterance_id=ids.utterance_id(recording, channel, start_ms, end_ms, own_id),
            channel=channel,
            start_ms=start_ms,
            end_ms=end_ms,
            language=language,
        )
        return None

    def _channel(self, record: Record) -> str:
        wanted = self.options.channels
        if wanted == EACH:
            return record.channel or EACH
        return (record.channel or ids.WHOLE_MIX) if wanted == "auto" else wanted

    def _recording_id(self, at: Located) -> str:
        """The id of a file; lines of one file follow each other, so the last one is kept."""
        root, path, found = self._recording
        if root != at.root or path != at.path:
            found = ids.recording_id(self.options.corpus, at.root, at.path)
            self._recording = (at.root, at.path, found)
        return found
