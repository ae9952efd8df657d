"""`channels: each`: a line that names no channel stands for every channel of its file, as calls are recorded.

How many there are is asked of the audio, in the decode child, when the line is parsed. A file that is missing
or broken counts as one channel. What a line says of a file's speaker, language and interval holds for each of
its channels; its text does not, because nobody knows who of them said which words: of several channels, none
gets it, and `extras` keep it.

`manifests.parser_version` of such a corpus ends in how often the audio of a manifest was asked: it is parsed
again when audio appears or changes, and (`?`, three times at most) when the storage failed.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from speechlake.files import as_is
from speechlake.ids import utterance_id
from speechlake.manifests.listed import is_listed
from speechlake.manifests.options import EACH
from speechlake.manifests.record import MAIN_TEXT
from speechlake.manifests.table_rows import files, relisted_recordings

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame

    from speechlake.lake import Lake

HEARD_DDL: Final = "root string, path string, channels int, failed boolean"
"""A file with its channels; null where they cannot be told, `failed` where another try may tell them."""
TEXT_OF_ALL: Final = "text_of_all_channels"
TRIES: Final = 3
_TASKS_PER_CORE: Final = 4
Row = Mapping[str, Any]


def as_heard(versions: Sequence[Row], newest: Mapping[str, Any], relisted: Container[str]) -> list[Row]:
    """Manifest versions as `newest`, rows of `manifests`, knows them, or to be parsed again.

    `relisted` names those of which audio appeared or changed.
    """
    return [
        {**v, "parser_version": _asked(v["parser_version"], newest.get(v["uri"]), v["uri"] in relisted)}
        for v in versions
    ]


def _asked(parser: str, known: Any | None, again: bool) -> str:
    version = "" if known is None else str(known.parser_version)
    if not version.startswith(f"{parser}+"):
        return f"{parser}+1"
    if again or 0 < version.count("?") < TRIES:
        times = int(version.rstrip("?").rpartition("+")[2])
        return f"{parser}+{times + 1}"
    return version


def marked_failed(versions: Sequence[Row], newest: Mapping[str, Any], failed: Container[str]) -> list[Row]:
    """The versions, with one `?` more than before for those in `failed`, by uri of their source."""
    return [
        {**v, "parser_version": v["parser_version"] + "?" * (1 + _marks(newest.get(v["uri"])))}
        if v["source"]["uri"] in failed
        else v
        for v in versions
    ]


def _marks(known: Any | None) -> int:
    return 0 if known is None else str(known.parser_version).count("?")


def relisted_manifests(lake: Lake, corpus: str, listing: DataFrame) -> set[str]:
    """Uris of manifests of `corpus` that list audio which is there, and was not, or was another, before."""
    from pyspark.sql import functions as F

    here = F.col("corpus") == corpus
    known = lake.read("recordings").where(here & F.col("retired_in").isNull())
    now = relisted_recordings(known, listing).where("state = 'present'").select("recording_id")
    listed = lake.read("utterances").where(here & is_listed())
    rows = listed.join(now, on="recording_id", how="left_semi").select("manifest_uri").distinct()
    return {row.manifest_uri for row in rows.collect()}


@dataclass(frozen=True)
class Heard:
    """Parsed lines with a row per channel, uris of manifests with audio that failed to be read, and lines without their text."""

    lines: DataFrame
    failed: set[str]
    texts_aside: int


def each_channel(
    lines: DataFrame, listing: DataFrame, roots: Mapping[str, str], folder: str, *, source_ids: bool
) -> Heard:
    """Parsed lines with a row per channel.

    `lines` are those of `parsed_lines`: computed once, into `folder`, as what is heard of their files is.
    """
    from pyspark.sql import functions as F

    lines = _written(lines, f"{folder}/lines")
    heard = _written(heard_files(lines, listing, roots), f"{folder}/heard")
    failed = lines.join(heard.where("failed"), on=["root", "path"], how="left_semi")
    uris = {row.uri for row in failed.select("uri").distinct().collect()}
    several = heard.where("channels > 1").select("root", "path", F.lit(EACH).alias("channel"))
    spoken = lines.where(F.size("texts") > 0)
    aside = spoken.join(several, on=["root", "path", "channel"], how="left_semi").count()
    return Heard(with_each_channel(lines, heard, source_ids=source_ids), uris, aside)


def _written(frame: DataFrame, path: str) -> DataFrame:
    frame.write.mode("overwrite").parquet(path)
    return frame.sparkSession.read.schema(frame.schema).parquet(as_is(path))


def heard_files(lines: DataFrame, listing: DataFrame, roots: Mapping[str, str]) -> DataFrame:
    """What is heard of each listed file that a line names without a channel: rows of `HEARD_DDL`."""
    from pyspark.sql import functions as F

    asked = lines.where(F.col("channel") == EACH).select("root", "path").distinct()
    there = asked.join(files(listing).select("root", "path"), on=["root", "path"], how="left_semi")
    tasks = _TASKS_PER_CORE * lines.sparkSession.sparkContext.defaultParallelism
    return there.repartition(tasks, "path").mapInArrow(_hearing(dict(roots)), HEARD_DDL)


def _hearing(roots: Mapping[str, str]) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def hear(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        schema = pa.schema(
            [("root", pa.string()), ("path", pa.string()), ("channels", pa.int32()), ("failed", pa.bool_())]
        )
        for batch in batches:
            rows = [{**row, **_heard(roots[row["root"]], row["path"])} for row in batch.to_pylist()]
            yield pa.RecordBatch.from_pylist(rows, schema=schema)

    return hear


def _heard(root_uri: str, path: str) -> dict[str, Any]:
    from speechlake.audio.errors import AudioError
    from speechlake.audio.storage import open_audio
    from speechlake.signals.reading import decoder

    try:
        with open_audio(root_uri, path) as audio:
            return {"channels": decoder().channels(audio.fd), "failed": False}
    except AudioError as error:
        # What is missing by now will be listed anew, and asked again then.
        return {"channels": None, "failed": error.transient and error.code != "MISSING"}


def with_each_channel(lines: DataFrame, heard: DataFrame, *, source_ids: bool) -> DataFrame:
    """`lines` with a row per channel of those that name none, with its id; all others as they are.

    `heard` has a row per file (`HEARD_DDL`); a file that it does not know has one channel.
    """
    from pyspark.sql import functions as F

    asked = F.coalesce(F.col("channel") == EACH, F.lit(False))
    several = F.col("asked") & (F.col("channels") > 1)
    last = F.coalesce("channels", F.lit(1)) - 1
    each = F.transform(F.sequence(F.lit(0), last), lambda n: n.cast("string"))
    joined = lines.join(heard.drop("failed"), on=["root", "path"], how="left").withColumn("asked", asked)
    rows = joined.withColumns(
        {
            "channel": F.explode(F.when(F.col("asked"), each).otherwise(F.array("channel"))),
            "extras": F.when(several, _with_texts_aside()).otherwise(F.col("extras")),
            "texts": F.when(several, F.slice("texts", 1, 0)).otherwise(F.col("texts")),
        }
    ).select(*lines.columns, "asked")
    return rows.mapInArrow(_naming(source_ids), lines.schema)


def _with_texts_aside() -> Column:
    """`extras`, and the texts under names of their own; what the line itself calls so stays."""
    from pyspark.sql import functions as F

    def name(text: Column) -> Column:
        rest = F.substring(text["source"], len(MAIN_TEXT) + 1, 1_000_000)
        return F.concat(F.lit(TEXT_OF_ALL), rest)

    free = F.filter("texts", lambda text: ~F.map_contains_key("extras", name(text)))
    # One text per source: a map knows no second.
    first = F.filter(
        free,
        lambda text, n: F.array_position(F.transform(free, lambda t: t["source"]), text["source"]) == n + 1,
    )
    named = F.transform(first, lambda text: F.struct(name(text), text["text"]))
    return F.map_concat("extras", F.map_from_entries(named))


def _naming(source_ids: bool) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Gives rows that were `asked` the id of their channel, by the one function that makes ids."""
    names = ("asked", "utterance_id", "recording_id", "channel", "start_ms", "end_ms", "source_id")

    def named(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            columns = [batch.column(name).to_pylist() for name in names]
            made = [
                utterance_id(recording, channel, start, end, (own or "") if source_ids else None)
                if asked
                else known
                for asked, known, recording, channel, start, end, own in zip(*columns, strict=True)
            ]
            at = batch.schema.get_field_index("utterance_id")
            renamed = batch.set_column(at, "utterance_id", pa.array(made, pa.string()))
            yield renamed.drop_columns(["asked"])

    return named
