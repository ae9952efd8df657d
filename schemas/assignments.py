"""Which side a link key belongs to, for ever; written only by published builds."""

from speechlake.schemas.table import Column, Table

ASSIGNMENTS = Table(
    name="assignments",
    comment="Which side a link key belongs to, for ever; written only by published builds.",
    columns=(
        Column("scheme", "string", "Family of releases that share sides.", nullable=False),
        Column("link_key", "string", "id(kind, value).", nullable=False),
        Column("side", "string", "train, dev or test.", nullable=False),
        Column("build_id", "string", "Build that wrote it.", nullable=False),
    ),
    key=("scheme", "link_key"),
    checks={"known_side": "side IN ('train', 'dev', 'test')"},
    partition_by=("scheme",),
)
