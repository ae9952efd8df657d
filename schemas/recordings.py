"""Audio files and members of archives."""

from speechlake.schemas.table import Column, Table

RECORDINGS = Table(
    name="recordings",
    comment="Audio files and members of archives.",
    columns=(
        Column("corpus", "string", "Corpus it belongs to.", nullable=False),
        Column("recording_id", "string", "id(corpus, root, path, member or '').", nullable=False),
        Column("root", "string", "Name of the root under which it lies.", nullable=False),
        Column("path", "string", "Path relative to the root.", nullable=False),
        Column("container", "string", "Path of the archive or Parquet file, for audio inside one."),
        Column("member", "string", "Name inside the container."),
        Column("byte_offset", "bigint", "Where the audio starts in its container."),
        Column("byte_length", "bigint", "Bytes of the audio in its container."),
        Column("listing_key", "string", "size + mtime_ns, or etag: decides only whether to read again."),
        Column("size_bytes", "bigint", "Size at the last listing."),
        Column("state", "string", "present or missing, as of the last listing.", nullable=False),
        Column("retired_in", "string", "Manifest generation (`uri#n`) since which no manifest lists it."),
    ),
    key=("recording_id",),
    references={"corpus": "corpora.corpus"},
    checks={"known_state": "state IN ('present', 'missing')"},
    partition_by=("corpus",),
)
