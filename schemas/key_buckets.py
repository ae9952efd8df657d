"""Which audio keys were put into buckets, and met all others there."""

from speechlake.schemas.table import Column, Table

KEY_BUCKETS = Table(
    name="key_buckets",
    comment="Audio keys that were put into buckets and met all others: find-duplicates looks up what is not here.",
    columns=(
        Column("corpus", "string", "Corpus of the utterance.", nullable=False),
        Column("utterance_id", "string", "Key of the utterance.", nullable=False),
        Column("content_sha256", "string", "Hash of the bytes whose keys were sampled.", nullable=False),
        Column("fingerprint", "string", "What made the keys, and how they are sampled.", nullable=False),
    ),
    key=("utterance_id", "content_sha256", "fingerprint"),
    references={"utterance_id": "utterances.utterance_id"},
    partition_by=("corpus",),
)
