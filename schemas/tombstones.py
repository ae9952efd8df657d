"""Salted hashes of what was erased; ingest honours them."""

from speechlake.schemas.table import Column, Table

TOMBSTONES = Table(
    name="tombstones",
    comment="Salted hashes of what was erased; ingest honours them.",
    columns=(
        Column("salt", "string", "Salt.", nullable=False),
        Column("kind", "string", "speaker, recording, utterance or corpus.", nullable=False),
        Column("hash", "string", "sha256 of salt and value.", nullable=False),
    ),
    key=("hash",),
)
