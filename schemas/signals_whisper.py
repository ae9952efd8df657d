"""Text and language by Whisper."""

from speechlake.schemas.table import Column, Table

SIGNALS_WHISPER = Table(
    name="signals_whisper",
    comment="Text and language by Whisper.",
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
        Column("text", "string", "Recognised text, verbatim."),
        Column("text_sha256", "string", "Hash of the text."),
        Column("language", "string", "Detected language, Whisper code; en for English-only models."),
        Column("language_probability", "double", "Probability of the detected language."),
        Column("decoded_language", "string", "Language used for decoding: declared, else detected."),
        Column(
            "mean_log_probability",
            "double",
            "Mean log probability of the tokens, weighted by segment length in tokens.",
        ),
        Column("no_speech_probability", "double", "Highest no-speech probability of the segments."),
        Column("compression_ratio", "double", "Highest gzip compression ratio of the segments."),
        Column("tokens", "int", "Text tokens."),
        Column("tokens_per_second", "double", "Text tokens per second of audio.", unit="1/s"),
        Column("truncated", "boolean", "Decoding stopped at the token limit."),
        Column("error", "string", "Permanent error code; null where the measurement succeeded."),
        Column("run_id", "string", "Run that measured.", nullable=False),
    ),
    key=("utterance_id", "content_sha256", "fingerprint", "inputs_hash"),
    references={"utterance_id": "utterances.utterance_id", "fingerprint": "extractors.fingerprint"},
    cluster_by=("corpus", "utterance_id"),
)
