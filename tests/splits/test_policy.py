"""A policy is read strictly: nothing in it is ignored, and errors name file, field and the nearest name."""

from __future__ import annotations

from pathlib import Path

import pytest

from speechlake.errors import ConfigError
from speechlake.splits.policy import SignalRule, load_policy

POLICIES = Path(__file__).resolve().parents[2] / "policies"

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


@pytest.mark.parametrize("name", ["asr-train", "small-corpus"])
def test_policies_that_we_ship_are_valid(name):
    assert load_policy(POLICIES / f"{name}.yaml").name == name


def test_digest_is_of_the_meaning_and_not_of_the_spelling(load):
    length = "{rule: length, signal: audio.duration_s, between: [0.4, 30]}"
    same = "{between: {default: [0.40, 30.0]}, signal: audio.duration_s, on: all, rule: length, if_missing: fail}"
    other = "{rule: length, signal: audio.duration_s, between: [0.4, 31]}"
    digests = [
        load(f"name: n{n}\nkeep: [{rule}]\n{SPLITS}").digest() for n, rule in enumerate([length, same, other])
    ]
    assert digests[0] == digests[1] != digests[2]


def test_a_null_that_is_asked_for_differs_from_an_operator_that_is_absent(load):
    with pytest.raises(ConfigError, match="found none"):
        load(f"name: n\nkeep: [{{rule: decodes, signal: audio.error}}]\n{SPLITS}")


RULE = "name: n\nkeep: [%s]\n" + SPLITS
REFUSED = {
    "unknown key, with the nearest": ("nam: n\n" + SPLITS, "unknown key 'nam'; did you mean 'name'"),
    "unknown key deep inside": ("name: n\nsplits: {scheme: m, salt: 1, test: {hour: 5, max_share: 0.1}}", r"splits\.test: .*did you mean 'hours'"),
    "unknown operator": ((RULE % "{rule: r, signal: audio.duration_s, at_leest: 1}"), r"keep\[0\]: .*did you mean 'at_least'"),
    "unknown signal": ((RULE % "{rule: r, signal: audio.duration, at_least: 1}"), r"keep\[0\].signal: .*did you mean 'audio.duration_s'"),
    "unknown extractor": ("name: n\nuse: {whispr: [{model: m}]}\n" + SPLITS, "did you mean 'whisper'"),
    "identity is not a signal": ((RULE % "{rule: r, signal: audio.run_id, equals: x}"), "unknown signal"),
    "a name that is code": ((RULE % "{rule: 'a; drop', signal: audio.error, is: null}"), "pattern"),
    "an expression as a signal": ((RULE % "{rule: r, signal: '1=1 or audio.error', is: null}"), "unknown signal"),
    "two operators": ((RULE % "{rule: r, signal: audio.duration_s, at_least: 1, at_most: 2}"), "at_least, at_most"),
    "a number as text": ((RULE % "{rule: r, signal: audio.duration_s, at_least: '1'}"), r"at_least.* valid number"),
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
    "nothing for splits": ("name: n\n", "splits: Field required"),
    "near duplicates": ("name: n\nduplicates: {kinds: [exact, near]}\n" + SPLITS, "'near' is not supported by this version"),
    "keeping by quality": ("name: n\nduplicates: {keep: [quality]}\n" + SPLITS, "'quality' is not supported"),
    "text links": ("name: n\nlinks: {text: {mode: exclude_from_train}}\n" + SPLITS, "'text' is not supported by this version .text links."),
    "session links": ("name: n\nlinks: {session: together}\n" + SPLITS, "'session' is not supported"),
    "overrides": ("name: n\noverrides: []\n" + SPLITS, "'overrides' is not supported"),
    "links that may be split": ("name: n\nlinks: {speaker: apart}\n" + SPLITS, r"links\.speaker: .*'together'.*found 'apart'"),
    "another form of text": ("name: n\ntext: {prefer: [manifest], form: lower}\n" + SPLITS, r"text\.form"),
    "an object of Python": ("name: !!python/object/apply:os.system [true]\n", "not valid YAML"),
    "a list": ("- name\n", "the whole file"),
    "half of everything": ("name: n\nsplits: {scheme: m, salt: 1, dev: {hours: 1, max_share: 0.9}}", "less than or equal to 0.5"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_with_file_and_field(load, case):
    text, message = REFUSED[case]
    with pytest.raises(ConfigError, match=message) as caught:
        load(text)
    assert "policy.yaml" in str(caught.value)


def test_on_and_no_are_words_here_and_not_booleans(load):
    policy = load(
        f"name: n\nuse: {{whisper: [{{languages: [no], model: m}}]}}\nkeep: [{{rule: r, signal: audio.error, is: null, on: train}}]\n{SPLITS}"
    )
    assert policy.use["whisper"][0].languages == ("no",)
    assert policy.keep[0].on == ("train",)


def test_a_file_that_is_absent_is_a_configuration_error():
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read"):
        load_policy("nowhere.yaml")
