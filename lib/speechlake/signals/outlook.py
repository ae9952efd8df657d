"""What a run of extract-signals would measure, how long it would take and cost; nothing is run or written."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from speechlake.job import Report, corpora_of
from speechlake.signals.plan import Wanted, audio_seconds, names_of, unmeasured
from speechlake.signals.rates import Rate, past_rate
from speechlake.signals.rehash import relisted
from speechlake.signals.spread import phases, spread_of
from speechlake.terminal import console, show

if TYPE_CHECKING:
    from pyspark.sql import Row

    from speechlake.lake import Lake


def show_outlook(
    job: str,
    lake: Lake,
    wanted: Sequence[Wanted],
    corpus: str | None,
    price: float | None,
    *,
    given_up: bool = False,
    following: str | None = None,
) -> Report:
    """Print the plan of one corpus or all; `following` is the command that carries it out.

    Times come from what this lake's last run of the same extractors took, else from a guess, which is said. A price
    counts device hours, on CPUs core hours.
    """
    out = console()
    rows: list[list[Any]] = []
    lacking: list[Row] = []
    read = 0
    for name in corpora_of(lake, corpus):
        here = _lacking(lake, name, wanted, given_up)
        rows += _told(name, wanted, here)
        lacking += here
        anew = relisted(lake, name)
        read += anew.count() if anew is not None else 0
    show(out, "To be measured", ["corpus", "extractor", "model", "fingerprint", "utterances", "hours"], rows)
    hours = sum(row.hours for row in lacking)
    seconds, cost, guessed = _foretold(lake, wanted, lacking, price)
    ground = (
        f"at a guess: none of {', '.join(guessed)} ran here yet for long enough"
        if guessed
        else "by what the last run of the same extractors took"
    )
    out.print(f"{hours:.2f} h of audio, about {seconds:,.0f} s on this machine, {ground}")
    if read:
        out.print(
            f"{read} recordings were listed anew: they are read and hashed first, and counted here as if unchanged"
        )
    if cost is not None:
        out.print(f"about {cost:,.2f} at {price:g} per device hour")
    counts = {
        "utterances": sum(row[4] for row in rows),
        "hours": round(hours, 4),
        "relisted": read,
        "predicted_s": round(seconds, 1),
        "predicted_price": None if cost is None else round(cost, 4),
    }
    return Report(job, "planned" if rows or read else "nothing to do", None, counts, following)


def without_plan(job: str, lake: Lake, said: Sequence[str]) -> str:
    """The command that carries out what was planned with the arguments `said`."""
    kept: list[str] = []
    words = iter(said)
    for word in words:
        if word == "--price-per-device-hour":
            next(words)
        elif word != "--plan" and not word.startswith("--price-per-device-hour="):
            kept.append(word)
    named = any(word.partition("=")[0] == "--lake" for word in kept)
    return shlex.join(["speechlake", job, *([] if named else ["--lake", str(lake.root)]), *kept])


def _lacking(lake: Lake, corpus: str, wanted: Sequence[Wanted], given_up: bool) -> list[Row]:
    """(needs, n utterances, hours), one for each set of extractors that something lacks."""
    from pyspark.sql import functions as F

    return (
        unmeasured(lake, corpus, wanted, as_before=True, given_up=given_up)
        .groupBy("needs")
        .agg(F.count("*").alias("n"), (F.sum(audio_seconds()) / 3600).alias("hours"))
        .collect()
    )


def _told(corpus: str, wanted: Sequence[Wanted], lacking: Sequence[Row]) -> list[list[Any]]:
    """A row per extractor that something lacks."""
    rows = []
    for each in wanted:
        mine = [row for row in lacking if each.fingerprint in row.needs]
        if mine:
            told = [corpus, each.name, each.identity.model_id, each.fingerprint]
            rows.append([*told, sum(row.n for row in mine), sum(row.hours for row in mine)])
    return rows


def _foretold(
    lake: Lake, wanted: Sequence[Wanted], lacking: Sequence[Row], price: float | None
) -> tuple[float, float | None, list[str]]:
    """(seconds, price, extractors whose time is a guess) of what is lacking; no price where there is a guess."""
    seconds, cost, guessed = 0.0, 0.0, []
    for phase in phases(wanted):
        own = {each.fingerprint for each in phase}
        hours = sum(row.hours for row in lacking if not own.isdisjoint(row.needs))
        spread = spread_of(lake.spark, phase)
        past = past_rate(lake, phase, on_device=spread.devices > 0) if hours else None
        seconds += hours * 3600 / spread.times_real_time(past)
        if past is not None:
            cost += hours * _charged(past) * (price or 0.0)
        elif hours:
            guessed += names_of(phase)
    return seconds, None if price is None or guessed else cost, guessed


def _charged(took: Rate) -> float:
    """As `questions.cost.charged_seconds`."""
    return took.device_s if took.device_s > 0 else took.cpu_s
