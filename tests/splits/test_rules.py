"""What rules answer, row by row."""

from __future__ import annotations

import pytest
from splits_tables import candidate, candidates, policy

from speechlake.errors import ConfigError
from speechlake.splits.rules import with_verdicts
from speechlake.splits.text import choose_text

POLICY = policy(
    text={"prefer": ["manifest"]},
    keep=[
        {"rule": "decodes", "signal": "audio.error", "is": None},
        {"rule": "no_bombs", "signal": "audio.error", "none_of": ["TOO_LONG", "BAD_DATA"]},
        {"rule": "length", "signal": "audio.duration_s", "between": {"ja": [0.2, 5], "default": [0.4, 30]}},
        {"rule": "clipping", "signal": "audio.clipped_ratio", "at_most": {"en": 0.1}},
        {"rule": "rate", "signal": "audio.sample_rate_hz", "at_least": 8000, "if_missing": "pass"},
        {"rule": "codec", "signal": "audio.codec", "one_of": ["flac", "vorbis"]},
        {"rule": "not_cut", "signal": "whisper.truncated", "is": False},
        {"rule": "declared", "signal": "audio.declared_difference_s", "between": [-1, 1]},
        {"rule": "repeats", "signal": "flags.repeated_words", "at_most": {"zh": 7, "default": 4}},
        {"rule": "phrase", "signal": "flags.known_phrase", "is": False},
        {"rule": "silence", "signal": "flags.chars_per_speech_second", "at_most": 40},
        {"rule": "squeezed", "signal": "flags.compression_excess", "at_most": 0, "if_missing": "pass"},
        {"rule": "same_language", "minimum_probability": 0.7},
        {"rule": "error_rate", "at_most": {"en": 0.3, "default": 0.5}, "min_units": 5},
        {"rule": "licence", "column": "licence", "one_of": ["CC0-1.0", "CC-BY-4.0"]},
        {"rule": "source", "column": "corpus", "none_of": ["prank-calls"]},
        {"rule": "no_prompts", "column": "text_tags", "none_of": ["prompts", "menus"]},
        {"rule": "read_aloud", "column": "text_tags", "one_of": ["read", "verbatim"]},
        {"rule": "tagged", "column": "text_tags", "is": None},
        {"rule": "unbroken", "signal": "speech.segments", "is": None},
        {"rule": "unkeyed", "signal": "audio_keys.keys", "is": None},
        {"rule": "votes", "column": "extras.up_votes", "at_least": 2},
        {"rule": "client", "column": "extras.client", "matches": "(web|app)-[0-9]{1,3}"},
        {"rule": "known", "column": "speaker_known", "is": True},
        {"rule": "speed", "signal": "text.chars_per_second", "at_most": 25},
        {"rule": "agreed", "signal": "text.agreement", "at_least": 0.8},
        {
            "rule": "calls",
            "signal": "audio.sample_rate_hz",
            "at_least": 8000,
            "when": {"column": "channel", "one_of": ["0", "1"]},
        },
        {
            "rule": "loud_speech",
            "signal": "audio.rms_dbfs",
            "at_least": -60,
            "when": [
                {"signal": "speech.speech_ratio", "at_least": 0.5},
                {"column": "text_kind", "equals": "human"},
            ],
        },
        {
            "rule": "clean_or_loud",
            "any_of": [
                {"signal": "audio.clipped_ratio", "at_most": {"en": 0.1}},
                {"signal": "speech.speech_ratio", "at_least": 0.5},
            ],
        },
    ],
    overrides=[
        {
            "languages": ["sw", "zu"],
            "keep": [{"rule": "length", "between": [0.1, 9]}],
            "drop_rules": ["clipping"],
        },
        {
            "corpora": ["radio"],
            "keep": [
                {"rule": "length", "between": [1, 2]},
                {"rule": "error_rate", "at_most": 0.9, "min_units": 1},
            ],
        },
    ],
)
ENGLISH_ONLY = "whisper-en"
NAN = float("nan")
ERROR = {"whisper_error": "DECODER_CRASHED", "audio_error": "BAD_DATA", "audio_duration_s": None}
SCORE = {"score_unit": "word", "score_word_hits": 6, "score_word_substitutions": 3, "score_word_deletions": 1}
CHARS = {"score_unit": "char", "score_char_hits": 9, "score_char_substitutions": 1, "score_char_deletions": 0}
HEARD = {"whisper_language_probability": 0.9}

# rule, what the row has, verdict, reason, value, threshold
SAYS = [
    ("decodes", {}, "pass", None, None, "null"),
    ("decodes", ERROR, "fail", None, "BAD_DATA", "null"),
    ("decodes", {"audio_fingerprint": None, "audio_attempt_code": "TIME_OUT"}, "fail", "missing:audio.error", "TIME_OUT", "null"),
    ("no_bombs", {}, "pass", None, None, "none of TOO_LONG, BAD_DATA"),
    ("no_bombs", ERROR, "fail", None, "BAD_DATA", "none of TOO_LONG, BAD_DATA"),
    ("no_bombs", {"audio_error": "TIME_OUT"}, "pass", None, "TIME_OUT", "none of TOO_LONG, BAD_DATA"),
    ("length", {"audio_duration_s": 0.4}, "pass", None, "0.4", "0.4 .. 30"),
    ("length", {"audio_duration_s": 0.25}, "fail", None, "0.25", "0.4 .. 30"),
    ("length", {"audio_duration_s": 0.25, "language": "ja-JP"}, "pass", None, "0.25", "0.2 .. 5"),
    ("length", {"audio_duration_s": NAN}, "fail", None, "NaN", "0.4 .. 30"),
    ("length", ERROR, "fail", "missing:audio.duration_s", "BAD_DATA", "0.4 .. 30"),
    ("clipping", {"audio_clipped_ratio": 0.0}, "pass", None, "0", "<= 0.1"),
    ("clipping", {"audio_clipped_ratio": 1.25e-7}, "pass", None, "1.25e-07", "<= 0.1"),
    ("clipping", {"audio_clipped_ratio": NAN}, "fail", None, "NaN", "<= 0.1"),
    ("clipping", {"audio_clipped_ratio": None}, "not_applicable", "no_value", None, "<= 0.1"),
    ("clipping", {"audio_clipped_ratio": 0.5, "language": "fr"}, "not_applicable", "no_threshold", "0.5", None),
    ("rate", {"audio_sample_rate_hz": 8000}, "pass", None, "8000", ">= 8000"),
    ("rate", {"audio_fingerprint": None}, "pass", "missing:audio.sample_rate_hz", None, ">= 8000"),
    ("codec", {"audio_codec": "mp3"}, "fail", None, "mp3", "flac, vorbis"),
    ("not_cut", {"whisper_truncated": False}, "pass", None, "false", "false"),
    ("not_cut", {"whisper_truncated": True}, "fail", None, "true", "false"),
    ("not_cut", {"whisper_error": "UNSUPPORTED_LANGUAGE"}, "not_applicable", "language_not_supported", "UNSUPPORTED_LANGUAGE", "false"),
    ("declared", {"declared_duration_s": 10.0, "audio_duration_s": 8.5}, "fail", None, "-1.5", "-1 .. 1"),
    ("declared", {"declared_duration_s": None}, "not_applicable", "no_value", None, "-1 .. 1"),
    ("repeats", {"whisper_text": "no no no no"}, "pass", None, "4", "<= 4"),
    ("repeats", {"whisper_text": "no no no no no"}, "fail", None, "5", "<= 4"),
    ("repeats", {"whisper_text": "对对对对对", "language": "zh"}, "pass", None, "5", "<= 7"),
    ("repeats", ERROR, "fail", "missing:flags.repeated_words", "DECODER_CRASHED", "<= 4"),
    ("repeats", {"whisper_error": "UNSUPPORTED_LANGUAGE"}, "not_applicable", "language_not_supported", "UNSUPPORTED_LANGUAGE", "<= 4"),
    ("phrase", {"whisper_text": "Thanks for watching!"}, "fail", None, "true", "false"),
    ("phrase", {"whisper_text": ""}, "pass", None, "false", "false"),
    ("silence", {"whisper_text": "Thank you.", "speech_speech_duration_s": 0.5}, "pass", None, "16", "<= 40"),
    ("silence", {"whisper_text": "Thank you.", "speech_speech_duration_s": 0.0}, "fail", None, "Infinity", "<= 40"),
    ("silence", {"whisper_text": "", "speech_speech_duration_s": 0.0}, "pass", None, "0", "<= 40"),
    ("silence", {"whisper_text": "you", "speech_fingerprint": None, "speech_attempt_code": "STORAGE"}, "fail", "missing:flags.chars_per_speech_second", "STORAGE", "<= 40"),
    ("squeezed", {"whisper_text": "hello", "whisper_compression_ratio": 2.5}, "fail", None, "0.1", "<= 0"),
    ("squeezed", {"whisper_text": "வணக்கம்", "whisper_compression_ratio": 2.5}, "pass", None, "-1", "<= 0"),
    ("squeezed", {"whisper_text": "", "whisper_compression_ratio": None}, "not_applicable", "no_value", None, "<= 0"),
    ("squeezed", {"whisper_text": "hello", "whisper_compression_ratio": NAN}, "fail", None, "NaN", "<= 0"),
    ("squeezed", {"whisper_fingerprint": None}, "pass", "missing:flags.compression_excess", None, "<= 0"),
    ("same_language", {**HEARD, "language": "pt-BR", "whisper_language": "pt"}, "pass", None, "pt", "pt"),
    ("same_language", {**HEARD, "language": "en", "whisper_language": "cy"}, "fail", None, "cy", "en"),
    ("same_language", {**HEARD, "language": "nn", "whisper_language": "no"}, "pass", None, "no", "nn"),
    ("same_language", {**HEARD, "language": "jv", "whisper_language": "jw"}, "pass", None, "jw", "jv"),
    ("same_language", {**HEARD, "language": None, "whisper_language": "cy"}, "not_applicable", "no_declared_language", "cy", None),
    ("same_language", {"whisper_language": "cy", "whisper_language_probability": 0.6}, "not_applicable", "not_sure", "cy", "en"),
    ("same_language", {"whisper_language": "cy", "whisper_language_probability": NAN}, "not_applicable", "not_sure", "cy", "en"),
    ("same_language", {**HEARD, "whisper_language": "en", "whisper_fingerprint": ENGLISH_ONLY}, "not_applicable", "english_only_model", "en", "en"),
    ("same_language", {"whisper_fingerprint": None, "whisper_attempt_code": "OUT_OF_MEMORY"}, "fail", "missing:whisper.language", "OUT_OF_MEMORY", "en"),
    ("error_rate", {**SCORE, "score_wer": 0.4}, "fail", None, "0.4", "<= 0.3"),
    ("error_rate", {**SCORE, "score_wer": 0.4, "language": "de"}, "pass", None, "0.4", "<= 0.5"),
    ("error_rate", {**CHARS, "score_cer": 0.1, "score_wer": 1.0, "language": "ja"}, "pass", None, "0.1", "<= 0.5"),
    ("error_rate", {**SCORE, "score_word_hits": 0, "score_wer": 1.0}, "not_applicable", "few_units", "1", "<= 0.3"),
    ("error_rate", {**SCORE, "score_wer": None}, "not_applicable", "empty_reference", None, "<= 0.3"),
    ("error_rate", {"text": None}, "not_applicable", "no_reference", None, "<= 0.3"),
    ("error_rate", {"text_kind": "machine"}, "not_applicable", "no_reference", None, "<= 0.3"),
    ("error_rate", {"whisper_error": "UNSUPPORTED_LANGUAGE"}, "not_applicable", "language_not_supported", "UNSUPPORTED_LANGUAGE", "<= 0.3"),
    ("error_rate", ERROR, "fail", "missing:whisper.text", "DECODER_CRASHED", "<= 0.3"),
    ("error_rate", {}, "fail", "missing:score", None, "<= 0.3"),
    ("licence", {"licence": "CC0-1.0"}, "pass", None, "CC0-1.0", "CC0-1.0, CC-BY-4.0"),
    ("licence", {"licence": "CC-BY-NC-4.0"}, "fail", None, "CC-BY-NC-4.0", "CC0-1.0, CC-BY-4.0"),
    ("licence", {"licence": None}, "fail", "missing:licence", None, "CC0-1.0, CC-BY-4.0"),
    ("source", {"corpus": "prank-calls"}, "fail", None, "prank-calls", "none of prank-calls"),
    ("no_prompts", {"text_tags": ["read", "prompts"]}, "fail", None, "read, prompts", "none of prompts, menus"),
    ("no_prompts", {"text_tags": []}, "pass", None, "", "none of prompts, menus"),
    ("read_aloud", {"text_tags": ["prompts", "read"]}, "pass", None, "prompts, read", "read, verbatim"),
    ("read_aloud", {"text_tags": []}, "fail", None, "", "read, verbatim"),
    ("tagged", {"text_tags": []}, "pass", None, "", "null"),
    ("tagged", {"text_tags": ["read"]}, "fail", None, "read", "null"),
    ("unbroken", {"speech_segments": [(0.0, 1.0), (1.5, 2.0)]}, "fail", None, "2 values", "null"),
    ("unbroken", {"speech_segments": []}, "pass", None, "0 values", "null"),
    ("unbroken", {"speech_segments": None}, "pass", None, None, "null"),
    ("unkeyed", {"audio_keys_keys": b"1234"}, "fail", None, "4 bytes", "null"),
    ("votes", {"extras": {"up_votes": "2"}}, "pass", None, "2", ">= 2"),
    ("votes", {"extras": {"up_votes": "1"}}, "fail", None, "1", ">= 2"),
    ("votes", {"extras": {"up_votes": "many"}}, "fail", None, "many", ">= 2"),
    ("votes", {}, "not_applicable", "no_value", None, ">= 2"),
    ("client", {"extras": {"client": "app-12"}}, "pass", None, "app-12", "(web|app)-[0-9]{1,3}"),
    ("client", {"extras": {"client": "my app-12"}}, "fail", None, "my app-12", "(web|app)-[0-9]{1,3}"),
    ("client", {"extras": {"client": "app-12\n"}}, "fail", None, "app-12\n", "(web|app)-[0-9]{1,3}"),
    ("known", {"speaker_id": None}, "fail", None, "false", "true"),
    ("speed", {"text": "a" * 90}, "pass", None, "25", "<= 25"),
    ("speed", {"text": "a" * 99}, "fail", None, "27.5", "<= 25"),
    ("speed", {"text": None}, "not_applicable", "no_value", None, "<= 25"),
    ("agreed", {"text_agreement": 0.8}, "pass", None, "0.8", ">= 0.8"),
    ("agreed", {}, "not_applicable", "no_value", None, ">= 0.8"),
    ("calls", {"channel": "0", "audio_sample_rate_hz": 4000}, "fail", None, "4000", ">= 8000"),
    ("calls", {"channel": "mix", "audio_sample_rate_hz": 4000}, "not_applicable", "when", "4000", ">= 8000"),
    ("calls", {"channel": "mix", "audio_fingerprint": None}, "not_applicable", "when", None, ">= 8000"),
    ("calls", {"channel": "1", "audio_fingerprint": None}, "fail", "missing:audio.sample_rate_hz", None, ">= 8000"),
    ("loud_speech", {"audio_rms_dbfs": -70.0}, "fail", None, "-70", ">= -60"),
    ("loud_speech", {"audio_rms_dbfs": -70.0, "speech_speech_ratio": 0.4}, "not_applicable", "when", "-70", ">= -60"),
    ("loud_speech", {"audio_rms_dbfs": -70.0, "text_kind": "machine"}, "not_applicable", "when", "-70", ">= -60"),
    ("loud_speech", {"audio_rms_dbfs": -70.0, "text_kind": None}, "not_applicable", "when", "-70", ">= -60"),
    # Nobody knows whether the rule applies.
    ("loud_speech", {"audio_rms_dbfs": -50.0, "speech_fingerprint": None}, "fail", "missing:speech.speech_ratio", "-50", ">= -60"),
    ("clean_or_loud", {"audio_clipped_ratio": 0.2}, "pass", None, "audio.clipped_ratio 0.2; speech.speech_ratio 0.9", "audio.clipped_ratio <= 0.1; speech.speech_ratio >= 0.5"),
    ("clean_or_loud", {"audio_clipped_ratio": 0.2, "speech_speech_ratio": 0.1}, "fail", None, "audio.clipped_ratio 0.2; speech.speech_ratio 0.1", "audio.clipped_ratio <= 0.1; speech.speech_ratio >= 0.5"),
    ("clean_or_loud", {"audio_clipped_ratio": NAN, "speech_speech_ratio": NAN}, "fail", None, "audio.clipped_ratio NaN; speech.speech_ratio NaN", "audio.clipped_ratio <= 0.1; speech.speech_ratio >= 0.5"),
    # What passes is enough, whatever is missing; what is missing might have passed.
    ("clean_or_loud", {"audio_clipped_ratio": 0.1, "speech_fingerprint": None}, "pass", None, "audio.clipped_ratio 0.1", "audio.clipped_ratio <= 0.1; speech.speech_ratio >= 0.5"),
    ("clean_or_loud", {"audio_clipped_ratio": 0.2, "speech_fingerprint": None}, "fail", "missing:speech.speech_ratio", "audio.clipped_ratio 0.2", "audio.clipped_ratio <= 0.1; speech.speech_ratio >= 0.5"),
    # A condition without a limit for the language is not asked.
    ("clean_or_loud", {"audio_clipped_ratio": 0.0, "language": "fr", "speech_speech_ratio": 0.1}, "fail", None, "audio.clipped_ratio 0; speech.speech_ratio 0.1", "speech.speech_ratio >= 0.5"),
    ("clean_or_loud", {"audio_clipped_ratio": None, "speech_speech_ratio": None}, "not_applicable", "no_value", None, "audio.clipped_ratio <= 0.1; speech.speech_ratio >= 0.5"),
    # Overrides: the first that is for the row, and no other.
    ("length", {"language": "sw-KE", "audio_duration_s": 0.2}, "pass", None, "0.2", "0.1 .. 9"),
    ("length", {"language": "zu", "corpus": "radio", "audio_duration_s": 0.2}, "pass", None, "0.2", "0.1 .. 9"),
    ("length", {"corpus": "radio", "audio_duration_s": 3.6}, "fail", None, "3.6", "1 .. 2"),
    ("length", {"corpus": "radio", "language": None, "audio_duration_s": 2.0}, "pass", None, "2", "1 .. 2"),
    ("clipping", {"language": "sw", "audio_clipped_ratio": 0.9}, "not_applicable", "override", None, None),
    ("clipping", {"corpus": "radio", "audio_clipped_ratio": 0.9}, "fail", None, "0.9", "<= 0.1"),
    ("error_rate", {**SCORE, "corpus": "radio", "score_wer": 0.8}, "pass", None, "0.8", "<= 0.9"),
]  # fmt: skip


@pytest.fixture(scope="module")
def verdicts(spark):
    """{row number of SAYS: {rule: verdict}}, in one run of Spark."""
    frame = candidates(spark, *(candidate(str(n), **said) for n, (_, said, *_) in enumerate(SAYS)))
    rows = with_verdicts(frame, POLICY, [ENGLISH_ONLY]).select("utterance_id", "verdicts").collect()
    return {row["utterance_id"]: row["verdicts"] for row in rows}


@pytest.mark.parametrize("n", range(len(SAYS)), ids=lambda n: f"{SAYS[n][0]} {SAYS[n][1]}"[:80])
def test_rule_says(verdicts, n):
    rule, _, *expected = SAYS[n]
    found = {v["rule"]: v for v in verdicts[str(n)]}[rule]
    assert [found[name] for name in ("verdict", "reason", "value", "threshold")] == expected


def test_every_rule_answers_for_every_utterance_in_policy_order(verdicts):
    for found in verdicts.values():
        assert [v["rule"] for v in found] == [rule.rule for rule in POLICY.keep]
        assert {v["verdict"] for v in found} <= {"pass", "fail", "not_applicable"}


def test_agreement_counts_for_train_unless_the_policy_says_otherwise(verdicts):
    sides = {v["rule"]: v["sides"] for v in verdicts["0"]}
    assert sides["error_rate"] == sides["same_language"] == ["train"]
    assert sides["length"] == ["train", "dev", "test"]


def test_text_is_of_the_first_preferred_source_that_has_one(spark):
    prefer = policy(text={"prefer": ["manifest:clean", "manifest", "whisper-base"]})
    transcripts = spark.createDataFrame(
        [
            ("a", "manifest", "said", "human", "s1"),
            ("a", "manifest:clean", "Said.", "human", "s2"),
            ("b", "manifest:clean", "  \n", "human", "s3"),  # blank is no text
            ("b", "whisper:f1", "heard", "machine", "s4"),
            ("c", "manifest", "later hash", "human", "s9"),
            ("c", "manifest", "earlier hash", "human", "s8"),
            ("c", "manifest", "caption", "caption", "s0"),
            ("d", "whisper:f2", "another model", "machine", "s5"),
        ],
        "utterance_id string, source string, text string, kind string, text_sha256 string",
    )
    rows = choose_text(transcripts, prefer, {"whisper-base": [(None, "f1")]}).collect()
    assert {r["utterance_id"]: (r["text"], r["text_source"]) for r in rows} == {
        "a": ("Said.", "manifest:clean"),
        "b": ("heard", "whisper:f1"),
        "c": ("earlier hash", "manifest"),
    }
    with pytest.raises(ConfigError, match="did you mean 'whisper-bass'"):
        choose_text(transcripts, prefer, {"whisper-bass": [(None, "f1")]})
