"""Text and language by Whisper."""

from speechlake.schemas.table import Column, signal_table

SIGNALS_WHISPER = signal_table(
    "whisper",
    "Text and language by Whisper.",
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
    Column(
        "segments",
        "array<struct<start_s:double,end_s:double,text:string>>",
        "What was said when, relative to the interval; null where timestamps were not asked for.",
    ),
    Column(
        "words",
        "array<struct<start_s:double,end_s:double,word:string,probability:double>>",
        "Words with their times, relative to the interval; null where they were not asked for.",
    ),
)
