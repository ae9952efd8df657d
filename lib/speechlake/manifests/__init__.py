"""Manifests: files and folders that list audio, read line by line, with a reason for every refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import DataFrame, SparkSession


def read(
    spark: SparkSession,
    format: str,
    path: str,
    *,
    roots: Mapping[str, str] | None = None,
    corpus: str = "notebook",
    **options: Any,
) -> DataFrame:
    """The lines of the manifests at `path` (a file, folder or URI) as rows, for notebooks; nothing is written.

    `format` may be `auto`. `roots` maps names to URIs; without it the root `audio` is the folder
    itself, or the folder of the file. `options` are those of `ParseOptions`, `columns` as a mapping.
    Columns: `parsed.PARSED_DDL`; refused lines have a `reason`.
    """
    from speechlake.errors import UsageError
    from speechlake.manifests.detect import detect
    from speechlake.manifests.options import EACH, ParseOptions
    from speechlake.manifests.parse import parsed_lines
    from speechlake.manifests.places import entry_of
    from speechlake.manifests.references import DEFAULT_ROOT, Roots

    if options.get("channels") == EACH:
        raise UsageError("channels=each asks the audio", hint="Only `speechlake ingest-manifests` reads it.")
    sources = detect(path, format)
    found = entry_of(path)
    folder = path if found is not None and found.is_folder else sources[0].uri.rsplit("/", 1)[0]
    named = Roots.of(roots if roots is not None else {DEFAULT_ROOT: folder})
    return parsed_lines(spark, sources, roots=named, options=ParseOptions.of(corpus, **options))
