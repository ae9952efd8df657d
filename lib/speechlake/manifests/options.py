"""What a corpus asks of its parser: every option that changes what a line yields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from speechlake.errors import UsageError
from speechlake.ids import canonical_json, make_id
from speechlake.manifests.roles import NAMED_ROLES

PARSER_VERSION: Final = "3"
"""Raised by hand whenever a line may yield something else than before."""

RELATIVE_TO: Final = ("auto", "manifest", "root")
QUOTING: Final = ("auto", "csv", "none")
IDS: Final = ("interval", "source")
EACH: Final = "each"


@dataclass(frozen=True)
class ParseOptions:
    """Options of one corpus; JSON-able, so that they travel to executors and into digests.

    `language`: canonical default for lines that name none, or say that they do not know. `ids`: `source` adds the line's own id to
    `utterance_id`. `channels`: mix, auto (the line's, else mix), each (the line's, else every one of the
    file, which `channels.with_each_channel` makes of the line) or a number from 0. `columns`: pairs (role, field name)
    that overrule the recognised names; roles are those of `roles.NAMED_ROLES`.
    `suffix`: of audio that a line names without one; null is the format's own. `relative_to`: what a relative
    reference is relative to; auto is the convention of the format. `quoting` of tables with a
    header: auto is CSV quoting for commas and semicolons, none for tabs and bars.
    """

    corpus: str
    language: str | None = None
    ids: str = "interval"
    channels: str = "auto"
    columns: tuple[tuple[str, str], ...] = ()
    suffix: str | None = None
    relative_to: str = "auto"
    quoting: str = "auto"

    def __post_init__(self) -> None:
        _one_of("ids", self.ids, IDS)
        _one_of("relative_to", self.relative_to, RELATIVE_TO)
        _one_of("quoting", self.quoting, QUOTING)
        named = self.channels in ("mix", "auto", EACH)
        if not named and not (self.channels.isascii() and self.channels.isdigit()):
            raise UsageError(f"channels {self.channels!r}: expected mix, auto, each or a number from 0")
        for role, _ in self.columns:
            _one_of("columns: role", role, NAMED_ROLES)
        object.__setattr__(self, "columns", tuple(sorted((role, name) for role, name in self.columns)))

    def as_json(self) -> str:
        """One spelling per set of options."""
        return canonical_json(asdict(self))

    def digest(self) -> str:
        """Short hash of the options and of the parser's version; part of `manifests.parser_version`."""
        return make_id("parse", PARSER_VERSION, self.as_json())[:12]

    @classmethod
    def of(cls, corpus: str, columns: Mapping[str, str] | None = None, **options: Any) -> ParseOptions:
        """Options with `columns` given as a mapping of role to field name."""
        return cls(corpus, columns=tuple((columns or {}).items()), **options)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(f"{name} {value!r}: expected one of {', '.join(allowed)}")
