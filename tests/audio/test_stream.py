"""A stream gives the samples of decode(), block by block, and whatever befalls its child ends as a code."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from audio_examples import (
    decode_bytes,
    ffmpeg_bytes,
    flac_claiming,
    mp3_claiming,
    open_descriptors,
    soundfile_bytes,
    speechlike,
    vbr_mp3,
    wav_header,
)

from speechlake.audio.decoder import Decoder
from speechlake.audio.errors import AudioError
from speechlake.audio.limits import STREAM_LIMITS, Limits
from speechlake.audio.pipe_sink import Start
from speechlake.audio.process import Lost
from speechlake.audio.stream import Stream

LONG = speechlike(20.0, channels=2)
MONO = speechlike(9.0)
FAST = speechlike(3.0, rate_hz=44_100)
WAV = soundfile_bytes(speechlike(60.0), "WAV")
LONGER = soundfile_bytes(speechlike(120.0), "WAV")
BAD_CHILD = [sys.executable, str(Path(__file__).parent / "bad_child.py")]
# Half a second, however long the file.
IMPATIENT = Limits(base_s=0.5, bytes_per_s=1e9)

FILES = {
    "wav": soundfile_bytes(LONG, "WAV"),
    "wav of 44.1 kHz": soundfile_bytes(FAST, "WAV", rate_hz=44_100),
    "wav of 24 bits": soundfile_bytes(LONG, "WAV", "PCM_24"),
    "wav in mu-law": soundfile_bytes(LONG, "WAV", "ULAW"),
    "wav in ADPCM": soundfile_bytes(MONO, "WAV", "MS_ADPCM"),
    "wav cut in the middle": soundfile_bytes(LONG, "WAV")[: 44 + 640_000],
    "wav that does not know its length": wav_header(data_bytes=0xFFFF_FFFF) + MONO.tobytes(),
    "rf64": soundfile_bytes(LONG, "RF64"),
    "aiff": soundfile_bytes(LONG, "AIFF"),
    "flac": soundfile_bytes(LONG, "FLAC"),
    "flac claiming a second of nine": flac_claiming(soundfile_bytes(MONO, "FLAC"), 16_000),
    "flac claiming twenty seconds of nine": flac_claiming(soundfile_bytes(MONO, "FLAC"), 320_000),
    "flac that does not know its length": flac_claiming(soundfile_bytes(MONO, "FLAC"), 0),
    "ogg vorbis": soundfile_bytes(LONG, "OGG", "VORBIS"),
    "ogg opus": soundfile_bytes(MONO, "OGG", "OPUS"),
    "two ogg streams in a chain": soundfile_bytes(MONO, "OGG") * 2,
    "mp3": soundfile_bytes(LONG, "MP3"),
    "mp3 claiming 20 frames": mp3_claiming(vbr_mp3(MONO), 20),
    "m4a": ffmpeg_bytes(speechlike(9.0, rate_hz=48_000), "mp4", "aac", 48_000),
    "webm opus": ffmpeg_bytes(speechlike(9.0, rate_hz=48_000), "webm", "libopus", 48_000),
}
# Seconds, among them halves of a sample, one between two blocks, and the end.
STARTS = [0.0, 0.000031, 0.00003125, 1.23456789, 7.99999, 8.0, 20.0]


@contextmanager
def streamed(
    decoder: Decoder, data: bytes, *, limits: Limits | None = None, start_s: float = 0.0
) -> Iterator[Stream]:
    """A stream of `data` as if it were a file."""
    fd = os.memfd_create("test")
    try:
        os.write(fd, data)
        with decoder.stream(fd, limits=limits, start_s=start_s) as stream:
            yield stream
    finally:
        os.close(fd)


def whole(stream: Stream) -> npt.NDArray[np.float32]:
    """All blocks in one array."""
    blocks = list(stream)
    return np.concatenate(blocks) if blocks else np.empty((0, stream.channels), np.float32)


@pytest.fixture(scope="module")
def fragile() -> Iterator[Decoder]:
    """A decoder whose child does what the first word of a file says."""
    with Decoder(BAD_CHILD) as decoder:
        yield decoder


@pytest.mark.parametrize("name", FILES)
def test_a_stream_is_what_decode_gives_from_any_start_on(decoder: Decoder, name: str) -> None:
    expected = decode_bytes(decoder, FILES[name])
    rate = expected.sample_rate_hz
    for start_s in STARTS:
        start = int(np.floor(start_s * rate + 0.5))
        with streamed(decoder, FILES[name], start_s=start_s) as stream:
            told = (stream.sample_rate_hz, stream.channels, stream.container, stream.codec)
            assert told == (rate, expected.channels, expected.container, expected.codec)
            assert stream.start_frame == start
            assert np.array_equal(whole(stream), expected.samples[start:]), start_s
            assert stream.frames == len(expected.samples)
            assert stream.duration_s == expected.duration_s
            assert stream.header_duration_s == expected.header_duration_s


def test_a_start_in_milliseconds_is_the_frame_of_the_same_milliseconds_of_an_interval() -> None:
    from speechlake.audio.signal import cut

    ramp = np.arange(44_100, dtype=np.float32)
    for ms in range(0, 1000, 5):
        assert Start(ms / 1000).at(44_100) == int(cut(ramp, 44_100, ms, None)[0])


def test_a_stream_that_is_not_rehearsed_is_the_same(decoder: Decoder) -> None:
    expected = decode_bytes(decoder, FILES["flac"])
    fd = os.memfd_create("test")
    os.write(fd, FILES["flac"])
    with decoder.stream(fd, start_s=1.0, rehearsed=False) as stream:
        assert np.array_equal(whole(stream), expected.samples[stream.start_frame :])
    os.close(fd)


@pytest.mark.parametrize("rehearsed", [True, False])
def test_what_is_not_to_be_rehearsed_has_no_sink_for_it(rehearsed: bool) -> None:
    from speechlake.audio.pipe_sink import PipeSink, Start

    sink = PipeSink(-1, Limits(), Start(rehearsed=rehearsed), lambda _: None)
    assert (sink.rehearsal() is not None) is rehearsed


def test_blocks_are_of_eight_seconds_and_their_length_is_known_after_the_last(decoder: Decoder) -> None:
    with streamed(decoder, FILES["wav"]) as stream:
        lengths = []
        for block in stream:
            assert stream.frames is None or len(lengths) == 2
            lengths.append(block.shape)
    assert lengths == [(128_000, 2), (128_000, 2), (64_000, 2)]
    assert stream.frames == 320_000


def test_other_files_decode_while_a_stream_is_open(decoder: Decoder) -> None:
    with streamed(decoder, FILES["flac"]) as one, streamed(decoder, FILES["wav"]) as other:
        for first, second in zip(one, other, strict=True):
            assert np.array_equal(first, second)
            assert decode_bytes(decoder, FILES["aiff"]).duration_s == 20.0


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "EMPTY"),
        (wav_header(data_bytes=0), "NO_AUDIO"),
        (wav_header(rate_hz=1) + MONO.tobytes(), "BAD_RATE"),
        (b"fLaC" + MONO.tobytes()[:5000], "CORRUPT"),
        (MONO.tobytes(), "UNSUPPORTED_FORMAT"),
        (FILES["m4a"][:20_000], "CORRUPT"),
    ],
)
def test_what_cannot_be_decoded_cannot_be_streamed_and_the_next_can(
    decoder: Decoder, data: bytes, code: str
) -> None:
    with pytest.raises(AudioError, match=code), streamed(decoder, data):
        pass
    with streamed(decoder, FILES["wav"]) as stream:
        assert len(whole(stream)) == 320_000


def test_a_sample_that_is_not_finite_ends_the_stream_behind_good_blocks(decoder: Decoder) -> None:
    samples = np.zeros((320_000, 1), np.float32)
    samples[300_000] = np.nan
    with streamed(decoder, soundfile_bytes(samples, "WAV", "FLOAT")) as stream:
        blocks = iter(stream)
        assert [len(next(blocks)) for _ in range(2)] == [128_000, 128_000]
        with pytest.raises(AudioError, match="NOT_FINITE"):
            next(blocks)


def test_length_is_limited_and_decoded_bytes_are_not(decoder: Decoder) -> None:
    with (
        pytest.raises(AudioError, match="TOO_LONG"),
        streamed(decoder, WAV, limits=Limits(max_duration_s=30)) as stream,
    ):
        whole(stream)
    with streamed(decoder, WAV, limits=Limits(max_decoded_bytes=1000)) as stream:
        assert len(whole(stream)) == 960_000
    assert STREAM_LIMITS.max_duration_s == 24 * 3600


# --- early ends --------------------------------------------------------------------------------------


def test_a_stream_closed_early_leaves_its_child_for_the_next_file() -> None:
    with Decoder() as decoder:
        decode_bytes(decoder, FILES["wav"])
        pid = decoder.child_pid
        for _ in range(3):
            with streamed(decoder, WAV) as stream:
                next(iter(stream))
        assert decoder.child_pid == pid
        assert decode_bytes(decoder, FILES["wav"]).duration_s == 20.0


def test_a_child_that_does_not_notice_is_replaced(fragile: Decoder) -> None:
    decode_bytes(fragile, FILES["wav"])
    pid = fragile.child_pid
    with streamed(fragile, b"STOP" + b" " + WAV[5:]) as stream:
        for _, block in zip(range(5), stream, strict=False):
            assert len(block) == 128_000
        time.sleep(0.2)
    assert decode_bytes(fragile, FILES["wav"]).duration_s == 20.0
    assert fragile.child_pid != pid


def test_the_deadline_counts_waiting_for_the_child_and_not_for_the_caller(decoder: Decoder) -> None:
    with streamed(decoder, WAV, limits=IMPATIENT) as stream:
        frames = 0
        for n, block in enumerate(stream):
            frames += len(block)
            if n in (0, 3):
                time.sleep(0.4)
    assert frames == 960_000


# --- mischief ----------------------------------------------------------------------------------------

NARROW = Limits(memory_bytes=1 << 26)


@pytest.mark.parametrize(
    ("data", "limits", "code"),
    [
        (b"CRASH now", NARROW, "DECODER_CRASHED"),
        (b"HANG for ever", IMPATIENT, "DECODER_TIME_OUT"),
        (b"EAT all memory", NARROW, "DECODER_MEMORY"),
        (b"KILLED from outside", NARROW, "OUT_OF_MEMORY"),
        (b"DIES" + b" " + LONGER[5:], NARROW, "DECODER_CRASHED"),
        (b"STOP" + b" " + LONGER[5:], IMPATIENT, "DECODER_TIME_OUT"),
    ],
    ids=["crash", "hang", "eat", "killed", "crash midway", "hang midway"],
)
def test_mischief_ends_as_a_code_and_the_next_file_streams(
    fragile: Decoder, data: bytes, limits: Limits, code: str
) -> None:
    with pytest.raises(AudioError, match=code), streamed(fragile, data, limits=limits) as stream:
        whole(stream)
    with streamed(fragile, FILES["wav"]) as stream:
        assert len(whole(stream)) == 320_000


def test_a_child_that_crashes_midway_is_replaced_and_no_sample_is_lost_or_doubled(fragile: Decoder) -> None:
    with streamed(fragile, b"HALF" + b" " + WAV[5:]) as stream:
        got = whole(stream)
    assert np.array_equal(got, decode_bytes(fragile, WAV).samples)


def test_no_descriptor_is_left_open(decoder: Decoder) -> None:
    decode_bytes(decoder, FILES["wav"])
    before = open_descriptors(os.getpid())
    for _ in range(5):
        with streamed(decoder, WAV) as stream:
            next(iter(stream))
        with streamed(decoder, FILES["ogg opus"]) as stream:
            whole(stream)
        with pytest.raises(AudioError), streamed(decoder, b"not audio"):
            pass
    assert open_descriptors(os.getpid()) == before
    assert open_descriptors(decoder.child_pid) < 16


def test_a_pipe_that_may_not_grow_gives_the_same_samples(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(fd: int, what: int, value: int) -> int:
        raise PermissionError(errno.EPERM, "the user has 64 MiB in pipes")

    monkeypatch.setattr("speechlake.audio.feed.fcntl.fcntl", refused)
    with streamed(decoder, FILES["wav"]) as stream:
        got = whole(stream)
    monkeypatch.undo()
    assert np.array_equal(got, decode_bytes(decoder, FILES["wav"]).samples)


@pytest.mark.parametrize("error", [Lost("DECODER_TIME_OUT", "no answer"), OSError(errno.EMFILE, "full")])
def test_a_stream_that_cannot_begin_gives_its_child_back_and_leaves_no_descriptor(error: Exception) -> None:
    class Refusing:
        def request(self, *_: object) -> None:
            raise error

    lent: list[Any] = []
    back: list[tuple[Any, bool]] = []

    def lend() -> Any:
        lent.append(Refusing())
        return lent[-1]

    fd = os.memfd_create("test")
    before = open_descriptors(os.getpid())
    with pytest.raises((AudioError, OSError)):
        Stream(fd, Limits(), Start(), lend, lambda child, usable: back.append((child, usable)))
    assert open_descriptors(os.getpid()) == before
    assert back == [(child, False) for child in lent]
    os.close(fd)


def test_a_child_that_is_lost_midway_leaves_no_descriptor(fragile: Decoder) -> None:
    decode_bytes(fragile, FILES["wav"])
    before = open_descriptors(os.getpid())
    for _ in range(2):
        with streamed(fragile, b"HALF" + b" " + WAV[5:]) as stream:
            whole(stream)
    assert open_descriptors(os.getpid()) == before


@pytest.mark.slow
def test_an_hour_needs_the_memory_of_a_block_in_the_child() -> None:
    hour = np.zeros((3600 * 16_000, 1), dtype=np.int16)
    with Decoder() as decoder, streamed(decoder, soundfile_bytes(hour, "WAV")) as stream:
        assert sum(len(block) for block in stream) == len(hour)
        stream.close()
        status = Path(f"/proc/{decoder.child_pid}/status").read_text()
    peak_kib = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
    assert peak_kib < 150_000
