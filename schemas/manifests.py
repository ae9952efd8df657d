"""Every version of every manifest that was read, refused versions included."""

from speechlake.schemas.table import Column, Table

MANIFESTS = Table(
    name="manifests",
    comment="Every version of every manifest that was read, refused versions included.",
    columns=(
        Column("corpus", "string", "Corpus it belongs to.", nullable=False),
        Column(
            "uri",
            "string",
            "Relative to its root where it lies under one (`root:path`, `root:.` for all of it), else as given.",
            nullable=False,
        ),
        Column("generation", "bigint", "Counts the versions of this manifest, from 1.", nullable=False),
        Column(
            "sha256",
            "string",
            "Hash of its bytes; of its sorted relative paths for a folder; empty where it is no longer there.",
            nullable=False,
        ),
        Column(
            "parser_version",
            "string",
            "Version of the parser that read it, a digest of the options that change what a line yields, and with `channels: each` how often its audio was asked.",
            nullable=False,
        ),
        Column("format", "string", "Name of the manifest format.", nullable=False),
        Column("max_reject", "double", "Share of lines that might be refused.", nullable=False),
        Column("lines", "bigint", "Lines that are neither header nor blank.", nullable=False),
        Column("utterances", "bigint", "Lines that became an utterance.", nullable=False),
        Column("repeats", "bigint", "Lines that say again what is known.", nullable=False),
        Column("quarantined", "bigint", "Lines refused.", nullable=False),
        Column(
            "accepted",
            "boolean",
            "False when more than `max_reject` of the lines were refused, or none was accepted.",
            nullable=False,
        ),
        Column("run_id", "string", "Run that read it.", nullable=False),
    ),
    key=("corpus", "uri", "generation"),
    references={"corpus": "corpora.corpus"},
    checks={"every_line_counted": "NOT accepted OR lines = utterances + repeats + quarantined"},
    partition_by=("corpus",),
)
