"""What is declared of a corpus: from `corpora.yaml`, from flags, and as its row in `corpora`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from speechlake.config import CORPUS_NAME, Section, invalid, like, load, problems
from speechlake.errors import ConfigError, UsageError
from speechlake.manifests.formats import NAMED_FORMATS
from speechlake.manifests.places import local_uri
from speechlake.manifests.roles import NAMED_ROLES
from speechlake.uris import local_path, require_place

if TYPE_CHECKING:
    from speechlake.segments.segmenter import Segmenter

Name = Annotated[str, like(*CORPUS_NAME)]


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _as_text(value: Any) -> Any:
    # `channels: 0` is a number to YAML.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


# What a lake remembers of a corpus until something else is said of it; roots are remembered one by one.
KEPT = (
    *("licence", "language", "speaker_namespace", "single_speaker"),
    *("channels", "ids", "text_tags", "role"),
)
# How manifests are read: remembered nowhere, so that whoever says none of it again is asked.
READING = ("columns", "suffix", "relative_to", "quoting")
# Flags that are not called like their field.
FLAGS = {
    "name": "--corpus",
    "sources": "SOURCE",
    "roots": "--audio-root",
    "text_tags": "--text-tag",
    "columns": "--column",
}
Strings = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


class Cutting(Section):
    """How long recordings of a corpus are cut; what is not said is as `segment-recordings` has it."""

    longer_than_s: float | None = None
    min_s: float | None = None
    max_s: float | None = None
    discard_text: bool = False

    @model_validator(mode="after")
    def _possible(self) -> Cutting:
        try:
            self.segmenter()
        except UsageError as error:
            raise PydanticCustomError("lengths", f"{error.message}. {error.hint}") from None
        return self

    def segmenter(self) -> Segmenter:
        """What cuts; UsageError where the lengths contradict each other."""
        from speechlake.segments.segmenter import Segmenter

        return Segmenter(**self.model_dump(exclude={"discard_text"}, exclude_none=True))


def _cutting(value: Any) -> Any:
    """True is a section that says nothing, false is none."""
    if isinstance(value, bool):
        return {} if value else None
    if isinstance(value, dict | Cutting):
        return value
    raise PydanticCustomError("cutting", "expected true, false, or keys with values")


class Corpus(Section):
    """One corpus: where its manifests and audio lie, and what its publisher says of it."""

    name: Name
    sources: Annotated[Strings, Field(min_length=1)]
    format: str = "auto"
    roots: dict[Name, str] = Field(default_factory=dict)
    licence: str | None = None
    language: str | None = None
    speaker_namespace: Name | None = None
    single_speaker: bool = False
    channels: Annotated[
        str,
        BeforeValidator(_as_text),
        like("mix|auto|each|[0-9]+", "mix, auto, each or a channel counted from 0"),
    ] = "auto"
    ids: Literal["interval", "source"] = "interval"
    text_tags: Strings = ()
    role: Literal["training", "evaluation"] = "training"
    max_reject: Annotated[float, Field(ge=0, le=1)] = 0.05
    columns: dict[str, str] = Field(default_factory=dict)
    suffix: (
        Annotated[str, like(r"\.[A-Za-z0-9]{1,8}", "a dot and 1-8 letters or digits, such as .opus")] | None
    ) = None
    relative_to: Literal["auto", "manifest", "root"] = "auto"
    quoting: Literal["auto", "csv", "none"] = "auto"
    segment: Annotated[Cutting | None, BeforeValidator(_cutting)] = None

    @field_validator("format")
    @classmethod
    def _known_format(cls, value: str) -> str:
        if value not in NAMED_FORMATS:
            raise invalid("format", value, NAMED_FORMATS)
        return value

    @field_validator("language")
    @classmethod
    def _known_language(cls, value: str | None) -> str | None:
        from speechlake.text.languages import canonical

        tag = canonical(value)
        if value is not None and tag is None:
            raise PydanticCustomError("language", f"{value!r} is no language that is known here")
        return tag

    @field_validator("columns")
    @classmethod
    def _known_roles(cls, value: dict[str, str]) -> dict[str, str]:
        for role in value:
            if role not in NAMED_ROLES:
                raise invalid("role", role, NAMED_ROLES)
        return value

    @field_validator("sources", "roots")
    @classmethod
    def _places(cls, value: Any) -> Any:
        for uri in value.values() if isinstance(value, dict) else value:
            try:
                require_place(uri, "a source or root")
            except UsageError as error:
                raise PydanticCustomError("place", f"{error.message}. {error.hint}") from None
        return value

    def with_known(self, known: Any | None) -> Corpus:
        """The same, with what is not said as `known` has it: the row of `corpora`, null for a new corpus.

        Else a command that names the manifests alone would turn a benchmark into training data.
        """
        unsaid = (
            {} if known is None else {name: known[name] for name in KEPT if name not in self.model_fields_set}
        )
        if "text_tags" in unsaid:
            unsaid["text_tags"] = tuple(unsaid["text_tags"] or ())
        return self.model_copy(update=unsaid)

    @property
    def namespace(self) -> str:
        """Prefix of speaker ids."""
        return self.speaker_namespace or self.name

    def beside(self, folder: Path) -> Corpus:
        """The same, with relative sources and roots taken from `folder`."""
        roots = {name: _absolute(uri, folder) for name, uri in self.roots.items()}
        return self.model_copy(
            update={"sources": tuple(_absolute(s, folder) for s in self.sources), "roots": roots}
        )


class _File(Section):
    corpora: Annotated[tuple[Corpus, ...], BeforeValidator(_as_tuple), Field(min_length=1)]


def make_corpus(**said: Any) -> Corpus:
    """A corpus from flags, relative paths taken from the present folder; ConfigError names each wrong flag.

    Tables keep the paths, and the next command may be given elsewhere.
    """
    try:
        return Corpus.model_validate(said).beside(Path.cwd())
    except ValidationError as error:
        raise ConfigError("; ".join(problems(error, _flag))) from None


def _flag(error: ErrorDetails) -> str:
    name = str(error["loc"][0])
    return FLAGS.get(name) or f"--{name.replace('_', '-')}"


def load_corpora(path: str | Path) -> Sequence[Corpus]:
    """The corpora of a YAML file, in its order; relative paths are taken from the file's folder."""
    corpora = load(path, _File).corpora
    names = [corpus.name for corpus in corpora]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{path}: corpora named twice: {', '.join(twice)}")
    return [corpus.beside(Path(path).absolute().parent) for corpus in corpora]


def _absolute(uri: str, folder: Path) -> str:
    return uri if "://" in uri else local_uri(local_path(str(folder / uri)))
