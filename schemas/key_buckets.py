"""Samples of the audio keys of each utterance, by which new audio meets all that was there before."""

from speechlake.schemas.table import Column, Table

KEY_BUCKETS = Table(
    name="key_buckets",
    comment="Samples of each utterance's audio keys, by which new audio meets what was there before.",
    columns=(
        Column("corpus", "string", "Corpus of the utterance.", nullable=False),
        Column("utterance_id", "string", "Key of the utterance.", nullable=False),
        Column("content_sha256", "string", "Hash of the bytes whose keys were sampled.", nullable=False),
        Column("fingerprint", "string", "What made the keys, and how they are sampled.", nullable=False),
        Column("samples", "int", "How many there are; 0 for silence.", nullable=False),
        Column("buckets", "binary", "The sampled keys, 32-bit, little-endian.", nullable=False),
        Column("frames", "binary", "Their frames, 32-bit, little-endian.", nullable=False),
        Column(
            "contexts", "binary", "What lies around each: 8 times 16 bits, little-endian.", nullable=False
        ),
    ),
    key=("utterance_id", "content_sha256", "fingerprint"),
    references={"utterance_id": "utterances.utterance_id"},
    partition_by=("corpus",),
)
