"""Published builds. The append of a row publishes; every reader joins through it."""

from speechlake.schemas.table import Column, Table

RELEASES = Table(
    name="releases",
    comment="Published builds. The append of a row publishes; every reader joins through it.",
    columns=(
        Column("release", "string", "Name.", nullable=False),
        Column("build_id", "string", "Build it publishes.", nullable=False),
        Column("policy", "string", "Text of the policy.", nullable=False),
        Column("policy_sha256", "string", "Digest of the policy's meaning (canonical JSON).", nullable=False),
        Column("scheme", "string", "Family of releases that share sides.", nullable=False),
        Column(
            "rows_digest", "string", "Order-free digest of the splits and decisions rows.", nullable=False
        ),
        Column(
            "counts",
            "array<struct<corpus:string,language:string,split:string,utterances:bigint,hours:double,speakers:bigint>>",
            "What it holds; split is null for excluded rows.",
            nullable=False,
        ),
        Column(
            "rules",
            "array<struct<rule:string,passed:bigint,failed:bigint,not_applicable:bigint,hours_alone:double>>",
            "What each rule did; hours_alone: removed by this rule and no other.",
            nullable=False,
        ),
        Column(
            "pinned",
            "map<string,double>",
            "Numbers of the policy's quantiles: `signal operator language quantile` -> limit, used ever after.",
            nullable=False,
        ),
        Column("versions_read", "map<string,bigint>", "Table versions the build read.", nullable=False),
        Column("known_speaker_hours_ratio", "double", "Share of kept hours whose speaker is known."),
        Column("warnings", "array<string>", "What could not be met or is not known.", nullable=False),
        Column("published_at", "timestamp", "UTC.", nullable=False),
    ),
    key=("release",),
)
