"""Whether short clips may be heard in cut windows, by model, parameters and language."""

from speechlake.schemas.table import Column, Table

CALIBRATIONS = Table(
    name="calibrations",
    comment="Cut windows of Whisper against full ones on transcribed clips; the newest n of a key counts.",
    columns=(
        Column("fingerprint", "string", "Extractor with cut windows.", nullable=False),
        Column("full_fingerprint", "string", "The same extractor with full windows.", nullable=False),
        Column("language", "string", "Primary language subtag.", nullable=False),
        Column("n", "int", "Trial, from 1.", nullable=False),
        Column("equal", "boolean", "Verdict: cut windows may be used.", nullable=False),
        Column("why", "string", "What decided.", nullable=False),
        Column("clips", "bigint", "Clips that both heard.", nullable=False),
        Column("full_error_rate", "double", "Error rate in full windows.", nullable=False),
        Column("cut_error_rate", "double", "Error rate in cut windows.", nullable=False),
        Column(
            "difference_low", "double", "Lower end of the 95 % interval of cut minus full.", nullable=False
        ),
        Column("difference_high", "double", "Its upper end.", nullable=False),
        Column("deletions_difference", "double", "Deletions per unit, cut minus full.", nullable=False),
        Column("insertions_difference", "double", "Insertions per unit, cut minus full.", nullable=False),
        Column("language_flips", "bigint", "Clips whose detected language differs.", nullable=False),
        Column(
            "runaways", "bigint", "Texts that run away in cut windows and not in full ones.", nullable=False
        ),
        Column("run_id", "string", "Run that compared.", nullable=False),
    ),
    key=("fingerprint", "language", "n"),
    references={"fingerprint": "extractors.fingerprint"},
)
