"""Salted hashes of what was erased; ingest honours them."""

from speechlake.schemas.table import Column, Table

TOMBSTONES = Table(
    name="tombstones",
    comment="Salted hashes of what was erased; ingest honours them.",
    columns=(
        Column("salt", "string", "Salt, one per lake.", nullable=False),
        Column(
            "kind",
            "string",
            "speaker, recording, utterance, source_id, manifest or corpus; given: a source id that went, which imports may "
            "still name; lines: a corpus that keeps no refused lines.",
            nullable=False,
        ),
        Column("hash", "string", "sha256 of salt, kind and value.", nullable=False),
    ),
    key=("hash",),
)
