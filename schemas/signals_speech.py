"""Voice activity by Silero VAD."""

from speechlake.schemas.table import Column, Table

SIGNALS_SPEECH = Table(
    name="signals_speech",
    comment="Voice activity by Silero VAD.",
    columns=(
        Column("corpus", "string", "Corpus of the utterance.", nullable=False),
        Column("utterance_id", "string", "Key of the utterance.", nullable=False),
        Column(
            "content_sha256",
            "string",
            "Hash of the recording's bytes, or `listing:<listing_key>` where they could not be read.",
            nullable=False,
        ),
        Column(
            "fingerprint",
            "string",
            "Extractor, version, model and parameters that measured; see `extractors`.",
            nullable=False,
        ),
        Column(
            "inputs_hash",
            "string",
            "Hash of the per-utterance inputs the extractor declares; empty where it declares none.",
            nullable=False,
        ),
        Column("speech_ratio", "double", "Share of the interval that is speech."),
        Column("speech_duration_s", "double", "Sum of the speech segments.", unit="s"),
        Column(
            "segments",
            "array<struct<start_s:double,end_s:double>>",
            "Speech segments, relative to the interval.",
        ),
        Column("error", "string", "Permanent error code; null where the measurement succeeded."),
        Column("run_id", "string", "Run that measured.", nullable=False),
    ),
    key=("utterance_id", "content_sha256", "fingerprint", "inputs_hash"),
    references={"utterance_id": "utterances.utterance_id", "fingerprint": "extractors.fingerprint"},
    cluster_by=("corpus", "utterance_id"),
)
