"""What measured: every fingerprint spelled out."""

from speechlake.schemas.table import Column, Table

EXTRACTORS = Table(
    name="extractors",
    comment="What measured: every fingerprint spelled out.",
    columns=(
        Column(
            "fingerprint", "string", "Short hash of everything below that changes results.", nullable=False
        ),
        Column("name", "string", "Extractor.", nullable=False),
        Column("version", "string", "Raised by hand when results change.", nullable=False),
        Column("model_id", "string", "Registry id, hub id or folder name of the model."),
        Column("model_sha256", "string", "Hash of the model's weights."),
        Column("licence", "string", "Licence of the model."),
        Column("parameters", "string", "Canonical JSON.", nullable=False),
    ),
    key=("fingerprint",),
)
