"""Sound files give their samples and their decoded length; bad ones give a code."""

from __future__ import annotations

import os
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from audio_examples import (
    RATE_HZ,
    Decode,
    decode_bytes,
    ffmpeg_bytes,
    flac_claiming,
    mp3_claiming,
    soundfile_bytes,
    speechlike,
    vbr_mp3,
    wav_header,
)

from speechlake.audio.decoder import Decoder
from speechlake.audio.errors import AudioError
from speechlake.audio.limits import Limits

STEREO = speechlike(1.0, channels=2)
AS_FLOAT = STEREO.astype(np.float32) / 32768

LOSSLESS = [
    ("WAV", "PCM_16", "wav", "pcm_s16le"),
    ("WAVEX", "PCM_16", "wav", "pcm_s16le"),
    ("WAV", "PCM_24", "wav", "pcm_s24le"),
    ("WAV", "PCM_32", "wav", "pcm_s32le"),
    ("WAV", "DOUBLE", "wav", "pcm_f64le"),
    ("FLAC", "PCM_16", "flac", "flac"),
    ("FLAC", "PCM_24", "flac", "flac"),
    ("RF64", "PCM_16", "rf64", "pcm_s16le"),
    ("W64", "PCM_16", "w64", "pcm_s16le"),
    ("AIFF", "PCM_16", "aiff", "pcm_s16be"),
    ("AU", "PCM_16", "au", "pcm_s16be"),
    ("NIST", "PCM_16", "sph", "pcm_s16le"),
    ("CAF", "PCM_16", "caf", "pcm_s16be"),
]

# (muxer, encoder, container, codec, most seconds that encoder padding adds to or takes from one second)
LOSSY = [
    ("mp4", "aac", "mp4", "aac", 0.07),
    ("adts", "aac", "aac", "aac", 0.13),
    ("webm", "libopus", "webm", "opus", 0.03),
    ("ogg", "libopus", "ogg", "opus", 0.03),
    ("mp3", "libmp3lame", "mp3", "mp3", 0.05),
    ("asf", "wmav2", "asf", "wmav2", 0.13),
    ("matroska", "ac3", "matroska", "ac3", 0.07),
]


@pytest.mark.parametrize(("written", "subtype", "container", "codec"), LOSSLESS)
def test_the_same_samples_decode_equal_from_every_lossless_container(
    decode: Decode, written: str, subtype: str, container: str, codec: str
) -> None:
    samples = AS_FLOAT if subtype == "DOUBLE" else STEREO
    got = decode(soundfile_bytes(samples, written, subtype))
    assert (got.container, got.codec, got.sample_rate_hz, got.channels) == (container, codec, RATE_HZ, 2)
    assert np.array_equal(got.samples, AS_FLOAT)
    assert (got.duration_s, got.header_duration_s) == (1.0, 1.0)


@pytest.mark.parametrize(("muxer", "codec"), [("ipod", "alac"), ("matroska", "pcm_s16le")])
def test_both_readers_scale_integers_alike(decode: Decode, muxer: str, codec: str) -> None:
    got = decode(ffmpeg_bytes(STEREO, muxer, codec))
    assert got.codec == codec
    assert np.array_equal(got.samples, AS_FLOAT)


@pytest.mark.parametrize(("muxer", "encoder", "container", "codec", "padding_s"), LOSSY)
def test_lossy_formats_decode_to_about_their_length(
    decode: Decode, muxer: str, encoder: str, container: str, codec: str, padding_s: float
) -> None:
    got = decode(ffmpeg_bytes(speechlike(1.0, rate_hz=48_000), muxer, encoder, 48_000))
    assert (got.container, got.codec, got.sample_rate_hz, got.channels) == (container, codec, 48_000, 1)
    assert got.duration_s == pytest.approx(1.0, abs=padding_s)


@pytest.mark.parametrize(("container", "subtype"), [("MP3", None), ("OGG", "VORBIS"), ("OGG", "OPUS")])
def test_every_child_decodes_a_lossy_file_to_the_same_bits(container: str, subtype: str | None) -> None:
    data = soundfile_bytes(speechlike(2.0), container, subtype)
    with Decoder() as one, Decoder() as other:
        first, again, elsewhere = (decode_bytes(d, data).samples for d in (one, one, other))
    assert np.array_equal(first, again)
    assert np.array_equal(first, elsewhere)


def test_samples_are_read_only_and_outlive_the_decoder() -> None:
    with Decoder() as short_lived:
        got = decode_bytes(short_lived, soundfile_bytes(STEREO, "WAV"))
    assert not got.samples.flags.writeable
    assert np.array_equal(got.samples, AS_FLOAT)


def test_a_file_is_read_from_its_start_and_stays_open(decoder: Decoder) -> None:
    fd = os.memfd_create("test")
    os.write(fd, soundfile_bytes(STEREO, "FLAC"))
    assert np.array_equal(decoder.decode(fd).samples, decoder.decode(fd).samples)
    os.close(fd)


def test_real_speech_has_the_length_that_its_own_reader_says(decode: Decode, speech: Path) -> None:
    voices = sorted({path.parent for path in speech.glob("*/*.wav")})
    assert voices
    for path in (path for voice in voices for path in sorted(voice.glob("*.wav"))[:5]):
        with wave.open(str(path)) as told:
            expected = told.getnframes()
        assert len(decode(path.read_bytes()).samples) == expected, path


# --- headers that lie ------------------------------------------------------------------------------

NOISE = speechlike(3.0)
WAV, FLAC = soundfile_bytes(NOISE, "WAV"), soundfile_bytes(NOISE, "FLAC")
MP3, OGG = vbr_mp3(NOISE), soundfile_bytes(NOISE, "OGG")
PCM = NOISE.tobytes()

# (what, file, decoded seconds, seconds that the header claims)
LIARS = [
    ("wav cut in the middle", WAV[: 44 + 48_000], 1.5, 3.0),
    ("wav claiming ten hours", wav_header(data_bytes=10 * 3600 * 32_000) + PCM, 3.0, 36_000.0),
    ("wav written to a pipe", wav_header(data_bytes=0xFFFF_FFFF) + PCM, 3.0, None),
    ("flac that does not know its length", flac_claiming(FLAC, 0), 3.0, None),
    ("flac claiming a second of three", flac_claiming(FLAC, RATE_HZ), 3.0, 1.0),
    ("flac claiming six seconds of three", flac_claiming(FLAC, 6 * RATE_HZ), 3.0, 6.0),
    ("au cut in the middle", soundfile_bytes(NOISE, "AU")[: 24 + 48_000], 1.5, 3.0),
    ("sph cut in the middle", soundfile_bytes(NOISE, "NIST")[: 1024 + 48_000], 1.5, 3.0),
]


@pytest.mark.parametrize(("what", "data", "decoded_s", "claimed_s"), LIARS, ids=[liar[0] for liar in LIARS])
def test_the_duration_is_what_decodes_and_the_claim_stands_beside_it(
    decode: Decode, what: str, data: bytes, decoded_s: float, claimed_s: float | None
) -> None:
    got = decode(data)
    assert got.duration_s == pytest.approx(decoded_s, abs=1e-9)
    assert got.header_duration_s == (claimed_s if claimed_s is None else pytest.approx(claimed_s, abs=1e-3))


# The same, to a few frames of encoder padding.
LOSSY_LIARS = [
    ("honest mp3 of variable bit rate", MP3, 3.0, 3.0),
    ("mp3 claiming 20 frames of three seconds", mp3_claiming(MP3, 20), 3.0, 0.65),
    ("mp3 claiming ten minutes of three seconds", mp3_claiming(MP3, 16_667), 3.0, 600.0),
    ("two ogg streams in a chain", OGG + OGG, 6.0, 3.0),
]


@pytest.mark.parametrize(
    ("what", "data", "decoded_s", "claimed_s"), LOSSY_LIARS, ids=[liar[0] for liar in LOSSY_LIARS]
)
def test_compressed_streams_are_read_to_their_real_end(
    decode: Decode, what: str, data: bytes, decoded_s: float, claimed_s: float
) -> None:
    got = decode(data)
    assert got.duration_s == pytest.approx(decoded_s, abs=0.04)
    assert got.header_duration_s == pytest.approx(claimed_s, abs=0.1)


@pytest.mark.parametrize("part", [0.5, 0.9])
def test_of_a_cut_flac_the_whole_frames_remain(decode: Decode, part: float) -> None:
    got = decode(FLAC[: int(len(FLAC) * part)])
    assert 3.0 * part - 0.6 < got.duration_s < 3.0 * part + 0.1
    assert np.array_equal(got.samples, NOISE[: len(got.samples)].astype(np.float32) / 32768)
    assert got.header_duration_s == 3.0


def test_samples_behind_a_header_that_was_never_filled_in_are_read(decode: Decode) -> None:
    got = decode(wav_header(data_bytes=0) + PCM)
    assert got.samples.tobytes() == decode(wav_header(data_bytes=len(PCM)) + PCM).samples.tobytes()
    assert got.header_duration_s == got.duration_s


# --- what cannot be used ---------------------------------------------------------------------------


def _float_wav(*values: float) -> bytes:
    data = struct.pack(f"<{len(values)}f", *values)
    return wav_header(tag=3, bits=32, data_bytes=len(data)) + data


REFUSED = [
    ("no bytes", b"", "EMPTY"),
    ("a wav header alone", wav_header(data_bytes=0), "NO_AUDIO"),
    ("an empty wav with a chunk behind", wav_header(data_bytes=0) + b"LIST\x04\0\0\0INFO", "NO_AUDIO"),
    ("half a wav header", WAV[:20], "CORRUPT"),
    ("zero channels", wav_header(channels=0) + PCM, "BAD_CHANNELS"),
    ("65 channels", wav_header(channels=65) + PCM, "BAD_CHANNELS"),
    ("a rate of 0 Hz", wav_header(rate_hz=0) + PCM, "BAD_RATE"),
    ("a rate of 1 Hz", wav_header(rate_hz=1) + PCM, "BAD_RATE"),
    ("a rate of 10 MHz", wav_header(rate_hz=10_000_000) + PCM, "BAD_RATE"),
    ("NaN", _float_wav(0.1, float("nan"), 0.2), "NOT_FINITE"),
    ("infinity", _float_wav(0.1, float("inf"), 0.2), "NOT_FINITE"),
    ("flac magic before noise", b"fLaC" + PCM[:5000], "CORRUPT"),
    ("ogg magic before noise", b"OggS\x00" + PCM[:5000], "CORRUPT"),
    ("mp4 magic before noise", b"\x00\x00\x00\x18ftypM4A " + PCM[:5000], "CORRUPT"),
    ("webm magic before noise", b"\x1aE\xdf\xa3" + PCM[:5000], "CORRUPT"),
    ("raw samples", PCM, "UNSUPPORTED_FORMAT"),
    ("an HLS playlist", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "UNSUPPORTED_FORMAT"),
    ("a concat script", b"ffconcat version 1.0\nfile /etc/passwd\n", "UNSUPPORTED_FORMAT"),
    (
        "a session description",
        b"v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 5004 RTP/AVP 0\r\n",
        "UNSUPPORTED_FORMAT",
    ),
    ("a playlist behind a tag", b"ID3\x04\x00\x00\x00\x00\x00\x00#EXTM3U\nfile:///etc/passwd\n", "CORRUPT"),
]


@pytest.mark.parametrize(("what", "data", "code"), REFUSED, ids=[what for what, _, _ in REFUSED])
def test_a_bad_file_gives_its_code_and_the_next_good_one_decodes(
    decode: Decode, what: str, data: bytes, code: str
) -> None:
    with pytest.raises(AudioError) as caught:
        decode(data)
    assert caught.value.code == code
    assert not caught.value.transient
    assert decode(WAV).duration_s == 3.0


def test_a_file_with_a_broken_middle_is_corrupt(decode: Decode) -> None:
    aac = bytearray(ffmpeg_bytes(speechlike(3.0, rate_hz=48_000), "adts", "aac", 48_000))
    middle = len(aac) // 2
    start = next(i for i in range(middle, len(aac)) if aac[i : i + 2] == b"\xff\xf1")
    aac[start + 7 : start + 107] = bytes(b ^ 0xA5 for b in aac[start + 7 : start + 107])
    with pytest.raises(AudioError, match="CORRUPT"):
        decode(bytes(aac))


SILENT_HOUR = soundfile_bytes(np.zeros((3600 * 8000, 1), dtype=np.int16), "FLAC", rate_hz=8000)


@pytest.mark.parametrize(
    ("limits", "code"),
    [(Limits(max_duration_s=60), "TOO_LONG"), (Limits(max_decoded_bytes=1_000_000), "TOO_LARGE")],
)
def test_a_small_file_that_unpacks_to_hours_stops_at_the_limit(
    decode: Decode, limits: Limits, code: str
) -> None:
    assert len(SILENT_HOUR) < 200_000
    for bomb in (SILENT_HOUR, flac_claiming(SILENT_HOUR, 8000), flac_claiming(SILENT_HOUR, 0)):
        with pytest.raises(AudioError) as caught:
            decode(bomb, limits)
        assert caught.value.code == code


@pytest.mark.parametrize(("written", "subtype", "container", "codec"), LOSSLESS)
def test_how_many_channels_a_file_has_is_told_from_its_beginning(
    written, subtype, container, codec, tmp_path
):
    path = tmp_path / "a"
    path.write_bytes(soundfile_bytes(STEREO, written, subtype))
    with Decoder() as decoder, path.open("rb") as file:
        assert decoder.channels(file.fileno()) == 2
        assert decoder.decode(file.fileno()).channels == 2  # the child is ready for more


def test_what_is_no_audio_has_no_channels(tmp_path):
    (tmp_path / "a").write_bytes(b"no audio at all")
    with Decoder() as decoder, (tmp_path / "a").open("rb") as file, pytest.raises(AudioError) as refused:
        decoder.channels(file.fileno())
    assert refused.value.code == "UNSUPPORTED_FORMAT"
