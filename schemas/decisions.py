"""Why an utterance is not in a build: excluded rows only."""

from speechlake.schemas.table import Column, Table

DECISIONS = Table(
    name="decisions",
    comment="Why an utterance is not in a build: excluded rows only.",
    columns=(
        Column("build_id", "string", "Build this row belongs to.", nullable=False),
        Column("corpus", "string", "Corpus of the utterance.", nullable=False),
        Column("utterance_id", "string", "Key of the utterance.", nullable=False),
        Column(
            "failed",
            "array<string>",
            "All failed rules and other reasons, in the policy's order.",
            nullable=False,
        ),
        Column("rule", "string", "The first of them.", nullable=False),
        Column("value", "string", "What that rule saw; null where nothing was measured."),
        Column("threshold", "string", "What that rule asks."),
        Column("side", "string", "Side it would have been on; null where it was never eligible."),
        Column("duration_s", "double", "Decoded length of the interval, where known.", unit="s"),
    ),
    key=("build_id", "utterance_id"),
    references={"utterance_id": "utterances.utterance_id"},
    partition_by=("build_id",),
)
