"""What the segmenter found in long utterances: where speech is, or why it could not tell."""

from speechlake.schemas.table import Column, Table

SEGMENTATIONS = Table(
    name="segmentations",
    comment="What the segmenter found in long utterances and recordings without intervals.",
    columns=(
        Column("corpus", "string", "Corpus of the recording.", nullable=False),
        Column(
            "utterance_id",
            "string",
            "Utterance that was to be cut: a whole file, or a long interval.",
            nullable=False,
        ),
        Column("recording_id", "string", "Recording it is an interval of.", nullable=False),
        Column("channel", "string", "Channel that was heard.", nullable=False),
        Column(
            "content_sha256",
            "string",
            "Hash of the recording's bytes, or `listing:<listing_key>` where they could not be read.",
            nullable=False,
        ),
        Column(
            "fingerprint",
            "string",
            "Segmenter with its parameters and model; see `extractors`.",
            nullable=False,
        ),
        Column("duration_s", "double", "Decoded length.", unit="s"),
        Column("speech_s", "double", "Speech in it; null where it was short enough to stay whole.", unit="s"),
        Column("utterances", "bigint", "Utterances that it was cut into.", nullable=False),
        Column(
            "segments",
            "array<struct<utterance_id:string,start_ms:bigint,end_ms:bigint>>",
            "Those utterances, in milliseconds of the recording.",
            nullable=False,
        ),
        Column("error", "string", "Permanent error code; null where it could be heard."),
        Column("run_id", "string", "Run that heard it.", nullable=False),
    ),
    key=("utterance_id", "content_sha256", "fingerprint"),
    references={"utterance_id": "utterances.utterance_id", "fingerprint": "extractors.fingerprint"},
    cluster_by=("corpus", "utterance_id"),
)
