"""Every manifest format, in the order in which a file is tried for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from speechlake.errors import UsageError
from speechlake.manifests import common_voice, folder, librispeech, ljspeech, nemo, table
from speechlake.manifests.contract import Format

FORMATS: Final[Mapping[str, Format]] = {
    found.name: found
    for found in (
        nemo.FORMAT,
        common_voice.FORMAT,
        librispeech.FORMAT,
        table.TSV,
        table.CSV,
        ljspeech.FORMAT,
        folder.FORMAT,
    )
}
# What `format` of a corpus may name; auto: the first that recognises a file.
NAMED_FORMATS: Final[tuple[str, ...]] = ("auto", *FORMATS)


def format_named(name: str) -> Format:
    """The format called `name`; UsageError lists those that exist."""
    if name not in FORMATS:
        raise UsageError(
            f"manifest format {name!r} is not known", hint=f"Formats: {', '.join(NAMED_FORMATS)}."
        )
    return FORMATS[name]
