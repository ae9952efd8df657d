"""Utterances that share audio with others: as copies, or in part; those alone in the world are absent."""

from speechlake.schemas.table import Column, Table

DUPLICATES = Table(
    name="duplicates",
    comment="Utterances that share audio with others; those alone in the world are absent.",
    columns=(
        Column("corpus", "string", "Corpus of the utterance.", nullable=False),
        Column("utterance_id", "string", "Key of the utterance.", nullable=False),
        Column(
            "cluster_id",
            "string",
            "Copies of one another; stable as the cluster grows. Its own where it only shares a part.",
            nullable=False,
        ),
        Column(
            "overlap_id",
            "string",
            "All that share audio, parts included, transitively; stable as it grows.",
            nullable=False,
        ),
        Column("kind", "string", "exact, near, contained or boilerplate.", nullable=False),
        Column("similarity", "double", "1 for exact copies.", nullable=False),
    ),
    key=("utterance_id",),
    references={"utterance_id": "utterances.utterance_id"},
    checks={"known_kind": "kind IN ('exact', 'near', 'contained', 'boilerplate')"},
    partition_by=("corpus",),
)
