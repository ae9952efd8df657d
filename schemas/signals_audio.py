"""What the decoded samples say: container, levels, defects, exact hash."""

from speechlake.schemas.table import Column, signal_table

SIGNALS_AUDIO = signal_table(
    "audio",
    "What the decoded samples say: container, levels, defects, exact hash.",
    Column("container", "string", "Container as decoded, e.g. wav, flac, ogg."),
    Column("codec", "string", "Codec as decoded, e.g. pcm_s16le, vorbis."),
    Column("sample_rate_hz", "int", "Native rate.", unit="Hz"),
    Column("channels", "int", "Channels of the recording."),
    Column("duration_s", "double", "Decoded length of the interval.", unit="s"),
    Column("recording_duration_s", "double", "Decoded length of the recording.", unit="s"),
    Column(
        "header_difference_s",
        "double",
        "Decoded length of the recording minus what its header claims; null where it claims nothing.",
        unit="s",
    ),
    Column("samples_sha256", "string", "Hash of the decoded native samples of the interval."),
    Column("peak_dbfs", "double", "Highest absolute sample; null for digital silence.", unit="dBFS"),
    Column("rms_dbfs", "double", "Root mean square; null for digital silence.", unit="dBFS"),
    Column("clipped_ratio", "double", "Share of samples in runs at full scale."),
    Column("dc_offset", "double", "Mean of the samples, of full scale 1."),
    Column("silence_ratio", "double", "Share of 10 ms frames below -60 dBFS."),
    Column("bandwidth_hz", "double", "Frequency below which speech energy lies.", unit="Hz"),
)
