"""What the lists of a policy named: evaluation rows of a build that somebody chose one by one."""

from speechlake.schemas.table import Column, Table

FIXED_SETS = Table(
    name="fixed_sets",
    comment="What the lists of a policy named: evaluation rows of a build that somebody chose one by one.",
    columns=(
        Column("build_id", "string", "Build that read the list.", nullable=False),
        Column("corpus", "string", "Corpus of the utterance.", nullable=False),
        Column("utterance_id", "string", "Utterance of the build that the list names.", nullable=False),
        Column("side", "string", "Side whose list it is: dev or test.", nullable=False),
        Column("file", "string", "Where the list lay.", nullable=False),
        Column("sha256", "string", "Hash of the list's bytes.", nullable=False),
    ),
    key=("build_id", "utterance_id"),
    references={"utterance_id": "utterances.utterance_id"},
    checks={"known_side": "side IN ('dev', 'test')"},
    partition_by=("build_id",),
)
