"""What erasures took out of releases: why a release has fewer rows than it published."""

from speechlake.schemas.table import Column, Table

ERASURES = Table(
    name="erasures",
    comment="What erasures took out of releases: why a release has fewer rows than it published.",
    columns=(
        Column("release", "string", "Release that held rows of what was erased.", nullable=False),
        Column("build_id", "string", "Its build.", nullable=False),
        Column("run_id", "string", "Run that erased.", nullable=False),
        Column("splits", "bigint", "Rows of `splits` that went.", nullable=False),
        Column("decisions", "bigint", "Rows of `decisions` that went.", nullable=False),
        Column(
            "rows_digest",
            "string",
            "Order-free digest of the rows that stayed, as in `releases`.",
            nullable=False,
        ),
        Column("successor", "string", "Release that its policy was to yield without them."),
        Column("erased_at", "timestamp", "UTC.", nullable=False),
    ),
    key=("release", "run_id"),
    references={"release": "releases.release", "run_id": "runs.run_id"},
)
