"""Pairs of utterances that share audio, each verified by its keys."""

from speechlake.schemas.table import Column, Table

AUDIO_PAIRS = Table(
    name="audio_pairs",
    comment="Pairs of utterances that share audio, verified by their keys: copies, or a common part.",
    columns=(
        Column("corpus", "string", "Corpus of the first utterance.", nullable=False),
        Column("utterance_id", "string", "The utterance with the lower id.", nullable=False),
        Column("other_id", "string", "The other utterance.", nullable=False),
        Column("other_corpus", "string", "Corpus of the other.", nullable=False),
        Column("content_sha256", "string", "Hash of the first's bytes.", nullable=False),
        Column("other_content_sha256", "string", "Hash of the other's bytes.", nullable=False),
        Column("fingerprint", "string", "What made the keys, and how they are compared.", nullable=False),
        Column(
            "kind", "string", "near (copies) or contained (a common part of 2 s or more).", nullable=False
        ),
        Column("bit_error_rate", "double", "Share of differing bits of their keys.", nullable=False),
        Column("offset_s", "double", "Where the first lies on the other.", nullable=False, unit="s"),
        Column("start_s", "double", "Where the common part starts in the first.", nullable=False, unit="s"),
        Column("shared_s", "double", "How long the common part is.", nullable=False, unit="s"),
    ),
    key=("utterance_id", "other_id", "content_sha256", "other_content_sha256", "fingerprint"),
    references={"utterance_id": "utterances.utterance_id", "other_id": "utterances.utterance_id"},
    checks={"known_pair": "kind IN ('near', 'contained')"},
    partition_by=("corpus",),
)
