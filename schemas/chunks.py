"""What each measured chunk held and cost."""

from speechlake.schemas.table import Column, Table

CHUNKS = Table(
    name="chunks",
    comment="What each chunk of a measuring run held and cost.",
    columns=(
        Column("corpus", "string", "Corpus that was measured.", nullable=False),
        Column("run_id", "string", "Run that measured.", nullable=False),
        Column("chunk", "int", "Number of the chunk in its run, from 0.", nullable=False),
        Column("fingerprints", "array<string>", "What measured.", nullable=False),
        Column("utterances", "bigint", "Utterances in the chunk.", nullable=False),
        Column("errors", "bigint", "Utterances with a permanent error.", nullable=False),
        Column("attempts", "bigint", "Utterances with a transient failure.", nullable=False),
        Column("audio_s", "double", "Audio measured.", nullable=False, unit="s"),
        Column("cpu_s", "double", "CPU time of the workers.", nullable=False, unit="s"),
        Column("device_s", "double", "Time in which an accelerator was busy.", nullable=False, unit="s"),
        Column("bytes_read", "bigint", "Bytes of audio read.", nullable=False, unit="byte"),
        Column("model_loads", "bigint", "Models loaded.", nullable=False),
    ),
    key=("run_id", "chunk"),
    references={"run_id": "runs.run_id"},
)
