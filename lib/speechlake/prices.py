"""What a device hour costs: said by a flag, or by the environment."""

from __future__ import annotations

import argparse
import math
import os

from speechlake.errors import UsageError

# Names the price of a device hour where no flag does.
PRICE = "SPEECHLAKE_PRICE_PER_DEVICE_HOUR"


def add_price(made: argparse.ArgumentParser) -> None:
    """`--price-per-device-hour`."""
    made.add_argument(
        "--price-per-device-hour",
        type=float,
        metavar="PRICE",
        help=f"price of an accelerator's hour, or of a core's for CPU runs, in any currency [{PRICE}]",
    )


def price_of(said: float | None) -> float | None:
    """The flag, else the environment; null where neither is set, UsageError for what is no price."""
    told: float | str | None = os.environ.get(PRICE) or None if said is None else said
    try:
        price = None if told is None else float(told)
    except ValueError:
        price = math.nan
    if price is not None and not (math.isfinite(price) and price >= 0):
        raise UsageError(f"the price per device hour is {told!r}", hint=f"Set a number, by flag or {PRICE}.")
    return price
