"""Which fingerprint of each extractor is current, per language if need be. The highest n wins."""

from speechlake.schemas.table import Column, Table

PROFILES = Table(
    name="profiles",
    comment="Which fingerprint of each extractor is current, per language if need be. The highest n wins.",
    columns=(
        Column("n", "bigint", "Growing integer.", nullable=False),
        Column("extractor", "string", "Extractor.", nullable=False),
        Column("language", "string", "Primary language subtag; null: every other language."),
        Column("fingerprint", "string", "Current fingerprint.", nullable=False),
    ),
    key=("n",),
    references={"fingerprint": "extractors.fingerprint"},
)
