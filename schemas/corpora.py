"""Named sources of audio, with what is declared of each."""

from speechlake.schemas.table import Column, Table

CORPORA = Table(
    name="corpora",
    comment="Named sources of audio, with what is declared of each.",
    columns=(
        Column(
            "corpus",
            "string",
            "Name: unit of ingest, licence, speaker names, scheduling, partitioning.",
            nullable=False,
        ),
        Column("licence", "string", "Licence identifier (SPDX where there is one)."),
        Column("language", "string", "Default language, canonical BCP 47, for lines that name none."),
        Column(
            "roots",
            "array<struct<name:string,uri:string,former_uris:array<string>>>",
            "Named places of the audio; moving audio changes a root's URI and nothing else.",
            nullable=False,
        ),
        Column(
            "speaker_namespace",
            "string",
            "Prefix of speaker ids; shared by derivatives of one source.",
            nullable=False,
        ),
        Column(
            "single_speaker",
            "boolean",
            "Declared to hold one speaker: speaker links are off inside it.",
            nullable=False,
        ),
        Column("channels", "string", "mix, auto, each, or a channel number counted from 0.", nullable=False),
        Column("ids", "string", "interval, or source: source_id is part of utterance_id.", nullable=False),
        Column(
            "text_tags", "array<string>", "What the texts are, e.g. read, prompts, verbatim.", nullable=False
        ),
        Column("role", "string", "training or evaluation.", nullable=False),
    ),
    key=("corpus",),
    checks={"known_role": "role IN ('training', 'evaluation')", "known_ids": "ids IN ('interval', 'source')"},
)
