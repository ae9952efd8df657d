"""Texts of utterances, verbatim, each with its source."""

from speechlake.schemas.table import Column, Table

TRANSCRIPTS = Table(
    name="transcripts",
    comment="Texts of utterances, verbatim, each with its source.",
    columns=(
        Column("corpus", "string", "Corpus of the utterance.", nullable=False),
        Column("utterance_id", "string", "Key of the utterance.", nullable=False),
        Column("source", "string", "manifest, manifest:<field>, an aligner, an import.", nullable=False),
        Column("text_sha256", "string", "Hash of the text.", nullable=False),
        Column("text", "string", "Verbatim.", nullable=False),
        Column("kind", "string", "human, caption or machine.", nullable=False),
        Column("language", "string", "Canonical BCP 47 tag of the text, or null."),
        Column(
            "retired_in",
            "string",
            "Manifest generation (`uri#n`) since which no manifest says it; cleared when it returns.",
        ),
    ),
    key=("utterance_id", "source", "text_sha256"),
    references={"utterance_id": "utterances.utterance_id"},
    checks={"known_kind": "kind IN ('human', 'caption', 'machine')"},
    partition_by=("corpus",),
)
