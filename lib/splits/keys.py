"""Ids and link keys as Spark columns: the same values as `speechlake.ids.make_id`, without Python per row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import Column

# Kind of a link that every policy has -> column that holds its value; a null value links nobody.
LINKS: Mapping[str, str] = {
    "speaker": "linked_speaker",
    "recording": "recording_id",
    "duplicate": "linked_overlap",
}


def framed(field: Column) -> Column:
    """A text's UTF-8 bytes behind their number (8 bytes, big-endian); null for null."""
    length = F.lpad(F.hex(F.octet_length(field)), 16, "0")
    return F.concat(F.unhex(length), field.cast("binary"))


def id_of(*fields: Column) -> Column:
    """`speechlake.ids.make_id` of text columns; null where any field is null."""
    return F.substring(F.sha2(F.concat(*(framed(field) for field in fields)), 256), 1, 32)


def utterance_key() -> Column:
    """The link key that every utterance has to itself."""
    return id_of(F.lit("utterance"), F.col("utterance_id"))


def shared_keys(links: Mapping[str, str]) -> Column:
    """Array of the link keys that an utterance may share with others, in the order of `links`."""
    return F.array_compact(F.array(*(id_of(F.lit(kind), F.col(column)) for kind, column in links.items())))


def link_keys(links: Mapping[str, str]) -> Column:
    """Array of all link keys of an utterance, its own key last."""
    return F.concat(shared_keys(links), F.array(utterance_key()))


def primary(language: Column) -> Column:
    """Primary subtag of a BCP 47 tag: `pt` of `pt-BR`."""
    return F.substring_index(F.lower(language), "-", 1)
