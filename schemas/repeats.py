"""Lines that say again what is known."""

from speechlake.schemas.table import Column, Table

REPEATS = Table(
    name="repeats",
    comment="Lines that say again what is known.",
    columns=(
        Column("corpus", "string", "Corpus of the manifest.", nullable=False),
        Column("uri", "string", "Manifest.", nullable=False),
        Column("sha256", "string", "Version of the manifest.", nullable=False),
        Column("parser_version", "string", "Parser that read it.", nullable=False),
        Column("byte_offset", "bigint", "Where the line starts.", nullable=False),
        Column("utterance_id", "string", "Utterance that the line repeats.", nullable=False),
    ),
    # A line of a corpus with `channels: each` has an utterance per channel.
    key=("corpus", "uri", "sha256", "parser_version", "byte_offset", "utterance_id"),
    references={"utterance_id": "utterances.utterance_id"},
    partition_by=("corpus",),
)
