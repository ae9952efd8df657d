"""Units that tables count in."""

# Lengths are whole milliseconds where hours are summed: sums of doubles depend on their order.
MS_PER_HOUR = 3_600_000
