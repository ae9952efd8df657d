"""The rows of a release: every kept utterance with its side and all a trainer needs."""

from speechlake.schemas.table import Column, Table

SPLITS = Table(
    name="splits",
    comment="The rows of a release: every kept utterance with its side and all a trainer needs.",
    columns=(
        Column(
            "build_id", "string", "Build this row belongs to; published through `releases`.", nullable=False
        ),
        Column("corpus", "string", "Corpus of the utterance.", nullable=False),
        Column("utterance_id", "string", "Key of the utterance.", nullable=False),
        Column("split", "string", "train, dev or test.", nullable=False),
        Column("weight", "double", "Sampling weight.", nullable=False),
        Column("root", "string", "Root under which the audio lies; `corpora` resolves it.", nullable=False),
        Column("path", "string", "Path relative to the root.", nullable=False),
        Column("container", "string", "Path of the archive or Parquet file, for audio inside one."),
        Column("member", "string", "Name inside the container."),
        Column("byte_offset", "bigint", "Where the audio starts in its container."),
        Column("byte_length", "bigint", "Bytes of the audio in its container."),
        Column("channel", "string", "Channel counted from 0, or mix.", nullable=False),
        Column("start_ms", "bigint", "Start in the recording.", nullable=False, unit="ms"),
        Column("end_ms", "bigint", "End in the recording; null: to its end.", unit="ms"),
        Column("content_sha256", "string", "Hash of the recording's bytes.", nullable=False),
        Column("text", "string", "Text to train on, in `text_form`."),
        Column("text_source", "string", "Source of the text."),
        Column("text_form", "string", "verbatim, or the normaliser that made it."),
        Column("text_kind", "string", "human, caption or machine."),
        Column("language", "string", "Canonical BCP 47 tag, or null."),
        Column("speaker_id", "string", "Namespaced speaker, or null."),
        Column("duration_s", "double", "Decoded length of the interval.", nullable=False, unit="s"),
        Column(
            "fingerprints",
            "map<string,string>",
            "Extractor -> fingerprint of the signals that decided.",
            nullable=False,
        ),
    ),
    key=("build_id", "utterance_id"),
    references={"utterance_id": "utterances.utterance_id"},
    checks={"known_split": "split IN ('train', 'dev', 'test')"},
    partition_by=("build_id",),
)
