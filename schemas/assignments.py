"""Which side a link key belongs to, for ever. Rows count once their build is published; the earliest wins."""

from speechlake.schemas.table import Column, Table

ASSIGNMENTS = Table(
    name="assignments",
    comment="Which side a link key belongs to, for ever. Rows count once their build is published; the earliest wins.",
    columns=(
        Column("scheme", "string", "Family of releases that share sides.", nullable=False),
        Column("link_key", "string", "id(kind, value).", nullable=False),
        Column("side", "string", "train, dev or test.", nullable=False),
        Column("build_id", "string", "Build that wrote it.", nullable=False),
    ),
    # A build that was never published may have left rows: they must not stand in the way of others.
    key=("scheme", "link_key", "build_id"),
    checks={"known_side": "side IN ('train', 'dev', 'test')"},
    partition_by=("scheme",),
)
