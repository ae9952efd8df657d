"""The two readers: libsndfile first (14-67 times faster on short files), FFmpeg for the rest.

Both stream blocks into a Sink and scale integers alike (full scale is 1, int16 / 32768), so that the
same samples in wav, flac and alac give equal floats. They run in the decode child only.
"""

from __future__ import annotations

import os

from speechlake.audio.by_ffmpeg import read_ffmpeg
from speechlake.audio.by_soundfile import STREAMS, read_soundfile
from speechlake.audio.claims import Claim, claim
from speechlake.audio.errors import AudioError
from speechlake.audio.magic import CONTAINERS, sniff_file
from speechlake.audio.reading import Header, Refused
from speechlake.audio.sink import Sink


def read(fd: int, sink: Sink) -> Header:
    """Decode the file behind `fd` from its start into `sink`; AudioError when it cannot be used."""
    if os.fstat(fd).st_size == 0:
        raise AudioError("EMPTY")
    container = sniff_file(fd)
    if container is None:
        raise AudioError("UNSUPPORTED_FORMAT", f"begins with {os.pread(fd, 16, 0).hex(' ')}")
    claimed = claim(fd, container)
    if claimed and claimed.sample_rate_hz is not None and claimed.channels is not None:
        sink.begin(claimed.sample_rate_hz, claimed.channels)
    header = _first_that_reads(fd, container, sink, claimed)
    if sink.frames == 0:
        raise AudioError("NO_AUDIO", f"{header.codec} in {container}")
    return header


def _first_that_reads(fd: int, container: str, sink: Sink, claimed: Claim | None) -> Header:
    refusals = []
    for wanted, reader in (
        (CONTAINERS[container].soundfile, _read_soundfile),
        (CONTAINERS[container].ffmpeg, read_ffmpeg),
    ):
        if not wanted:
            continue
        sink.rewind()
        os.lseek(fd, 0, os.SEEK_SET)
        try:
            return reader(fd, container, sink, claimed)
        except Refused as refused:
            refusals.append(str(refused))
    raise AudioError("CORRUPT", "; ".join(refusals)[:300])


def _read_soundfile(fd: int, container: str, sink: Sink, claimed: Claim | None) -> Header:
    """As `read_soundfile`; before a sink that cannot take anything back, in rehearsal.

    Only at the end of a compressed stream it shows whether libsndfile reads all of it.
    """
    rehearsal = sink.rehearsal()
    if rehearsal is not None and container in STREAMS:
        read_soundfile(fd, container, rehearsal, claimed)
        os.lseek(fd, 0, os.SEEK_SET)
    return read_soundfile(fd, container, sink, claimed)
