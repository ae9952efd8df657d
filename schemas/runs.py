"""What every job did, read, wrote and cost. A run with nothing to do writes a row only where none did the same before."""

from speechlake.schemas.table import Column, Table

RUNS = Table(
    name="runs",
    comment="What every job did, read, wrote and cost. A run with nothing to do writes a row only where none did the same before.",
    columns=(
        Column("run_id", "string", "Key.", nullable=False),
        Column("job", "string", "Job.", nullable=False),
        Column("scope", "string", "Corpus, `lake`, or scheme.", nullable=False),
        Column("arguments", "string", "Canonical JSON.", nullable=False),
        Column(
            "arguments_sha256",
            "string",
            "Digest of arguments, policy, code version and fingerprints.",
            nullable=False,
        ),
        Column("code_version", "string", "Version of speechlake.", nullable=False),
        Column("outcome", "string", "done, or the error's name.", nullable=False),
        Column("left_to_retry", "bigint", "Work that a later run may finish.", nullable=False),
        Column("rows_in", "bigint", "Rows considered.", nullable=False),
        Column("rows_out", "bigint", "Rows written.", nullable=False),
        Column("audio_s_in", "double", "Audio considered.", nullable=False, unit="s"),
        Column("audio_s_out", "double", "Audio measured or kept.", nullable=False, unit="s"),
        Column("versions_read", "map<string,bigint>", "Table versions read.", nullable=False),
        Column("versions_written", "map<string,bigint>", "Table versions written.", nullable=False),
        Column("counts", "map<string,bigint>", "The job's own counts.", nullable=False),
        Column("model_loads", "bigint", "Models loaded by workers.", nullable=False),
        Column("cpu_s", "double", "CPU time of the measuring workers.", nullable=False, unit="s"),
        Column("device_s", "double", "Time on accelerators.", nullable=False, unit="s"),
        Column("bytes_read", "bigint", "Bytes of audio read.", nullable=False, unit="byte"),
        Column("price", "double", "device_s at the set price per device hour; null where none is set."),
        Column("started_at", "timestamp", "UTC.", nullable=False),
        Column("finished_at", "timestamp", "UTC.", nullable=False),
    ),
    key=("run_id",),
)
