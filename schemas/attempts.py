"""Transient failures, one per run; after the third nothing is planned."""

from speechlake.schemas.table import Column, Table

ATTEMPTS = Table(
    name="attempts",
    comment="Transient failures, one per run; after the third nothing is planned.",
    columns=(
        Column("corpus", "string", "Corpus of the utterance.", nullable=False),
        Column("utterance_id", "string", "Key of the utterance.", nullable=False),
        Column("fingerprint", "string", "What tried to measure.", nullable=False),
        Column("listing_key", "string", "Listing key of the audio that was tried.", nullable=False),
        Column("inputs_hash", "string", "Inputs that were tried.", nullable=False),
        Column("n", "int", "Attempt, from 1.", nullable=False),
        Column("code", "string", "Error code, e.g. TIME_OUT, OUT_OF_MEMORY, STORAGE.", nullable=False),
        Column("detail", "string", "What was seen."),
        Column("run_id", "string", "Run that tried.", nullable=False),
    ),
    key=("utterance_id", "fingerprint", "listing_key", "inputs_hash", "n"),
    references={"utterance_id": "utterances.utterance_id"},
    cluster_by=("corpus", "utterance_id"),
)
