"""Reference against hypothesis: edit counts of words and characters."""

from speechlake.schemas.table import Column, Table

SCORES = Table(
    name="scores",
    comment="Reference against hypothesis: edit counts of words and characters.",
    columns=(
        Column("corpus", "string", "Corpus of the utterance.", nullable=False),
        Column("utterance_id", "string", "Key of the utterance.", nullable=False),
        Column(
            "hypothesis_source",
            "string",
            "Source of the hypothesis, e.g. whisper:<fingerprint>.",
            nullable=False,
        ),
        Column("hypothesis_sha256", "string", "Hash of the hypothesis.", nullable=False),
        Column("reference_source", "string", "Source of the reference.", nullable=False),
        Column("reference_sha256", "string", "Hash of the reference.", nullable=False),
        Column("normaliser", "string", "Normaliser and its version.", nullable=False),
        Column(
            "unit", "string", "word or char: what the error rate of this language counts.", nullable=False
        ),
        Column("word_hits", "int", "Words said alike."),
        Column("word_substitutions", "int", "Words of the reference said otherwise."),
        Column("word_deletions", "int", "Words of the reference not in the hypothesis."),
        Column("word_insertions", "int", "Words only in the hypothesis."),
        Column("char_hits", "int", "Characters said alike."),
        Column("char_substitutions", "int", "Characters of the reference said otherwise."),
        Column("char_deletions", "int", "Characters of the reference not in the hypothesis."),
        Column("char_insertions", "int", "Characters only in the hypothesis."),
        Column("wer", "double", "Word error rate; null for an empty reference."),
        Column("cer", "double", "Character error rate; null for an empty reference."),
        Column("digits_differ", "boolean", "One side writes digits and the other does not."),
    ),
    key=(
        "utterance_id",
        "hypothesis_source",
        "hypothesis_sha256",
        "reference_source",
        "reference_sha256",
        "normaliser",
    ),
    references={"utterance_id": "utterances.utterance_id"},
    checks={"known_unit": "unit IN ('word', 'char')"},
    cluster_by=("corpus", "utterance_id"),
)
