"""What a policy says: which utterances are kept, with which text, what belongs together, how splits are sized.

The grammar is strict: an unknown key or a signal that nobody measures is refused, never ignored. Values are data;
nothing in a policy is SQL or an expression.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from speechlake.config import Section, invalid, is_by_hand, like, loads, text_of
from speechlake.errors import ConfigError
from speechlake.ids import canonical_json
from speechlake.splits.policy_balance import CAP_REASONS, Cap, Weights
from speechlake.splits.policy_links import (
    PLACEMENT_REASONS,
    Decontaminate,
    Duplicates,
    Links,
    Lists,
    Name,
    Splits,
)
from speechlake.splits.policy_overrides import Override, whole_overrides
from speechlake.splits.policy_rules import (
    AnyRule,
    ErrorRate,
    SameLanguage,
    SignalRule,
    checks_of,
    rule_meaning,
)
from speechlake.splits.policy_values import EVALUATION, SIDES, Languages, Side, Sides, as_tuple, plain
from speechlake.splits.signals import EXTRACTORS

_MODEL = r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}"
ModelId = Annotated[str, like(_MODEL, "a model's id or a fingerprint")]
TextSource = Annotated[
    str,
    like(
        rf"manifest(:[A-Za-z0-9_.-]{{1,64}})?|import:[a-z0-9_]{{1,64}}|{_MODEL}",
        "'manifest', 'manifest:<field>', 'import:<import>' or a model's id",
    ),
]

# The audio lacks keys, or `find-duplicates` has not met them yet: a copy may be on another side.
NOT_COMPARED = "not_compared"
# Reasons that are not rules: why a row is out although, or before, rules were asked.
REASONS: Mapping[str, str] = {
    "not_in_manifest": "No manifest lists it any more.",
    "segmented": "`segment-recordings` heard it: what is said in it stands as utterances of its own.",
    "audio_missing": "Its audio was not there when the corpus was last ingested.",
    "evaluation_corpus": "Its corpus has the role `evaluation`.",
    NOT_COMPARED: "Its audio lacks keys, or `find-duplicates` has not looked them up: a copy may be on another side.",
    "no_text": "It has none of the texts that the policy prefers, or an empty one.",
    "machine_text": "It would be on a side of `human_only`, and its text is a model's.",
    "caption_text": "It would be on a side of `human_only`, and its text is a caption.",
    **PLACEMENT_REASONS,
    **CAP_REASONS,
}

MEDOID = "medoid"
# Of what a rule asks, as answers of reviews carry it.
ASKED_CHARACTERS = 400


class Medoid(Section):
    """Of three or more machine texts, the one that is nearest to the others, where they agree enough."""

    of: Annotated[tuple[TextSource, ...], BeforeValidator(as_tuple), Field(min_length=3)]
    min_agreement: Annotated[float, Field(ge=0, le=1)] = 0.0

    @field_validator("of")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise PydanticCustomError("medoid", "a text votes once: a source is named twice")
        if {"manifest", MEDOID} & set(value):
            raise PydanticCustomError("medoid", "machine texts vote: manifest and medoid are none")
        return value


class Text(Section):
    """Which text a kept row carries, in which form. A policy with this section keeps no row without a text."""

    prefer: Annotated[tuple[TextSource, ...], BeforeValidator(as_tuple), Field(min_length=1)]
    medoid: Medoid | None = None
    form: Literal["verbatim", "lower", "normalised"] = "verbatim"
    human_only: Sides = EVALUATION

    @property
    def sources(self) -> tuple[str, ...]:
        """What it names of texts, those of a medoid too."""
        return self.prefer + (self.medoid.of if self.medoid else ())

    @model_validator(mode="after")
    def _medoid_is_said_whole(self) -> Text:
        if (MEDOID in self.prefer) != (self.medoid is not None):
            raise PydanticCustomError("medoid", "'medoid' in prefer and a section medoid go together")
        return self


class Use(Section):
    """Which model's measurements count, for some languages or for all others."""

    model: ModelId
    languages: Languages | None = None


class Policy(Section):
    """A whole policy."""

    name: Name
    text: Text | None = None
    use: dict[str, tuple[Use, ...]] = Field(default_factory=dict)
    keep: Annotated[tuple[AnyRule, ...], BeforeValidator(as_tuple)] = ()
    overrides: tuple[Override, ...] = ()
    caps: Annotated[tuple[Cap, ...], BeforeValidator(as_tuple)] = ()
    weights: Weights | None = None
    duplicates: Duplicates = Duplicates()
    links: Links = Links()
    decontaminate: Decontaminate = Decontaminate()
    lists: Lists = Lists()
    splits: Splits

    @field_validator("use", mode="before")
    @classmethod
    def _known_extractors(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        for name in value:
            if name not in EXTRACTORS:
                raise invalid("extractor", name, EXTRACTORS)
        return {name: as_tuple(uses) for name, uses in value.items()}

    @field_validator("use")
    @classmethod
    def _unambiguous(cls, value: dict[str, tuple[Use, ...]]) -> dict[str, tuple[Use, ...]]:
        for name, uses in value.items():
            languages = [language for use in uses for language in use.languages or ("every other",)]
            twice = {language for language in languages if languages.count(language) > 1}
            if twice or any(use.languages is None for use in uses[:-1]):
                what = ", ".join(sorted(twice)) or "languages after 'every other'"
                raise PydanticCustomError("use", f"{name}: {what} can never be reached")
        return value

    @field_validator("keep")
    @classmethod
    def _named_once(cls, rules: tuple[AnyRule, ...]) -> tuple[AnyRule, ...]:
        names = [rule.rule for rule in rules]
        for name in names:
            if names.count(name) > 1 or name in REASONS:
                why = "names a reason of its own" if name in REASONS else "is used twice"
                raise PydanticCustomError("rule", f"rule name {name!r} {why}")
        return rules

    @field_validator("overrides", mode="before")
    @classmethod
    def _whole_overrides(cls, value: Any, info: ValidationInfo) -> Any:
        # Where the rules themselves are wrong, that is told, and nothing of what they would be changed to.
        return whole_overrides(value, info.data["keep"]) if "keep" in info.data else ()

    @model_validator(mode="after")
    def _caps_are_possible(self) -> Policy:
        capped = [cap.per for cap in self.caps]
        twice = sorted({per for per in capped if capped.count(per) > 1})
        if twice or ("text" in capped and self.text is None):
            why = f"{', '.join(twice)} is capped twice" if twice else "a cap per text needs a section text"
            raise PydanticCustomError("caps", f"caps: {why}")
        return self

    def rules(self) -> Iterator[AnyRule]:
        """Every rule, then every rule as overrides change it."""
        yield from self.keep
        for override in self.overrides:
            yield from override.keep

    @model_validator(mode="after")
    def _texts_to_link(self) -> Policy:
        if self.text is None and self.links.compares_texts:
            raise PydanticCustomError(
                "links", "links.text needs a section 'text', which says what the text is"
            )
        return self

    @model_validator(mode="after")
    def _texts_to_judge(self) -> Policy:
        # Without one no row has a text, and the rule would let everything through.
        for rule in self.rules() if self.text is None else ():
            read = {check.measured.name for check in checks_of(rule)}
            if isinstance(rule, ErrorRate) or any(
                name.startswith("text.") or name in ("text", "text_kind", "text_source") for name in read
            ):
                raise PydanticCustomError(
                    "keep", f"rule {rule.rule!r} needs a section 'text', which says what the text is"
                )
        return self

    @model_validator(mode="after")
    def _means_something(self, info: ValidationInfo) -> Policy:
        """What a file may not say; a policy of a release goes on being read."""
        if not is_by_hand(info):
            return self
        has_medoid = self.text is not None and self.text.medoid is not None
        for rule in () if has_medoid else self.rules():
            if any(check.measured.name == "text.agreement" for check in checks_of(rule)):
                raise PydanticCustomError(
                    "keep", f"rule {rule.rule!r} needs 'text.medoid', whose texts agree or do not"
                )
        for n, override in enumerate(self.overrides):
            for k, earlier in enumerate(self.overrides[:n]):
                if earlier.is_for_all_of(override):
                    raise PydanticCustomError(
                        "overrides",
                        f"overrides[{n}] can never apply: its rows follow overrides[{k}]; the narrower one goes first",
                    )
        return self

    def digest(self) -> str:
        """sha256 of what it means: its name, spelling, order of keys and comments do not matter."""
        return hashlib.sha256(canonical_json(self.meaning()).encode()).hexdigest()

    def asked_by(self, rule: str) -> str:
        """What a rule of it asks, overrides included: one text for one meaning, by which reviews of it are told apart.

        A quantile stands for the number that its scheme pinned. Long ones end in their sha256.
        """
        rules = {each.rule: each for each in self.keep}
        said = {key: value for key, value in rule_meaning(rules[rule]).items() if key != "rule"}
        meanings = [override.meaning(rules) for override in self.overrides]
        others = [
            {
                "languages": other["languages"],
                "corpora": other["corpora"],
                "asks": "nothing" if rule in other["drop_rules"] else other["keep"][rule],
            }
            for other in meanings
            if rule in other["drop_rules"] or rule in other["keep"]
        ]
        text = canonical_json({**said, "overrides": others} if others else said)
        if '"quantile"' in text:
            text = f"{text} in scheme {self.splits.scheme}"
        digest = hashlib.sha256(text.encode()).hexdigest()
        return text if len(text) <= ASKED_CHARACTERS else f"{text[:ASKED_CHARACTERS]}… {digest}"

    def meaning(self) -> Mapping[str, Any]:
        """Everything that decides, with every default spelled out, in one spelling."""
        own = {"name", "keep", "overrides", "weights"}
        said: dict[str, Any] = plain(self.model_dump(mode="json", by_alias=True, exclude=own))
        said["splits"]["salt"] = str(self.splits.salt)
        for uses in said["use"].values():
            for use in uses:
                use["languages"] = sorted(use["languages"]) if use["languages"] else None
        rules = {rule.rule: rule for rule in self.keep}
        return {
            **said,
            "keep": [rule_meaning(rule) for rule in self.keep],
            "overrides": [override.meaning(rules) for override in self.overrides],
            "weights": self.weights.meaning() if self.weights else None,
        }


def load_policy(path: str | Path) -> Policy:
    """The policy in a YAML file; ConfigError names the file, the field, and the nearest valid name."""
    return read_policy(path)[0]


def read_policy(path: str | Path) -> tuple[Policy, str]:
    """The same, and its YAML, of one reading: a pipe gives it once, and a file may change in between.

    A name that is no file, such as `asr-train`, means the policy of that name in speechlake/policies; ConfigError lists
    those where there is no such policy either.
    """
    shipped = {} if Path(path).suffix or Path(path).exists() else shipped_policies()
    if shipped and str(path) not in shipped:
        raise ConfigError(f"{path}: is no file, and no policy of speechlake, which has {', '.join(shipped)}")
    text = shipped[str(path)].read_text("utf-8") if shipped else text_of(path)
    policy = loads(text, str(path), Policy, by_hand=True)
    return policy.model_copy(update={"lists": policy.lists.beside(Path(path))}), text


def shipped_policies() -> dict[str, Traversable]:
    """Return the policies that come with the package, by name; they may lie in a zip."""
    files = resources.files("speechlake").joinpath("policies").iterdir()
    found = {file.name.removesuffix(".yaml"): file for file in files if file.name.endswith(".yaml")}
    return dict(sorted(found.items()))


__all__ = [
    "EVALUATION",
    "REASONS",
    "SIDES",
    "AnyRule",
    "ErrorRate",
    "Policy",
    "SameLanguage",
    "Side",
    "SignalRule",
    "load_policy",
    "read_policy",
    "shipped_policies",
]
