"""How a chunk is spread over cores and devices, in which order, and how long it is expected to take."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from batch_fakes import Hears

from speechlake.signals import Audio, Speech
from speechlake.signals.plan import Wanted, wanted_of
from speechlake.signals.rates import Rate
from speechlake.signals.spread import BASE_BYTES, Spread, _guess, phases
from speechlake.signals.whisper import Whisper

CHUNKS = [
    # recordings in a chunk, tasks
    (100, 12),
    (12, 12),
    (5, 5),
    (0, 1),
]
GUESS = Rate(0.25, 0.0)


@pytest.mark.parametrize(("recordings", "tasks"), CHUNKS)
def test_a_chunk_has_no_more_tasks_than_recordings(recordings: int, tasks: int) -> None:
    assert Spread(12, 1, 2, 0, GUESS).over(recordings) == Spread(tasks, 1, 2, 0, GUESS)


RATES = [
    # cores, devices, what a second of audio took; × real time
    (2, 0, None, 8.0),
    (2, 0, Rate(0.1, 0.0), 20.0),
    (16, 0, Rate(0.1, 0.0), 160.0),
    (16, 1, Rate(0.008, 0.0005), 1000.0),
    (16, 2, Rate(0.008, 0.001), 1000.0),
]


@pytest.mark.parametrize(("cores", "devices", "past", "times"), RATES)
def test_what_audio_took_of_cores_and_devices_says_how_fast_others_will_be(
    cores: int, devices: int, past: Rate | None, times: float
) -> None:
    assert Spread(1, 1, cores, devices, GUESS).times_real_time(past) == pytest.approx(times)


def told(groups: Sequence[Sequence[Wanted]]) -> list[list[str]]:
    return [[each.name for each in group] for group in groups]


def test_what_needs_no_device_is_measured_before_what_does() -> None:
    assert told(phases(wanted_of([Audio(), Hears(device="cuda"), Speech()]))) == [
        ["audio", "speech"],
        ["whisper"],
    ]
    assert told(phases(wanted_of([Audio(), Hears(device="cpu")]))) == [["audio", "whisper"]]
    assert told(phases(wanted_of([Hears(device="cuda")]))) == [["whisper"]]


def test_a_first_guess_is_cautious_with_larger_models(monkeypatch: pytest.MonkeyPatch) -> None:
    def guess(device: str) -> Rate:
        return _guess(wanted_of([Whisper(device=device)]))

    base = guess("cuda")
    assert (base.cpu_s, base.device_s) == (0.0, pytest.approx(1 / 1500, rel=0.01))
    on_cpu = guess("cpu").cpu_s
    assert _guess(wanted_of([Audio(), Speech()])).cpu_s < on_cpu
    monkeypatch.setattr(Whisper, "weights_bytes", 20 * BASE_BYTES)
    assert guess("cuda").device_s == pytest.approx(20 / 1500)
    assert guess("cpu").cpu_s == pytest.approx(20 * on_cpu, rel=0.01)
