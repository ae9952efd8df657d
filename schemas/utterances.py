"""Intervals of one channel of a recording with one piece of speech: what everything else is keyed by."""

from speechlake.schemas.table import Column, Table

UTTERANCES = Table(
    name="utterances",
    comment="Intervals of one channel of a recording with one piece of speech: what everything else is keyed by.",
    columns=(
        Column("corpus", "string", "Corpus it belongs to.", nullable=False),
        Column(
            "utterance_id", "string", "id(recording_id, channel, start_ms, end_ms or 'end').", nullable=False
        ),
        Column("recording_id", "string", "Recording it is an interval of.", nullable=False),
        Column("channel", "string", "Channel counted from 0, or mix.", nullable=False),
        Column("start_ms", "bigint", "Start in the recording, rounded half up.", nullable=False, unit="ms"),
        Column("end_ms", "bigint", "End in the recording; null: to its end.", unit="ms"),
        Column("source_id", "string", "The corpus's own id of the utterance."),
        Column("speaker_id", "string", "Namespaced speaker; null where unknown."),
        Column("session_id", "string", "Session or conversation."),
        Column("language_raw", "string", "Language verbatim."),
        Column("language", "string", "Canonical BCP 47 tag, or null."),
        Column("declared_duration_s", "double", "What the manifest says; never trusted.", unit="s"),
        Column("declared_sample_rate_hz", "bigint", "What the manifest says; never trusted.", unit="Hz"),
        Column("declared_channels", "bigint", "What the manifest says; never trusted."),
        Column("extras", "map<string,string>", "Fields of the line that no column takes.", nullable=False),
        Column("origin", "string", "manifest, or the fingerprint of a segmenter.", nullable=False),
        Column("manifest_uri", "string", "Manifest whose line defined it.", nullable=False),
        Column("byte_offset", "bigint", "Where that line starts.", nullable=False),
        Column(
            "retired_in",
            "string",
            "Manifest generation (`uri#n`) since which no manifest lists it, or `segmented:<fingerprint>` of what cut it into others.",
        ),
    ),
    key=("utterance_id",),
    references={"corpus": "corpora.corpus", "recording_id": "recordings.recording_id"},
    checks={"interval": "start_ms >= 0 AND (end_ms IS NULL OR end_ms > start_ms)"},
    partition_by=("corpus",),
)
