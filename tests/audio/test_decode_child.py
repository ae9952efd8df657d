"""Whatever a file does to the decode child, the worker gets a code and decodes the next file."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from audio_examples import decode_bytes, open_descriptors, soundfile_bytes, speechlike

import speechlake
from speechlake.audio.decoder import Decoder
from speechlake.audio.errors import AudioError
from speechlake.audio.limits import Limits
from speechlake.audio.process import child_environment
from speechlake.errors import SpeechlakeError

GOOD = soundfile_bytes(speechlike(1.0), "WAV")
BAD_CHILD = [sys.executable, str(Path(__file__).parent / "bad_child.py")]
IMPATIENT = Limits(base_s=0.5)
NARROW = Limits(memory_bytes=1 << 26, max_decoded_bytes=1 << 26)


@pytest.fixture(scope="module")
def fragile() -> Iterator[Decoder]:
    """A decoder whose child does what the first word of a file says."""
    with Decoder(BAD_CHILD) as decoder:
        yield decoder


MISCHIEF = [
    (b"CRASH now", NARROW, "DECODER_CRASHED", False),
    (b"HANG for ever", IMPATIENT, "DECODER_TIME_OUT", True),
    (b"SPIN for ever", IMPATIENT, "DECODER_TIME_OUT", True),
    (b"EAT all memory", NARROW, "DECODER_MEMORY", False),
    (b"FLOOD the samples", NARROW, "TOO_LARGE", False),
    (b"LIE about the samples", NARROW, "DECODER_CRASHED", False),
    (b"KILLED from outside", NARROW, "OUT_OF_MEMORY", True),
]


@pytest.mark.parametrize(
    ("data", "limits", "code", "transient"), MISCHIEF, ids=[m[0].decode() for m in MISCHIEF]
)
def test_mischief_ends_as_a_code_and_the_next_file_decodes(
    fragile: Decoder, data: bytes, limits: Limits, code: str, transient: bool
) -> None:
    with pytest.raises(AudioError) as caught:
        decode_bytes(fragile, data, limits)
    assert (caught.value.code, caught.value.transient) == (code, transient)
    assert decode_bytes(fragile, GOOD).duration_s == 1.0


def test_what_a_crashing_child_said_last_is_in_the_detail(fragile: Decoder) -> None:
    with pytest.raises(AudioError, match=r"signal 11, Segmentation fault.*last words"):
        decode_bytes(fragile, b"CRASH now")


def test_a_file_that_fails_once_is_tried_again_in_a_fresh_child(fragile: Decoder) -> None:
    assert decode_bytes(fragile, b"ONCE" + b" " + GOOD[5:]).duration_s == 1.0


def test_a_child_killed_while_it_decodes_is_replaced_within_the_same_call() -> None:
    with Decoder(BAD_CHILD) as decoder:
        decode_bytes(decoder, GOOD)
        first = decoder.child_pid
        assert first is not None
        fd = os.memfd_create("test")
        os.write(fd, b"HANG for ever")

        def kill_then_mend() -> None:
            time.sleep(0.3)
            os.pwrite(fd, GOOD, 0)
            os.kill(first, signal.SIGKILL)

        killer = threading.Thread(target=kill_then_mend)
        killer.start()
        assert decoder.decode(fd).duration_s == 1.0
        killer.join()
        assert decoder.child_pid != first
        os.close(fd)


def test_a_child_killed_between_two_files_is_not_held_against_the_next(decoder: Decoder) -> None:
    decode_bytes(decoder, GOOD)
    assert decoder.child_pid is not None
    os.kill(decoder.child_pid, signal.SIGKILL)
    assert decode_bytes(decoder, GOOD).duration_s == 1.0


def test_one_child_serves_many_files_and_is_replaced_when_it_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speechlake.audio.decoder.REQUESTS_PER_CHILD", 3)
    pids = []
    with Decoder() as decoder:
        for _ in range(4):
            decode_bytes(decoder, GOOD)
            pids.append(decoder.child_pid)
    assert pids[0] == pids[1] == pids[2] != pids[3]


def test_a_decoder_outlives_the_thread_that_started_its_child() -> None:
    with Decoder() as decoder:
        thread = threading.Thread(target=decode_bytes, args=(decoder, GOOD))
        thread.start()
        thread.join()
        assert decode_bytes(decoder, GOOD).duration_s == 1.0


def test_threads_may_share_a_decoder(decoder: Decoder) -> None:
    lengths: list[int] = []
    files = [soundfile_bytes(speechlike(0.1 * n), "FLAC") for n in range(1, 9)]
    threads = [
        threading.Thread(target=lambda data=data: lengths.append(len(decode_bytes(decoder, data).samples)))
        for data in files
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(lengths) == [1600 * n for n in range(1, 9)]


def test_no_descriptor_is_left_open(decoder: Decoder) -> None:
    decode_bytes(decoder, GOOD)
    gc.collect()
    before = open_descriptors(os.getpid())
    for _ in range(20):
        decode_bytes(decoder, GOOD)
        with pytest.raises(AudioError):
            decode_bytes(decoder, b"not audio")
    assert open_descriptors(os.getpid()) == before
    assert open_descriptors(decoder.child_pid) < 16


def test_a_collected_decoder_takes_its_child_along() -> None:
    decoder = Decoder()
    decode_bytes(decoder, GOOD)
    pid = decoder.child_pid
    assert pid is not None
    del decoder
    gc.collect()
    assert not _runs(pid)


def test_an_installation_that_cannot_decode_is_not_blamed_on_the_file() -> None:
    with (
        Decoder([sys.executable, "-c", "import a_module_that_is_not_there"]) as broken,
        pytest.raises(SpeechlakeError, match="a_module_that_is_not_there"),
    ):
        decode_bytes(broken, GOOD)


def test_the_child_sees_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with Decoder() as decoder:
        decode_bytes(decoder, GOOD)
        environment = Path(f"/proc/{decoder.child_pid}/environ").read_bytes()
    assert b"PYTHONPATH=" in environment
    assert b"secret" not in environment


# --- in processes of their own ---------------------------------------------------------------------

PRELUDE = """
import os, sys, time
from speechlake.audio.decoder import Decoder
def decode(decoder):
    with open(sys.argv[1], "rb") as file:
        return decoder.decode(file.fileno()).duration_s
decoder = Decoder()
assert decode(decoder) == 1.0
"""


def _python(script: str, audio: Path, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PRELUDE + script, str(audio)]
    return subprocess.Popen(
        command, env={**child_environment(), **environment}, stdout=subprocess.PIPE, text=True, cwd="/"
    )


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A sound file of one second."""
    path = tmp_path / "good.wav"
    path.write_bytes(GOOD)
    return path


def test_the_child_of_a_killed_worker_ends(good: Path) -> None:
    with _python("print(decoder.child_pid, flush=True); time.sleep(60)", good) as worker:
        assert worker.stdout is not None
        pid = int(worker.stdout.readline())
        assert _runs(pid)
        worker.kill()
    for _ in range(100):
        if not _runs(pid):
            break
        time.sleep(0.1)
    assert not _runs(pid)


def test_a_fork_of_the_worker_starts_its_own_child_and_leaves_ours(good: Path) -> None:
    script = """
ours = decoder.child_pid
if os.fork() == 0:
    assert decode(decoder) == 1.0 and decoder.child_pid != ours
    decoder.close()
    os._exit(0)
assert os.wait()[1] == 0
assert decode(decoder) == 1.0 and decoder.child_pid == ours
"""
    with _python(script, good) as worker:
        assert worker.wait() == 0


def test_the_child_runs_from_the_zip_that_spark_ships(good: Path, tmp_path: Path) -> None:
    library = Path(speechlake.__file__).parent
    with zipfile.ZipFile(tmp_path / "speechlake.zip", "w") as shipped:
        for name in (
            "__init__.py",
            "errors.py",
            *(f"audio/{p.name}" for p in (library / "audio").glob("*.py")),
        ):
            shipped.write(library / name, f"speechlake/{name}")
    path = os.pathsep.join([str(tmp_path / "speechlake.zip"), child_environment()["PYTHONPATH"]])
    script = """
import speechlake
assert ".zip/" in speechlake.__file__, speechlake.__file__
assert b".zip:" in open(f"/proc/{decoder.child_pid}/environ", "rb").read()
"""
    with _python(script, good, PYTHONPATH=path) as worker:
        assert worker.wait() == 0


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_samples_survive_the_child_that_wrote_them(fragile: Decoder) -> None:
    samples = decode_bytes(fragile, GOOD).samples
    kept = samples.copy()
    with pytest.raises(AudioError):
        decode_bytes(fragile, b"CRASH now")
    assert np.array_equal(samples, kept)
