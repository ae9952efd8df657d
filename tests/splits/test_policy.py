"""A policy is read strictly: nothing in it is ignored, and errors name file, field and the nearest name."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import get_args

import pytest

from speechlake.config import Section, loads
from speechlake.erasure.releases import policy_of
from speechlake.errors import ConfigError
from speechlake.splits.columns import NAMES
from speechlake.splits.policy import Policy, SignalRule, load_policy, read_policy
from speechlake.splits.policy_values import Quantile

FORMS = ("verbatim", "lower", "normalised")
POLICIES = Path(__file__).resolve().parents[2] / "lib" / "speechlake" / "policies"
PAGE = (POLICIES.parents[2] / "docs" / "policies.md").read_text("utf-8")

WHOLE = """
name: mine
text: {prefer: [manifest, "manifest:normalised", whisper-base], human_only: [test]}
use: {whisper: [{languages: [en, no], model: whisper-small.en}, {model: whisper-base}]}
keep:
  - {rule: decodes, signal: audio.error, is: null}
  - {rule: length, signal: audio.duration_s, between: {ja: [0.2, 30], default: [0.4, 30]}}
  - {rule: rate, signal: audio.sample_rate_hz, at_least: 8000, on: eval, if_missing: pass}
  - {rule: declared, signal: audio.declared_difference_s, at_most: 1}
  - {rule: container, signal: audio.container, one_of: [wav, flac]}
  - {rule: same_language, minimum_probability: 0.7}
  - {rule: error_rate, at_most: {en: 0.3, default: 0.4}, min_units: 5, on: all}
splits: {scheme: main, salt: 2026, test: {hours: 5, max_share: 0.1, min_speakers: 8}}
"""
SPLITS = "splits: {scheme: main, salt: 1}\n"
RULE = "name: n\nkeep: [%s]\n" + SPLITS


@pytest.fixture
def load(tmp_path: Path):
    def read(text: str):
        path = tmp_path / "policy.yaml"
        path.write_text(text, encoding="utf-8")
        return load_policy(path)

    return read


def test_everything_that_is_said_is_understood(load):
    policy = load(WHOLE)
    length, rate = policy.keep[1], policy.keep[2]
    assert isinstance(length, SignalRule)
    assert length.operator == "between"
    assert length.asked == {"ja": (0.2, 30), "default": (0.4, 30)}
    assert rate.on == ("dev", "test")
    assert rate.at_least == {"default": 8000}
    assert [rule.on for rule in policy.keep[5:]] == [("train",), ("train", "dev", "test")]
    assert policy.use["whisper"][0].languages == ("en", "no")
    assert policy.text.human_only == ("test",)


@pytest.mark.parametrize("path", sorted(POLICIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_policies_that_we_ship_are_valid_and_named_like_their_files(path):
    assert load_policy(path).name == path.stem


def test_load_policy_finds_a_shipped_policy_by_its_name(tmp_path, monkeypatch):
    """A file of that name comes first."""
    monkeypatch.chdir(tmp_path)
    assert load_policy("asr-train") == load_policy(POLICIES / "asr-train.yaml")
    (tmp_path / "asr-train").write_text("name: mine\nkeep: []\n" + SPLITS)
    assert load_policy("asr-train").name == "mine"


def test_load_policy_of_an_unknown_name_lists_those_that_exist():
    """Neither a file nor a policy of ours."""
    with pytest.raises(ConfigError, match=r"asr-tain: is no file, and no policy .* asr-train, emilia"):
        load_policy("asr-tain")


def test_recipes_that_others_published_are_among_them():
    assert {"granary", "emilia", "peoples-speech", "owsm-v4"} <= {
        path.stem for path in POLICIES.glob("*.yaml")
    }


def test_the_policy_in_the_documentation_is_valid_and_names_every_column_and_operator(load):
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert load(text).name == "everything"
    assert [name for name in (*NAMES, *SignalRule.operators, *FORMS) if f"`{name}`" not in PAGE] == []


def sections(kind: object) -> set[type[Section]]:
    """A section and all that its fields hold, whatever lists, alternatives and mappings they stand in."""
    if isinstance(kind, type) and issubclass(kind, Section):
        return {kind}.union(*(sections(field.annotation) for field in kind.model_fields.values()))
    return set().union(*map(sections, get_args(kind)))


def test_every_key_of_the_grammar_is_in_the_documentation():
    written = "\n".join(re.findall(r"```yaml.*?```|`[^`\n]+`", PAGE, re.DOTALL))
    keys = {
        field.alias or name for section in sections(Policy) for name, field in section.model_fields.items()
    }
    assert {"min_words", "max_evicted_share", "boilerplate_copies", "refuse_group_share", "sha256"} <= keys
    assert {key for key in keys if not re.search(rf"\b{key}\b", written)} == set()


def test_digest_is_of_the_meaning_and_not_of_the_spelling(load):
    length = "{rule: length, signal: audio.duration_s, between: [0.4, 30]}"
    same = "{between: {default: [0.40, 30.0]}, signal: audio.duration_s, on: all, rule: length, if_missing: fail}"
    other = "{rule: length, signal: audio.duration_s, between: [0.4, 31]}"
    digests = [
        load(f"name: n{n}\nkeep: [{rule}]\n{SPLITS}").digest() for n, rule in enumerate([length, same, other])
    ]
    assert digests[0] == digests[1] != digests[2]


BASE = """
name: n
text: {prefer: [manifest], human_only: [dev, test]}
use: {whisper: [{languages: [de, en], model: a}, {model: b}]}
keep:
  - {rule: length, signal: audio.duration_s, between: [0.4, 30]}
  - {rule: rate, signal: audio.sample_rate_hz, equals: 8000}
  - {rule: licence, column: licence, one_of: [A, B]}
  - {rule: loud, signal: audio.rms_dbfs, at_least: -70, when: [{column: corpus, equals: x}, {column: channel, equals: mix}]}
  - {rule: some, any_of: [{column: corpus, equals: x}, {column: text_tags, one_of: [read]}]}
overrides: [{languages: [ja, zh], keep: [{rule: length, between: [0.2, 30]}]}]
caps: [{per: speaker, hours: 10}]
weights: {temperature: 0.5, corpora: {x: 2}}
splits: {scheme: m, salt: 1}
"""
SAME = {
    "a set in another order": ("one_of: [A, B]", "one_of: [B, A, A]"),
    "a whole number as a decimal": ("equals: 8000", "equals: 8000.0"),
    "conditions in another order": ("[{column: corpus, equals: x}, {column: channel, equals: mix}]", "[{column: channel, equals: mix}, {column: corpus, equals: x}]"),
    "alternatives in another order": ("[{column: corpus, equals: x}, {column: text_tags, one_of: [read]}]", "[{column: text_tags, one_of: [read]}, {column: corpus, equals: x}]"),
    "a language with the common limit": ("at_least: -70", "at_least: {en: -70, default: -70.0}"),
    "languages in another order": ("[de, en]", "[en, de]"),
    "languages of an override": ("[ja, zh]", "[zh, ja]"),
    "an override that repeats a rule": ("[{rule: length, between: [0.2, 30]}]", "[{rule: length, between: [0.2, 30.0]}, {rule: rate, equals: 8000}]"),
    "a default that is said": ("{temperature: 0.5,", "{per: language, temperature: 0.5,"),
    "a factor of one": ("{x: 2}", "{x: 2, y: 1}"),
    "evaluation by name": ("human_only: [dev, test]", "human_only: eval"),
    "a salt as text": ("salt: 1", "salt: '1'"),
}  # fmt: skip
OTHER = {
    "a text form": ("prefer: [manifest]", "prefer: [manifest], form: lower"),
    "a set": ("one_of: [A, B]", "one_of: [A]"),
    "an operator": ("one_of: [A, B]", "none_of: [A, B]"),
    "a condition": ("{column: channel, equals: mix}", "{column: channel, equals: '0'}"),
    "an override's limit": ("between: [0.2, 30]", "between: [0.3, 30]"),
    "an override's languages": ("[ja, zh]", "[ja]"),
    "a cap": ("hours: 10", "hours: 11"),
    "a temperature": ("temperature: 0.5", "temperature: 0.6"),
    "a factor": ("{x: 2}", "{x: 3}"),
    "a quantile": ("at_least: -70", "at_least: {quantile: 0.1}"),
}  # fmt: skip


@pytest.mark.parametrize("case", SAME)
def test_two_spellings_of_one_policy_have_one_digest(load, case):
    assert load(BASE).digest() == load(BASE.replace(*SAME[case])).digest()


@pytest.mark.parametrize("case", OTHER)
def test_policies_that_mean_something_else_have_another_digest(load, case):
    assert load(BASE).digest() != load(BASE.replace(*OTHER[case])).digest()


def test_what_a_rule_asks_is_one_text_for_one_meaning_overrides_included(load):
    asked = {rule.rule: load(BASE).asked_by(rule.rule) for rule in load(BASE).keep}
    for spelling in SAME.values():
        same = load(BASE.replace(*spelling))
        assert {rule.rule: same.asked_by(rule.rule) for rule in same.keep} == asked
    for other, changed in (("an override's limit", {"length"}), ("a set", {"licence"}), ("a cap", set())):
        said = load(BASE.replace(*OTHER[other]))
        assert {name for name in asked if said.asked_by(name) != asked[name]} == changed


def test_an_override_keeps_of_its_rule_what_it_does_not_change(load):
    (override,) = load(BASE).overrides
    (length,) = override.keep
    assert isinstance(length, SignalRule)
    assert (length.signal, length.asked) == ("audio.duration_s", {"default": (0.2, 30)})


def test_quantiles_stand_beside_numbers(load):
    limits = "{en: {quantile: 0.9}, de: 0.5, default: {quantile: 0.8, per: language}}"
    rule = load(RULE % f"{{rule: r, signal: audio.duration_s, at_most: {limits}}}").keep[0]
    assert isinstance(rule, SignalRule)
    assert rule.asked == {
        "en": Quantile(quantile=0.9), "de": 0.5, "default": Quantile(quantile=0.8, per="language")
    }  # fmt: skip


def test_a_null_that_is_asked_for_differs_from_an_operator_that_is_absent(load):
    with pytest.raises(ConfigError, match="found none"):
        load(f"name: n\nkeep: [{{rule: decodes, signal: audio.error}}]\n{SPLITS}")


@pytest.mark.parametrize(
    "rule",
    [
        "{rule: r, column: extras.größe, at_least: 1}",
        "{rule: r, column: extras.भाषा, equals: hi}",
        "{rule: r, column: extras.day, equals: 2026-01-01}",
        # Min Nan, which Hokkien is in tables, and Nauru: both look like a value that is missing.
        "{rule: r, column: language, one_of: [en-US, nan, na]}",
        "{rule: r, signal: audio.duration_s, at_most: {nan: 1, default: 2}}",
    ],
)
def test_names_and_values_of_any_language_are_taken(load, rule):
    assert load(RULE % rule).keep[0].rule == "r"


REFUSED = {
    "unknown key, with the nearest": ("nam: n\n" + SPLITS, "unknown key 'nam'; did you mean 'name'"),
    "unknown key deep inside": ("name: n\nsplits: {scheme: m, salt: 1, test: {hour: 5, max_share: 0.1}}", r"splits\.test: .*did you mean 'hours'"),
    "unknown operator": ((RULE % "{rule: r, signal: audio.duration_s, at_leest: 1}"), r"keep\[0\]: .*did you mean 'at_least'"),
    "unknown signal": ((RULE % "{rule: r, signal: audio.duration, at_least: 1}"), r"keep\[0\].signal: .*did you mean 'audio.duration_s'"),
    "unknown extractor": ("name: n\nuse: {whispr: [{model: m}]}\n" + SPLITS, "did you mean 'whisper'"),
    "a column as a signal": ((RULE % "{rule: r, signal: licence, one_of: [A]}"), "'licence' is no signal, it is a column: write `column: licence`"),
    "a field as a signal": ((RULE % "{rule: r, signal: extras.room, equals: a}"), "write `column: extras.room`"),
    "a signal as a column": ((RULE % "{rule: r, column: audio_duration_s, at_least: 1}"), "'audio_duration_s' is no column, it is a signal: write `signal: audio.duration_s`"),
    "a misspelt rule of a kind": ((RULE % "{rule: eror_rate, at_most: 0.3}"), "expected 'error_rate', found 'eror_rate'"),
    "a rule to drop where there is none": ("name: n\noverrides: [{languages: [fr], drop_rules: [nosuch]}]\n" + SPLITS, "'nosuch'; there is none"),
    "a score as a signal": ((RULE % "{rule: r, signal: score.wer, at_most: 0.3}"), "'score.wer' is no signal: use the rule error_rate"),
    "identity is not a signal": ((RULE % "{rule: r, signal: audio.run_id, equals: x}"), "unknown signal"),
    "a name that is code": ((RULE % "{rule: 'a; drop', signal: audio.error, is: null}"), "expected 1-64 lower-case letters"),
    "an expression as a signal": ((RULE % "{rule: r, signal: '1=1 or audio.error', is: null}"), "unknown signal"),
    "two operators": ((RULE % "{rule: r, signal: audio.duration_s, at_least: 1, at_most: 2}"), "at_least, at_most"),
    "a number as text": ((RULE % "{rule: r, signal: audio.duration_s, at_least: '1'}"), "at_least.default: expected a number, found '1'"),
    "more hours than are": ("name: n\nsplits: {scheme: main, salt: 1, test: {hours: 1.0e+15, max_share: 0.1}}\n", "test.hours: expected 1000000000.0 or less"),
    "a cap of more hours than are": ("name: n\ncaps: [{per: corpus, hours: 1.0e+15}]\n" + SPLITS, "hours: expected 1000000000.0 or less"),
    "more copies than are": ("name: n\nduplicates: {boilerplate_copies: 99999999999999999999}\n" + SPLITS, "expected 1000000 or less"),
    "not a number": ((RULE % "{rule: r, signal: audio.duration_s, at_least: .nan}"), "finite"),
    "a range upside down": ((RULE % "{rule: r, signal: audio.duration_s, between: [30, 1]}"), "30 is above 1"),
    "text compared with a number": ((RULE % "{rule: r, signal: audio.codec, at_least: 1}"), "which is string"),
    "a number compared with text": ((RULE % "{rule: r, signal: audio.duration_s, equals: long}"), "which is double"),
    "a flag compared with a number": ((RULE % "{rule: r, signal: flags.known_phrase, at_most: 1}"), "which is boolean"),
    "an unknown flag": ((RULE % "{rule: r, signal: flags.repeated_word, at_most: 4}"), "did you mean 'flags.repeated_words'"),
    "a model of flags": ("name: n\nuse: {flags: [{model: m}]}\n" + SPLITS, "unknown extractor 'flags'"),
    "same name twice": ((RULE % "{rule: r, signal: audio.error, is: null}, {rule: r, signal: audio.error, is: null}"), "used twice"),
    "a name that is a reason": ((RULE % "{rule: no_text, signal: audio.error, is: null}"), "reason of its own"),
    "unknown side": ((RULE % "{rule: r, signal: audio.error, is: null, on: trian}"), "did you mean 'train'"),
    "key said twice": ("name: n\nname: m\n" + SPLITS, "line 2: key 'name' is said twice"),
    "an unreachable model": ("name: n\nuse: {whisper: [{model: a}, {model: b, languages: [en]}]}\n" + SPLITS, "never be reached"),
    "nothing for splits": ("name: n\n", "splits: is missing"),
    "an unknown kind of copies": ("name: n\nduplicates: {kinds: [exact, nearly]}\n" + SPLITS, r"kinds\[1\]: .*'near'.*found 'nearly'"),
    "text that should be together": ("name: n\ntext: {prefer: [manifest]}\nlinks: {text: together}\n" + SPLITS, r"links\.text\.mode: .*'exclude_from_train' or 'off'"),
    "an error rate without a text": ((RULE % "{rule: error_rate, at_most: 0.3, min_units: 5}"), "rule 'error_rate' needs a section 'text'"),
    "a speed without a text": ((RULE % "{rule: r, any_of: [{column: corpus, equals: c}, {signal: text.chars_per_second, at_most: 40}]}"), "rule 'r' needs a section 'text'"),
    "a condition without a text": ((RULE % "{rule: r, signal: audio.rms_dbfs, at_least: -60, when: {column: text_kind, equals: human}}"), "rule 'r' needs a section 'text'"),
    "text links without a text": ("name: n\nlinks: {text: exclude_from_train}\n" + SPLITS, "links.text needs a section 'text'"),
    "an unknown mode": ("name: n\nlinks: {session: apart}\n" + SPLITS, r"links\.session\.mode: .*found 'apart'"),
    "an unknown column as a link": ("name: n\nlinks: {columns: {sorce_id: together}}\n" + SPLITS, "unknown column 'sorce_id'; did you mean 'source_id'"),
    "an identity as a link": ("name: n\nlinks: {columns: {utterance_id: together}}\n" + SPLITS, "unknown column 'utterance_id'"),
    "an empty extra as a link": ("name: n\nlinks: {columns: {extras.: together}}\n" + SPLITS, "unknown column 'extras.'"),
    "a list that is not there": ("name: n\nlists: {test: nowhere.txt}\n" + SPLITS, r"lists\.test: .*nowhere\.txt cannot be read"),
    "a list of train": ("name: n\nlists: {train: ids.txt}\n" + SPLITS, "unknown key 'train'"),
    "a group refused before it is told": ("name: n\nsplits: {scheme: m, salt: 1, refuse_group_share: 0.1}", "0.1 is below max_group_share, 0.2"),
    "links that may be split": ("name: n\nlinks: {speaker: apart}\n" + SPLITS, r"links\.speaker: .*'together'.*found 'apart'"),
    "another form of text": ("name: n\ntext: {prefer: [manifest], form: upper}\n" + SPLITS, r"text\.form"),
    "a medoid that is not preferred": ("name: n\ntext: {prefer: [manifest], medoid: {of: [a, b, c]}}\n" + SPLITS, "go together"),
    "a medoid of two": ("name: n\ntext: {prefer: [medoid], medoid: {of: [a, b]}}\n" + SPLITS, r"text\.medoid\.of"),
    "a medoid with a text twice": ("name: n\ntext: {prefer: [medoid], medoid: {of: [a, b, a]}}\n" + SPLITS, "votes once"),
    "unknown column": ((RULE % "{rule: r, column: license, equals: x}"), r"keep\[0\].column: unknown column 'license'; did you mean 'licence'"),
    "neither signal nor column": ((RULE % "{rule: r, equals: x}"), "expected one of signal and column"),
    "signal and column": ((RULE % "{rule: r, signal: audio.codec, column: corpus, equals: x}"), "expected one of signal and column"),
    "tags compared with a number": ((RULE % "{rule: r, column: text_tags, at_least: 1}"), r"which is array<string>"),
    **{
        f"an empty {operator}": ((RULE % f"{{rule: r, column: corpus, {operator}: }}"), rf"keep\[0\]: '{operator}' says nothing")
        for operator in ("equals", "one_of", "none_of", "at_least", "at_most", "between", "matches")
    },
    "a range of nothing": ((RULE % "{rule: r, signal: audio.duration_s, between: {}}"), r"keep\[0\].between: expected a length of at least 1"),
    "a pattern for a number": ((RULE % "{rule: r, signal: audio.duration_s, matches: a}"), "'matches' cannot compare audio.duration_s"),
    "a pattern that is none": ((RULE % "{rule: r, column: corpus, matches: '(a{1'}"), r"keep\[0\].matches: no regular expression: missing \)"),
    "a pattern that is too long": ((RULE % f"{{rule: r, column: corpus, matches: '{'a' * 201}'}}"), r"keep\[0\].matches: a pattern has 1 to 200 characters, this one 201"),
    "one condition of any_of": ((RULE % "{rule: r, any_of: [{column: corpus, equals: x}]}"), r"keep\[0\].any_of: expected a length of at least 2"),
    "any_of beside a signal": ((RULE % "{rule: r, any_of: [], signal: audio.error}"), "unknown key 'signal'"),
    "a slip in when": ((RULE % "{rule: r, signal: audio.error, is: null, when: {column: corpora, equals: x}}"), r"keep\[0\].when\[0\].column: .*did you mean 'corpus'"),
    "a language by its name": ((RULE % "{rule: r, signal: audio.duration_s, at_most: {english: 1}}"), "unknown language 'english'; did you mean 'en'"),
    "a language that there is not": ((RULE % "{rule: r, signal: audio.duration_s, at_most: {klingonese: 1}}"), "unknown language 'klingonese'; expected a primary subtag, such as en, or default"),
    "a slip in quantile": ((RULE % "{rule: r, signal: audio.duration_s, at_least: {quantil: 0.1}}"), "'quantil'; did you mean 'quantile'"),
    "a quantile of everything": ((RULE % "{rule: r, signal: audio.duration_s, at_least: {quantile: 1}}"), "less than 1"),
    "one language per language": ((RULE % "{rule: r, signal: audio.duration_s, at_least: {en: {quantile: 0.1, per: language}}}"), "en: 'per' is for default"),
    "an override for all rows": ("name: n\noverrides: [{drop_rules: []}]\n" + SPLITS, r"overrides\[0\]: expected languages, corpora or both"),
    "an override of nothing": ("name: n\noverrides: [{languages: [ja]}]\n" + SPLITS, "expected keep, drop_rules or both"),
    "an override of an unknown rule": ((RULE % "{rule: length, signal: audio.error, is: null}") + "overrides: [{languages: [ja], keep: [{rule: lenght, is: null}]}]\n", r"overrides: .*\[0\]\.keep\[0\]: 'lenght'; did you mean 'length'"),
    "dropping an unknown rule": ((RULE % "{rule: length, signal: audio.error, is: null}") + "overrides: [{languages: [ja], drop_rules: [lenght]}]\n", "did you mean 'length'"),
    "an override of the signal": ((RULE % "{rule: r, signal: audio.error, is: null}") + "overrides: [{corpora: [c], keep: [{rule: r, signal: audio.codec}]}]\n", "unknown change of 'r'"),
    "a cap on channels": ("name: n\ncaps: [{per: channel, hours: 1}]\n" + SPLITS, r"caps\[0\]\.per"),
    "a cap said twice": ("name: n\ncaps: [{per: corpus, hours: 1}, {per: corpus, hours: 2}]\n" + SPLITS, "corpus is capped twice"),
    "a cap on texts without texts": ("name: n\ncaps: [{per: text, hours: 1}]\n" + SPLITS, "needs a section text"),
    "weights that weigh nothing": ("name: n\nweights: {per: language}\n" + SPLITS, "expected a temperature"),
    "a temperature that sharpens": ("name: n\nweights: {temperature: 2}\n" + SPLITS, r"weights\.temperature"),
    "a weight beyond numbers": ("name: n\nweights: {corpora: {a: 1.0e+200, b: 1.0e-200}}\n" + SPLITS, r"weights\.corpora: a: expected a factor from 1e-06 to 1e\+06"),
    "agreement of nobody": ("name: n\ntext: {prefer: [manifest]}\nkeep: [{rule: r, signal: text.agreement, at_least: 0.8}]\n" + SPLITS, "rule 'r' needs 'text.medoid'"),
    "an override behind a wider one": ((RULE % "{rule: r, signal: audio.error, is: null}") + "overrides: [{languages: [en, fr], drop_rules: [r]}, {languages: [en], corpora: [c], drop_rules: [r]}]\n", r"overrides\[1\] can never apply: .*overrides\[0\]"),
    "half of a character": ((RULE % '{rule: r, column: corpus, equals: "\\ud800"}'), "half of a surrogate pair"),
    "an object of Python": ("name: !!python/object/apply:os.system [true]\n", "not valid YAML"),
    "a slip in signal, of a rule that is called nearly as one of a kind": ((RULE % "{rule: language, sginal: whisper.language, one_of: [en]}"), r"keep\[0\]: unknown key 'sginal'; did you mean 'signal'"),
    "an import without its column": ((RULE % "{rule: r, signal: imported.loss, at_most: 1}"), r"imported\.<import>\.<column>"),
    "a list for one value": ((RULE % "{rule: r, column: corpus, equals: [a]}"), r"keep\[0\].equals: expected one text, number or truth value"),
    "a kind of text that there is not": ((RULE % "{rule: r, column: text_kind, one_of: [human, Caption]}"), "unknown text_kind 'Caption'; did you mean 'caption'"),
    "a language tag of another spelling": ((RULE % "{rule: r, column: language, none_of: [en-us]}"), "'en-us' is no language tag of the tables; here it is 'en-US'"),
    "a list": ("- name\n", "the whole file"),
    "half of everything": ("name: n\nsplits: {scheme: m, salt: 1, dev: {hours: 1, max_share: 0.9}}", "expected 0.5 or less, found 0.9"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_with_file_and_field(load, case):
    text, message = REFUSED[case]
    with pytest.raises(ConfigError, match=message) as caught:
        load(text)
    assert "policy.yaml" in str(caught.value)


def test_links_are_a_mode_or_a_mode_with_its_limit(load):
    text = """
name: n
text: {prefer: [manifest]}
links:
  session: off
  text: {mode: exclude_from_train, min_words: 5, max_evicted_share: 0.1}
  columns: {extras.book: together, manifest_uri: {mode: exclude_from_train, max_evicted_share: 0.2}}
decontaminate: {corpora: [fleurs], min_words: 6}
duplicates: {kinds: [exact, near, contained], keep: [quality, text_kind], boilerplate_copies: 0}
"""
    policy = load(text + SPLITS)
    assert list(policy.links.of_mode("together")) == ["extras.book"]
    assert {
        name: link.max_evicted_share for name, link in policy.links.of_mode("exclude_from_train").items()
    } == {"manifest_uri": 0.2}
    assert (policy.links.session.mode, policy.links.text.min_words) == ("off", 5)
    assert policy.decontaminate.corpora == ("fleurs",)
    assert list(load("name: n\n" + SPLITS).links.of_mode("together")) == ["session"]


def test_a_list_counts_by_its_content_not_by_its_place(load, tmp_path):
    digests = []
    for name, content in (("a.txt", "u1\nu2\n"), ("b.txt", "u1\nu2\n"), ("c.txt", "u1\n")):
        (tmp_path / name).write_text(content)
        digests.append(load(f"name: n\nlists: {{test: {name}}}\n{SPLITS}").digest())
    assert digests[0] == digests[1] != digests[2]


def test_what_lists_may_take_of_train_decides_what_is_published_and_not_what_is_in_it(load, tmp_path):
    (tmp_path / "ids.txt").write_text("u1\n")
    policies = [
        load(f"name: n\nlists: {{test: ids.txt{limit}}}\n{SPLITS}")
        for limit in ("", ", max_evicted_share: 0.5")
    ]
    assert [policy.lists.max_evicted_share for policy in policies] == [0.05, 0.5]
    assert len({policy.digest() for policy in policies}) == 1


def test_a_list_whose_content_is_pinned_to_another_digest_is_refused(load, tmp_path):
    (tmp_path / "ids.txt").write_text("u1\n")
    with pytest.raises(ConfigError, match="the policy says 00"):
        load(f"name: n\nlists: {{test: {{file: ids.txt, sha256: '00'}}}}\n{SPLITS}")


def test_a_byte_order_mark_is_no_part_of_the_first_id_of_a_list(load, tmp_path):
    from speechlake.splits.lists import listed_ids

    (tmp_path / "test.txt").write_text("u1\nu2\n", encoding="utf-8-sig")
    policy = load(f"name: n\nlists: {{test: test.txt}}\n{SPLITS}")
    assert listed_ids(policy) == {"u1": "test", "u2": "test"}


def test_an_id_on_two_lists_is_refused(load, tmp_path):
    from speechlake.splits.lists import listed_ids

    (tmp_path / "test.txt").write_text("# ids\nu1\n\n u2 \n")
    (tmp_path / "dev.txt").write_text("u3\n")
    policy = load(f"name: n\nlists: {{test: test.txt, dev: dev.txt}}\n{SPLITS}")
    assert listed_ids(policy) == {"u1": "test", "u2": "test", "u3": "dev"}
    (tmp_path / "dev.txt").write_text("u2\n")
    with pytest.raises(ConfigError, match="'u2' is on the lists of test and of dev"):
        listed_ids(policy)


def test_the_lists_of_a_release_are_not_looked_for_where_a_command_is_given(load, tmp_path, monkeypatch):
    from speechlake.splits.lists import listed_ids

    (tmp_path / "test.txt").write_text("u1\n")
    monkeypatch.chdir(tmp_path)
    sha256 = hashlib.sha256(b"u1\n").hexdigest()
    text = f"name: n\nlists: {{test: {{file: test.txt, sha256: {sha256}}}}}\n{SPLITS}"
    assert listed_ids(load(text)) == {"u1": "test"}
    released = loads(text, "release r", Policy)
    assert listed_ids(released) == {}
    # It says less than it was cut by: no successor is cut by it alone.
    assert policy_of({"policy": text, "release": "r", "policy_sha256": released.digest()}) is None


def test_on_and_no_are_words_here_and_not_booleans(load):
    policy = load(
        f"name: n\nuse: {{whisper: [{{languages: [no], model: m}}]}}\nkeep: [{{rule: r, signal: audio.error, is: null, on: train}}]\n{SPLITS}"
    )
    assert policy.use["whisper"][0].languages == ("no",)
    assert policy.keep[0].on == ("train",)


def test_a_policy_and_its_text_come_of_one_reading_so_that_a_pipe_gives_both():
    text = "name: n\n" + SPLITS
    reading, writing = os.pipe()
    with open(reading):
        with open(writing, "w", encoding="utf-8") as written:
            written.write(text)
        policy, said = read_policy(f"/dev/fd/{reading}")
    assert (policy.name, said) == ("n", text)


def test_a_file_that_is_absent_is_a_configuration_error():
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read"):
        load_policy("nowhere.yaml")
