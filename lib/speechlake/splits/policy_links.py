"""The sections of a policy about copies, links and sides: what belongs together, and how large each side is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator
from pydantic_core import PydanticCustomError

from speechlake.config import Section, invalid, like
from speechlake.errors import ConfigError
from speechlake.schemas import UTTERANCES
from speechlake.splits.columns import EXTRAS
from speechlake.splits.policy_values import EVALUATION, Hours, Side, as_tuple

Name = Annotated[
    str,
    like("[a-z][a-z0-9_-]{0,63}", "1-64 lower-case letters, digits, '_' and '-' that begin with a letter"),
]
Corpora = Annotated[tuple[str, ...], BeforeValidator(as_tuple), Field(min_length=1)]
Share = Annotated[float, Field(gt=0, le=0.5)]
Part = Annotated[float, Field(ge=0, le=1)]

Mode = Literal["together", "exclude_from_train", "off"]

# Reasons that placing a row may give, besides those of exclude_from_train (`<link>_in_evaluation`).
PLACEMENT_REASONS: Mapping[str, str] = {
    "speaker_unknown": "It belongs to an evaluation side, and nobody knows its speaker.",
    "speaker_elsewhere": "It belongs to an evaluation side, or shares a link with what evaluated, and another corpus has the speaker of its `single_speaker` corpus, or has published him in the scheme.",
    "bridges_splits": "It shares a speaker, recording, copy or other link with a row that was placed on another side, or its file was replaced by audio that was.",
    "in_evaluation_corpus": "An evaluation corpus holds its audio, or, of train, its text.",
    "published_before_listed": "A list names it for a side, and an earlier release has it, or what shares a link with it, on another.",
    "shares_with_fixed_set": "It shares a link with a row that a list names for another side.",
    "text_in_evaluation": "It would train, and an evaluation row of the scheme says the same.",
    "session_in_evaluation": "It would train, and an evaluation row of the scheme is of its session.",
    "overlaps_other_utterance": "It is mostly the same stretch of the recording as a row that stays, or of which a copy stays.",
    "boilerplate": "More than 20 recordings share its audio: it never evaluates, and few copies train.",
    "duplicate_of_kept": "It is a copy of another row of its side, which stays, unless a cap leaves it out.",
    "contained_in_kept": "It shares a part with a longer row of its side, which stays, unless a cap leaves it out.",
}

# Columns of `utterances` that a link may name: what identifies a row links nothing, and the others of these
# have links of their own.
_APART = {"utterance_id", "recording_id", "speaker_id", "session_id", "retired_in"}
LINK_COLUMNS: tuple[str, ...] = tuple(
    column.name for column in UTTERANCES.columns if column.type == "string" and column.name not in _APART
)


class Duplicates(Section):
    """Which copies count as duplicates, and which of them stays: the first in this order of preference.

    This is about removal only: all that share audio sit on one side, whatever `kinds` says. `exact` alone keeps one
    row of each waveform, `near` one of each cluster, exact copies among them. `contained` drops these, and what only
    shares a part with a longer row; where clips overlap in a chain, one of the chain stays.
    """

    kinds: Annotated[
        tuple[Literal["exact", "near", "contained"], ...], BeforeValidator(as_tuple), Field(min_length=1)
    ] = ("exact",)
    keep: Annotated[
        tuple[Literal["text_kind", "quality", "duration", "error_rate"], ...],
        BeforeValidator(as_tuple),
        Field(min_length=1),
    ] = ("text_kind", "duration")
    boilerplate_copies: Annotated[int, Field(ge=0, le=1_000_000)] = 1


def _spelled(value: object) -> object:
    """A mode alone is a link of that mode."""
    return {"mode": value} if isinstance(value, str) else value


class Link(Section):
    """How a value that rows share binds them.

    `together`: all of them on one side. `exclude_from_train`: train rows that share it with an evaluation row
    are excluded; where these are more than `max_evicted_share` of train's hours, the build is refused.
    """

    mode: Mode = "together"
    max_evicted_share: Part = 0.05


class TextLink(Section):
    """How texts bind rows: the same text, or the same eight words in a row.

    Texts of less than `min_words` words say nothing. Corpora whose `text_tags` hold `prompts` are excepted.
    """

    mode: Literal["exclude_from_train", "off"] = "off"
    min_words: Annotated[int, Field(ge=1)] = 4
    max_evicted_share: Part = 0.05


AnyLink = Annotated[Link, BeforeValidator(_spelled)]


class Links(Section):
    """What never sits on two sides. Speaker, recording, its bytes and shared audio are always kept together."""

    speaker: Literal["together"] = "together"
    recording: Literal["together"] = "together"
    duplicate: Literal["together"] = "together"
    session: AnyLink = Link()
    text: Annotated[TextLink, BeforeValidator(_spelled)] = TextLink()
    columns: dict[str, AnyLink] = Field(default_factory=dict)

    @field_validator("columns")
    @classmethod
    def _known_columns(cls, value: dict[str, Link]) -> dict[str, Link]:
        for name in value:
            if name not in LINK_COLUMNS and not (name.startswith(EXTRAS) and len(name) > len(EXTRAS)):
                raise invalid("column", name, [*LINK_COLUMNS, "extras.<name>"])
        return value

    @property
    def compares_texts(self) -> bool:
        """Whether train gives way to texts that evaluate."""
        return self.text.mode != "off"

    def of_mode(self, mode: Mode) -> dict[str, Link]:
        """Sessions and columns that are linked so, by name."""
        return {name: link for name, link in self._others().items() if link.mode == mode}

    def _others(self) -> dict[str, Link]:
        return {"session": self.session, **dict(sorted(self.columns.items()))}


class Decontaminate(Section):
    """Which evaluation corpora (all, unless named) keep train clean, and from which length of text on.

    Rows that share audio with them are excluded from every side, rows that share text from train; where the
    latter are more than `max_evicted_share` of train's hours, the build is refused.
    """

    corpora: Corpora | None = None
    text: bool = True
    min_words: Annotated[int, Field(ge=1)] = 4
    max_evicted_share: Part = 0.05


class FixedSet(Section):
    """A file of utterance or source ids, one a line. Its content counts, not where it lies."""

    file: str = Field(exclude=True)
    sha256: str | None = None


class FoundSet(FixedSet):
    """One whose file lies beside its policy and was read; the text of a release says where it lay for another."""


def _file(value: object) -> object:
    return {"file": value} if isinstance(value, str) else value


class Lists(Section):
    """Evaluation sets by list. A side that has a list and no size under `splits` holds exactly the list, and what earlier
    releases of the scheme have there.

    Rows that share a link with a listed one are out; where these are more than `max_evicted_share` of train's
    hours, the build is refused.
    """

    test: Annotated[FixedSet, BeforeValidator(_file)] | None = None
    dev: Annotated[FixedSet, BeforeValidator(_file)] | None = None
    # It says whether a build is published, never what is in it, and so is no part of a policy's digest.
    max_evicted_share: Annotated[Part, Field(exclude=True)] = 0.05

    def named(self) -> dict[Side, FixedSet]:
        """The lists there are, by side."""
        found: dict[Side, FixedSet | None] = {"test": self.test, "dev": self.dev}
        return {side: fixed for side, fixed in found.items() if fixed is not None}

    def beside(self, policy: Path) -> Lists:
        """The same, files taken from the policy's folder and read once for their digest; ConfigError without one."""
        return self.model_copy(
            update={side: _read(fixed, policy, side) for side, fixed in self.named().items()}
        )


def _read(fixed: FixedSet, policy: Path, side: str) -> FoundSet:
    path = policy.parent / fixed.file
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"{policy}: lists.{side}: {path} cannot be read: {error}") from error
    if fixed.sha256 not in (None, digest):
        raise ConfigError(
            f"{policy}: lists.{side}: {path} has sha256 {digest}, the policy says {fixed.sha256}"
        )
    return FoundSet(file=str(path), sha256=digest)


class Size(Section):
    """How large an evaluation side is in each stratum: the smaller of `hours` and `max_share` of it."""

    hours: Hours
    max_share: Share
    min_speakers: Annotated[int, Field(ge=1)] | None = None


class Splits(Section):
    """Sides, their sizes, and the family of releases that shares them.

    A group of linked rows with more than `max_group_share` of a stratum's hours is told in the release, with
    what glued it together; above `refuse_group_share` nothing is published.
    """

    scheme: Name
    salt: int | str
    test: Size | None = None
    dev: Size | None = None
    per: Annotated[tuple[Literal["language", "corpus"], ...], BeforeValidator(as_tuple)] = ("language",)
    max_group_share: Part = 0.2
    refuse_group_share: Part | None = None

    @field_validator("refuse_group_share")
    @classmethod
    def _above_the_warning(cls, value: float | None, info: Any) -> float | None:
        warned = info.data.get("max_group_share")
        if value is not None and warned is not None and value < warned:
            raise PydanticCustomError("share", f"{value:g} is below max_group_share, {warned:g}")
        return value

    def size(self, side: Side) -> Size | None:
        """Size of an evaluation side; null for a side that gets nothing new, and for train."""
        return {"test": self.test, "dev": self.dev}.get(side) if side in EVALUATION else None
