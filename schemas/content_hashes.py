"""What the bytes behind a listing key were, learned when first read."""

from speechlake.schemas.table import Column, Table

CONTENT_HASHES = Table(
    name="content_hashes",
    comment="What the bytes behind a listing key were, learned when first read.",
    columns=(
        Column("corpus", "string", "Corpus of the recording.", nullable=False),
        Column("recording_id", "string", "Key of the recording.", nullable=False),
        Column("listing_key", "string", "Listing key under which it was read.", nullable=False),
        Column("content_sha256", "string", "Hash of the bytes.", nullable=False),
        Column("size_bytes", "bigint", "Bytes read.", nullable=False),
    ),
    key=("recording_id", "listing_key"),
    references={"recording_id": "recordings.recording_id"},
    cluster_by=("corpus", "recording_id"),
)
