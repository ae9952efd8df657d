"""What each manifest format makes of a line: literal bytes in, a record or a reason out."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechlake.errors import UsageError
from speechlake.manifests import roles
from speechlake.manifests.contract import Context, Head, Source
from speechlake.manifests.formats import FORMATS, format_named
from speechlake.manifests.options import ParseOptions
from speechlake.manifests.record import REASONS, Record, Refused
from speechlake.manifests.roles import kind_of

CV = "client_id\tpath\tsentence\tup_votes\tlocale"
CSV = "ID,duration,wav,spk_id,wrd"
TSV = "id\taudio\tstart\tend\ttext\tchannel"


def context(name: str, header: str | None = None, **options: object) -> Context:
    return FORMATS[name].context(Source(f"/data/x.{name}", name, 0, header), ParseOptions.of("c", **options))  # type: ignore[arg-type]


def parsed(name: str, raw: bytes, header: str | None = None, **options: object) -> Record:
    found = FORMATS[name].parse(raw, context(name, header, **options))
    assert isinstance(found, Record), found
    return found


def reason(name: str, raw: bytes, header: str | None = None, **options: object) -> str:
    found = FORMATS[name].parse(raw, context(name, header, **options))
    assert isinstance(found, Refused), found
    assert found.reason in REASONS
    return found.reason


# NeMo ----------------------------------------------------------------------------------------------


def test_nemo_says_audio_interval_texts_and_extras() -> None:
    line = (
        b'{"audio_filepath": "a.wav", "offset": 1.5, "duration": 2.25, "text": "Hi", "text_pnc": "Hi!", "pred_text": "hi",'
        b' "lang": "en", "speaker": 12, "channel": 1, "sample_rate": 16000, "num_channels": 2, "snr": 1.50, "tags": ["x", 0.5], "none": null}'
    )
    assert parsed("nemo", line) == Record(
        audio="a.wav",
        channel="1",
        start_s=Decimal("1.5"),
        end_s=Decimal("3.75"),
        speaker="12",
        language="en",
        texts=(("manifest", "Hi"), ("manifest:text_pnc", "Hi!"), ("manifest:pred_text", "hi")),
        extras={"snr": "1.50", "tags": '["x",0.5]'},
        declared_duration_s=2.25,
        declared_sample_rate_hz=16000,
        declared_channels=2,
    )


@pytest.mark.parametrize("rate_hz", [1, 10_000_000, 2**63 - 1])
def test_nemo_takes_any_declared_rate_because_nothing_trusts_it(rate_hz: int) -> None:
    found = parsed("nemo", b'{"audio_filepath": "a.wav", "sample_rate": %d}' % rate_hz)
    assert found.declared_sample_rate_hz == rate_hz


def test_nemo_duration_without_offset_is_the_whole_file() -> None:
    found = parsed("nemo", b'{"audio_filepath": "a.wav", "duration": 2.25}')
    assert (found.start_s, found.end_s, found.declared_duration_s) == (None, None, 2.25)


def test_nemo_offset_of_zero_with_a_duration_is_an_interval() -> None:
    found = parsed("nemo", b'{"audio_filepath": "a.wav", "offset": 0, "duration": 2.25}')
    assert (found.start_s, found.end_s) == (Decimal(0), Decimal("2.25"))


def test_nemo_offset_without_duration_runs_to_the_end() -> None:
    found = parsed("nemo", b'{"audio_filepath": "a.wav", "offset": 3}')
    assert (found.start_s, found.end_s) == (Decimal(3), None)


def test_nemo_empty_texts_say_nothing_and_lists_with_text_like_names_are_extras() -> None:
    found = parsed("nemo", b'{"audio_filepath": "a.wav", "text": " ", "text_tokens": [1, 2]}')
    assert found.texts == ()
    assert found.extras == {"text_tokens": "[1,2]"}


@pytest.mark.parametrize(
    "name",
    ["transcript_status", "text_confidence", "text_source", "transcript_url", "text_wer", "text_tokens"],
)
def test_what_is_said_of_a_text_is_no_text(name: str) -> None:
    found = parsed("nemo", f'{{"audio_filepath": "a.wav", "text": "Hi", "{name}": "x"}}'.encode())
    assert (found.texts, found.extras) == ((("manifest", "Hi"),), {name: "x"})


def test_names_without_end_are_not_remembered() -> None:
    names = tuple(f"{n:05}" for n in range(1000))
    before = roles._layout.cache_info().currsize, roles._kind_of.cache_info().currsize
    assert roles.layout(names).width == 1000
    assert kind_of("pred " + "x" * 5000) == "machine"
    assert (roles._layout.cache_info().currsize, roles._kind_of.cache_info().currsize) == before


def test_nemo_takes_another_text_field_where_there_is_no_text() -> None:
    assert parsed("nemo", b'{"audio_filepath": "a.wav", "sentence": "Hi"}').texts == (("manifest", "Hi"),)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ('"duration": 1', "MISSING_FIELD"),
        ('"audio_filepath": ""', "MISSING_FIELD"),
        ('"audio_filepath": null', "MISSING_FIELD"),
        ('"audio_filepath": 3', "BAD_TYPE"),
        ('"audio_filepath": ["a.wav"]', "BAD_TYPE"),
        ('"audio_filepath": "a", "text": 5', "BAD_TYPE"),
        ('"audio_filepath": "a", "text": ["x"]', "BAD_TYPE"),
        ('"audio_filepath": "a", "text": {"x": 1}', "BAD_TYPE"),
        ('"audio_filepath": "a", "text": true', "BAD_TYPE"),
        ('"audio_filepath": "a", "speaker": 1.5', "BAD_TYPE"),
        ('"audio_filepath": "a", "speaker": false', "BAD_TYPE"),
        ('"audio_filepath": "a", "lang": 7', "BAD_TYPE"),
        ('"audio_filepath": "a", "duration": "0.25"', "BAD_TYPE"),
        ('"audio_filepath": "a", "duration": true', "BAD_TYPE"),
        ('"audio_filepath": "a", "duration": [1]', "BAD_TYPE"),
        ('"audio_filepath": "a", "duration": NaN', "BAD_NUMBER"),
        ('"audio_filepath": "a", "duration": Infinity', "BAD_NUMBER"),
        ('"audio_filepath": "a", "duration": 1e999', "BAD_NUMBER"),
        ('"audio_filepath": "a", "duration": 1e12', "BAD_NUMBER"),
        ('"audio_filepath": "a", "sample_rate": 8000.5', "BAD_NUMBER"),
        ('"audio_filepath": "a", "sample_rate": -1', "BAD_NUMBER"),
        ('"audio_filepath": "a", "sample_rate": 9223372036854775808', "BAD_NUMBER"),
        ('"audio_filepath": "a", "duration": 0', "BAD_INTERVAL"),
        ('"audio_filepath": "a", "duration": -1.5', "BAD_INTERVAL"),
        ('"audio_filepath": "a", "offset": -0.5, "duration": 1', "BAD_INTERVAL"),
        ('"audio_filepath": "a", "offset": 2, "duration": 0', "BAD_INTERVAL"),
        ('"audio_filepath": "a", "offset": 2, "end": 1', "BAD_INTERVAL"),
        ('"audio_filepath": "a", "channel": -1', "BAD_CHANNEL"),
        ('"audio_filepath": "a", "channel": "front"', "BAD_CHANNEL"),
        ('"audio_filepath": "a", "channel": [0, 1]', "BAD_TYPE"),
        ('"audio_filepath": "a", "audio_filepath": "b"', "DUPLICATE_KEY"),
    ],
)
def test_nemo_refuses(fields: str, expected: str) -> None:
    assert reason("nemo", f"{{{fields}}}".encode()) == expected


@pytest.mark.parametrize(
    "speaker", ["N/A", "unknown", "UNK", "none", "-", "", " ", "nan", "null", "?", "utt7"]
)
def test_placeholders_for_speakers_become_null_and_are_told(speaker: str) -> None:
    found = parsed("nemo", f'{{"audio_filepath": "a.wav", "id": "utt7", "speaker": "{speaker}"}}'.encode())
    assert (found.speaker, found.speaker_placeholder, found.source_id) == (None, True, "utt7")


def test_no_speaker_is_no_placeholder() -> None:
    found = parsed("nemo", b'{"audio_filepath": "a.wav", "speaker": null}')
    assert (found.speaker, found.speaker_placeholder) == (None, False)


# Tables --------------------------------------------------------------------------------------------


def test_common_voice_has_no_quoting_and_its_clips_lie_beside() -> None:
    found = parsed("common-voice", b"c1\tx1.mp3\t\"Ond hi, 'ddweud\t2\tcy", CV)
    assert found == Record(
        audio="clips/x1.mp3",
        source_id="x1.mp3",
        speaker="c1",
        language="cy",
        texts=(("manifest", "\"Ond hi, 'ddweud"),),
        extras={"up_votes": "2"},
    )


def test_common_voice_clips_without_suffix_are_mp3() -> None:
    assert parsed("common-voice", b"c1\tx1\tHi\t2\tcy", CV).audio == "clips/x1.mp3"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"c1\tx1.mp3\tHi\t2", "RAGGED"),
        (b"c1\tx1.mp3\tHi\t2\tcy\t", "RAGGED"),
        (b"c1\tx1.mp3\tHi\tthere\t2\tcy", "RAGGED"),
        (b"c1\t\tHi\t2\tcy", "MISSING_FIELD"),
        (b"c1\tx1.mp3\tH\xff\t2\tcy", "BAD_UTF8"),
        (b"c1\tx1.mp3\tH\x00\t2\tcy", "CONTROL_CHARACTER"),
        ("c1\tx1.mp3\tHi\t2\tcy".encode("utf-16"), "CONTROL_CHARACTER"),
    ],
)
def test_common_voice_refuses(raw: bytes, expected: str) -> None:
    assert reason("common-voice", raw, CV) == expected


def test_csv_has_quoting_and_named_columns() -> None:
    found = parsed("csv", b'u1,2.5,a.wav,s1,"Hello, ""you"""', CSV)
    assert found == Record(
        audio="a.wav",
        source_id="u1",
        speaker="s1",
        texts=(("manifest", 'Hello, "you"'),),
        declared_duration_s=2.5,
    )


def test_csv_spaces_after_commas_belong_to_the_commas_when_the_header_has_them() -> None:
    found = parsed("csv", b"u1, 2.5,  a.wav, s1, hi there", "ID, duration, wav, spk_id, wrd")
    assert (found.audio, found.speaker, found.texts) == ("a.wav", "s1", (("manifest", "hi there"),))


def test_csv_between_bars_has_no_quoting() -> None:
    found = parsed("csv", b'wavs/a.wav|"Hi|hi|s', "audio_file|text|transcription|speaker_name")
    assert found.texts == (("manifest", '"Hi'), ("manifest:transcription", "hi"))


def test_tsv_takes_seconds_and_channels() -> None:
    found = parsed("tsv", b"u1\ta.wav\t0.5\t1.75\thi\tB", TSV)
    assert (found.start_s, found.end_s, found.channel) == (Decimal("0.5"), Decimal("1.75"), "1")


def test_start_with_stop_is_counted_in_samples_and_refused_where_it_cuts() -> None:
    """Else the whole file would have one segment's text."""
    found = parsed("csv", b"a.wav,0,32000", "wav,start,stop")
    assert (found.start_s, found.end_s) == (None, None)
    assert reason("csv", b"a.wav,16000,32000", "wav,start,stop") == "BAD_INTERVAL"
    assert reason("nemo", b'{"audio_filepath": "a", "start": 9, "stop": 20}') == "BAD_INTERVAL"
    assert parsed("csv", b"a.wav,2,4", "wav,start,stop", columns={"start": "start"}).start_s == 2


def test_a_quoted_header_may_hold_the_separator() -> None:
    header = '"wav","notes, other","text"'
    found = parsed("csv", b'"a.wav","x, y","hi"', header)
    assert (found.audio, found.texts, found.extras) == (
        "a.wav",
        (("manifest", "hi"),),
        {"notes, other": "x, y"},
    )
    assert FORMATS["csv"].recognises(Head("x.csv", (header.encode(),)))
    assert reason("csv", b"a,b", '"wav,text') == "BAD_HEADER"


def test_columns_can_be_named() -> None:
    found = parsed(
        "csv",
        b"k,a.wav,hi,de",
        "name,datei,satz,sprache",
        columns={"audio": "datei", "text": "satz", "language": "sprache"},
    )
    assert (found.audio, found.language, found.texts, found.extras) == (
        "a.wav",
        "de",
        (("manifest", "hi"),),
        {"name": "k"},
    )


def test_a_column_without_a_name_is_kept_among_the_extras() -> None:
    assert parsed("csv", b"7,a.wav,x", ",wav,note").extras == {"column_0": "7", "note": "x"}


def test_unknown_roles_are_a_usage_error() -> None:
    """Told where the corpus is declared: a worker would be tried again, or call it a defect of ours."""
    with pytest.raises(UsageError, match=r"columns: role 'speaker_id': expected one of audio, .*speaker"):
        ParseOptions.of("c", columns={"speaker_id": "spk"})


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"u1,2.5,a.wav,s1", "RAGGED"),
        (b"u1,2.5,a.wav,s1,hi,there", "RAGGED"),
        (b'u1,2.5,a.wav,s1,"open', "BAD_QUOTING"),
        (b'u1,2.5,a.wav,s1,"a"b', "BAD_QUOTING"),
        (b"u1,2.5,,s1,hi", "MISSING_FIELD"),
        (b"u1,nan,a.wav,s1,hi", "BAD_NUMBER"),
        (b"u1,inf,a.wav,s1,hi", "BAD_NUMBER"),
        (b"u1,1_000,a.wav,s1,hi", "BAD_NUMBER"),
        ("u1,١,a.wav,s1,hi".encode(), "BAD_NUMBER"),
        (b"u1,1e999,a.wav,s1,hi", "BAD_NUMBER"),
        (b"u1,-1,a.wav,s1,hi", "BAD_INTERVAL"),
        (b"u1,0,a.wav,s1,hi", "BAD_INTERVAL"),
        (b"u1,2.5,a.wav,s1,h\xe9", "BAD_UTF8"),
    ],
)
def test_csv_refuses(raw: bytes, expected: str) -> None:
    assert reason("csv", raw, CSV) == expected


@pytest.mark.parametrize("header", [None, "name,text", "wav,wav,text"])
def test_a_table_without_a_usable_header_refuses_every_line(header: str | None) -> None:
    assert reason("csv", b"a,b,c", header) == "BAD_HEADER"


# Others --------------------------------------------------------------------------------------------


def test_librispeech_tells_speaker_and_chapter_by_the_id() -> None:
    assert parsed("librispeech", b"1089-134686-0000 HE HOPED") == Record(
        audio="1089-134686-0000.flac",
        source_id="1089-134686-0000",
        speaker="1089",
        session="1089-134686",
        texts=(("manifest", "HE HOPED"),),
    )


def test_librispeech_audio_may_have_another_suffix_and_lines_no_text() -> None:
    found = parsed("librispeech", b"utt7", suffix=".opus")
    assert (found.audio, found.speaker, found.texts) == ("utt7.opus", None, ())


def test_librispeech_ids_are_names_beside_the_manifest() -> None:
    assert reason("librispeech", b"../../etc/passwd-1-2 X") == "BAD_REFERENCE"


@pytest.mark.parametrize(
    ("raw", "texts"),
    [
        (b"LJ1|Dr. X, 1|Doctor X, one", (("manifest", "Dr. X, 1"), ("manifest:normalised", "Doctor X, one"))),
        (b'LJ1|"Dr. X', (("manifest", '"Dr. X'),)),
        (b"LJ1|Dr. X|", (("manifest", "Dr. X"),)),
    ],
)
def test_ljspeech_has_a_raw_and_perhaps_a_normalised_text(
    raw: bytes, texts: tuple[tuple[str, str], ...]
) -> None:
    assert parsed("ljspeech", raw) == Record(audio="wavs/LJ1.wav", source_id="LJ1", texts=texts)


@pytest.mark.parametrize(
    ("raw", "expected"), [(b"LJ1", "RAGGED"), (b"LJ1|a|b|c", "RAGGED"), (b"|a|b", "MISSING_FIELD")]
)
def test_ljspeech_refuses(raw: bytes, expected: str) -> None:
    assert reason("ljspeech", raw) == expected


def test_a_folder_lists_names_as_they_are() -> None:
    assert parsed("folder", "sub/a 'b' é.wav".encode()) == Record(audio="sub/a 'b' é.wav")
    assert reason("folder", b"sub/\xff.wav") == "NAME_NOT_UTF8"


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "folder"])
@pytest.mark.parametrize("raw", [b"", b"  ", b"\t \r"])
def test_blank_lines_are_not_counted(name: str, raw: bytes) -> None:
    assert FORMATS[name].parse(raw, context(name, CV)) is None


@pytest.mark.parametrize("raw", ["\u3000".encode(), "\u00a0 \u00a0".encode(), "\u2028".encode()])
def test_librispeech_takes_white_space_other_than_ascii_for_a_blank_line(raw: bytes) -> None:
    assert FORMATS["librispeech"].parse(raw, context("librispeech")) is None


@pytest.mark.parametrize(
    ("format", "name", "line"),
    [
        ("csv", "x.csv", b"wav," + b" " * 200_000 + b"!"),
        ("csv", "x.csv", b'wav,"' + b" " * 200_000 + b'!"'),
        ("csv", "x.csv", b"wav" + b",text" * 200_000),
        ("librispeech", "x.trans.txt", b"1" * 200_000 + b"\x0b"),
    ],
)
def test_a_long_line_is_not_recognised_in_a_number_of_steps_that_grows_with_its_square(
    format: str, name: str, line: bytes
) -> None:
    assert not FORMATS[format].recognises(Head(name, (line,)))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"wav, text ", True),
        (b' "wav" , "a text" ', True),
        (b'wav," text "', True),
        ("wav,\u00a0text\u00a0".encode(), True),
        (b"wav,a" + b" " * 58 + b"b", True),
        (b"wav,a" + b" " * 59 + b"b", False),
        (b"wav,it's", False),
    ],
)
def test_names_of_columns_are_plain_and_white_space_around_them_is_nothing(
    line: bytes, expected: bool
) -> None:
    assert FORMATS["csv"].recognises(Head("x.csv", (line,))) is expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"1-2-0000 HELLO", True),
        (b"utt7", True),
        (b"a1b2\tHELLO", True),
        (b" 1-2-0000 HELLO", False),
        (b"HELLO 1", False),
        (b"utt7\x0bHELLO", False),
    ],
)
def test_librispeech_is_recognised_by_an_id_with_a_digit(line: bytes, expected: bool) -> None:
    assert FORMATS["librispeech"].recognises(Head("x.trans.txt", (line,))) is expected


@given(st.sampled_from(sorted(FORMATS)), st.binary(max_size=120))
def test_any_bytes_are_a_record_a_refusal_or_blank(name: str, raw: bytes) -> None:
    found = FORMATS[name].parse(raw, context(name, CV if name != "csv" else CSV))
    assert found is None or isinstance(found, Record | Refused)


def test_an_unknown_format_is_answered_with_those_that_exist() -> None:
    with pytest.raises(UsageError, match="librispeech"):
        format_named("kaldi9")


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("manifest", "human"),
        ("manifest:text_pnc", "human"),
        ("manifest:pred_text", "machine"),
        ("manifest:asr_text", "machine"),
        ("manifest:caption_text", "caption"),
    ],
)
def test_kinds_of_texts_follow_from_their_fields(source: str, kind: str) -> None:
    assert kind_of(source) == kind


def test_options_with_the_same_meaning_have_one_digest() -> None:
    one = ParseOptions.of("c", columns={"audio": "a", "text": "b"})
    other = ParseOptions.of("c", columns={"text": "b", "audio": "a"})
    assert one.digest() == other.digest() != ParseOptions("c").digest()


@pytest.mark.parametrize(
    "options", [{"channels": "all"}, {"ids": "both"}, {"relative_to": "moon"}, {"quoting": "some"}]
)
def test_options_that_do_not_exist_are_usage_errors(options: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        ParseOptions.of("c", **options)
