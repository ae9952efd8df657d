"""What is declared of a corpus: from `corpora.yaml`, from flags, and as its row in `corpora`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from speechlake.errors import ConfigError

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class Corpus(BaseModel):
    """One corpus: where its manifests and audio lie, and what its publisher says of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    sources: tuple[str, ...] = Field(min_length=1)
    format: str = "auto"
    roots: Mapping[str, str] = Field(default_factory=dict)
    licence: str | None = None
    language: str | None = None
    speaker_namespace: str | None = None
    single_speaker: bool = False
    channels: str = Field("auto", pattern=r"^(mix|auto|\d+)$")
    ids: Literal["interval", "source"] = "interval"
    text_tags: tuple[str, ...] = ()
    role: Literal["training", "evaluation"] = "training"
    max_reject: float = Field(0.05, ge=0, le=1)
    columns: Mapping[str, str] = Field(default_factory=dict)

    @field_validator("name", "speaker_namespace")
    @classmethod
    def _strict_name(cls, value: str | None) -> str | None:
        if value is not None and not NAME.fullmatch(value):
            raise ValueError("a name is 1-64 of a-z, 0-9, '.', '_', '-', and starts with a letter or digit")
        return value

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


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    corpora: tuple[Corpus, ...] = Field(min_length=1)


def make_corpus(**said: Any) -> Corpus:
    """A corpus from values; ConfigError names each field that is wrong."""
    try:
        return Corpus(**said)
    except ValidationError as error:
        raise ConfigError(_told(error)) from None


def load_corpora(path: str | Path) -> Sequence[Corpus]:
    """The corpora of a YAML file, in its order; relative paths are taken from the file's folder."""
    try:
        said = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        corpora = _File.model_validate(said).corpora
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    except ValidationError as error:
        raise ConfigError(f"{path}: {_told(error)}", hint="See 'corpora.yaml' in the README.") from None
    names = [corpus.name for corpus in corpora]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{path}: corpora named twice: {', '.join(twice)}")
    return [corpus.beside(Path(path).absolute().parent) for corpus in corpora]


def _told(error: ValidationError) -> str:
    """Every wrong field with what is wrong, on one line."""
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())


def _absolute(uri: str, folder: Path) -> str:
    return uri if "://" in uri else str((folder / uri).absolute())
