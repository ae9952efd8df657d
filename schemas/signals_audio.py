"""What the decoded samples say: container, levels, defects, exact hash."""

from speechlake.schemas.table import Column, Table

SIGNALS_AUDIO = Table(
    name="signals_audio",
    comment="What the decoded samples say: container, levels, defects, exact hash.",
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
        Column("error", "string", "Permanent error code; null where the measurement succeeded."),
        Column("run_id", "string", "Run that measured.", nullable=False),
    ),
    key=("utterance_id", "content_sha256", "fingerprint", "inputs_hash"),
    references={"utterance_id": "utterances.utterance_id", "fingerprint": "extractors.fingerprint"},
    cluster_by=("corpus", "utterance_id"),
)
