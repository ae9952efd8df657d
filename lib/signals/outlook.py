"""What a run of extract-signals would measure, how long it would take and cost; nothing is run or written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from speechlake.job import Report, corpora_of
from speechlake.signals.plan import Wanted, audio_seconds, unmeasured
from speechlake.signals.rates import Rate, past_rate
from speechlake.signals.rehash import relisted
from speechlake.signals.spread import spread_of
from speechlake.terminal import console, show

if TYPE_CHECKING:
    from speechlake.lake import Lake


def show_outlook(
    job: str,
    lake: Lake,
    wanted: Sequence[Wanted],
    corpus: str | None,
    price: float | None,
    *,
    given_up: bool = False,
) -> Report:
    """Print the plan of one corpus or all.

    Times come from this lake's last run of the same extractors, else from a guess, which is said. A price
    counts device hours, on CPUs core hours.
    """
    out = console()
    rows: list[list[Any]] = []
    hours, read = 0.0, 0
    for name in corpora_of(lake, corpus):
        lacking, more = _lacking(lake, name, wanted, given_up)
        rows, hours = rows + lacking, hours + more
        anew = relisted(lake, name)
        read += anew.count() if anew is not None else 0
    show(out, "To be measured", ["corpus", "extractor", "model", "fingerprint", "utterances", "hours"], rows)
    rate = past_rate(lake, [w.fingerprint for w in wanted])
    seconds, cost = _foretold(hours, rate, spread_of(lake.spark, wanted).guess, price)
    ground = "as the last run of the same extractors" if rate else "at a guess: none of these ran here yet"
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
    return Report(
        job,
        "planned" if rows or read else "nothing to do",
        None,
        counts,
        f"speechlake {job} --lake {lake.root}",
    )


def _lacking(
    lake: Lake, corpus: str, wanted: Sequence[Wanted], given_up: bool
) -> tuple[list[list[Any]], float]:
    """A row per extractor that lacks something, and the hours that lack any."""
    from pyspark.sql import functions as F

    # As many rows as there are sets of extractors that something lacks.
    sums = (
        unmeasured(lake, corpus, wanted, as_before=True, given_up=given_up)
        .groupBy("needs")
        .agg(F.count("*").alias("n"), (F.sum(audio_seconds()) / 3600).alias("hours"))
        .collect()
    )
    rows = []
    for each in wanted:
        mine = [row for row in sums if each.fingerprint in row.needs]
        if mine:
            told = [corpus, each.name, each.identity.model_id, each.fingerprint]
            rows.append([*told, sum(row.n for row in mine), sum(row.hours for row in mine)])
    return rows, sum(row.hours for row in sums)


def _foretold(
    hours: float, rate: Rate | None, guess: float, price: float | None
) -> tuple[float, float | None]:
    """(seconds, price) of so many hours; without a rate a guess of seconds and no price."""
    if rate is None:
        return hours * 3600 / guess, None
    # As `questions.cost.charged_seconds`.
    used = rate.device_s if rate.device_s > 0 else rate.cpu_s
    return hours * 3600 / rate.times_real_time, None if price is None else price * hours * used
