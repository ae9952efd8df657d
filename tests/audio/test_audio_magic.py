"""Containers are told by their first bytes; what only refers to audio is not audio."""

from __future__ import annotations

import os

import pytest
from audio_examples import ffmpeg_bytes, soundfile_bytes, speechlike
from hypothesis import given
from hypothesis import strategies as st

from speechlake.audio.magic import CONTAINERS, id3_bytes, sniff, sniff_file

WRITTEN = [
    ("WAV", "PCM_16", "wav"),
    ("RF64", "PCM_16", "rf64"),
    ("W64", "PCM_16", "w64"),
    ("FLAC", "PCM_16", "flac"),
    ("OGG", "VORBIS", "ogg"),
    ("MP3", "MPEG_LAYER_III", "mp3"),
    ("AIFF", "PCM_16", "aiff"),
    ("AU", "PCM_16", "au"),
    ("NIST", "PCM_16", "sph"),
    ("CAF", "PCM_16", "caf"),
    ("VOC", "PCM_16", "voc"),
]

NOT_AUDIO = [
    ("an HLS playlist", b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:9,\nhttp://169.254.169.254/x.ts\n"),
    ("a concat script", b"ffconcat version 1.0\nfile '/etc/passwd'\n"),
    ("a session description", b"v=0\r\no=- 0 0 IN IP4 10.0.0.1\r\nm=audio 5004 RTP/AVP 0\r\n"),
    ("a DASH manifest", b"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'/>"),
    ("a web page", b"<!DOCTYPE html><html><body>404 Not Found</body></html>"),
    ("an XSPF playlist", b"<playlist version='1' xmlns='http://xspf.org/ns/0/'/>"),
    ("a pls playlist", b"[playlist]\nFile1=http://example.org/stream\n"),
    ("an image", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"),
    ("a video in AVI", b"RIFF\x00\x00\x00\x00AVI LIST"),
    ("an archive", b"PK\x03\x04\x14\x00"),
    ("UTF-16 text", "text, not sound".encode("utf-16")),
    ("bytes of one value", b"\xff" * 64),
    ("nothing", b""),
]


@pytest.mark.parametrize(("container", "subtype", "expected"), WRITTEN)
def test_what_libsndfile_writes_is_recognised(container: str, subtype: str, expected: str) -> None:
    assert sniff(soundfile_bytes(speechlike(0.2), container, subtype)) == expected


@pytest.mark.parametrize(
    ("container", "codec", "expected"),
    [
        ("mp4", "aac", "mp4"),
        ("adts", "aac", "aac"),
        ("webm", "libopus", "webm"),
        ("matroska", "ac3", "matroska"),
        ("asf", "wmav2", "asf"),
    ],
)
def test_what_ffmpeg_writes_is_recognised(container: str, codec: str, expected: str) -> None:
    assert sniff(ffmpeg_bytes(speechlike(0.3, rate_hz=48_000), container, codec, 48_000)) == expected


@pytest.mark.parametrize(("what", "head"), NOT_AUDIO, ids=[what for what, _ in NOT_AUDIO])
def test_what_is_not_audio_is_nothing(what: str, head: bytes) -> None:
    assert sniff(head) is None


@given(st.binary(max_size=64))
def test_any_bytes_are_a_known_container_or_nothing(head: bytes) -> None:
    assert sniff(head) is None or sniff(head) in CONTAINERS


@given(st.binary(max_size=16))
def test_the_length_of_an_id3_tag_is_zero_or_more_than_its_header(head: bytes) -> None:
    assert id3_bytes(b"ID3" + head) == 0 or id3_bytes(b"ID3" + head) >= 10


@pytest.mark.parametrize(
    ("behind", "expected"),
    [
        (b"fLaC\x00", "flac"),
        (b"", None),
        (b"\x00" * 40, None),
        (b"?", "mp3"),
        (b"ID3\x04\x00\x00\x00\x00\x00\x00fLaC", "flac"),
    ],
)
def test_a_file_is_looked_at_behind_its_tags(behind: bytes, expected: str | None) -> None:
    fd = os.memfd_create("tagged")
    os.write(fd, b"ID3\x04\x00\x00\x00\x00\x40\x00" + b"\x00" * 8192 + behind)
    assert sniff_file(fd) == expected
    assert os.lseek(fd, 0, os.SEEK_CUR) == 10 + 8192 + len(behind)
    os.close(fd)
