"""Edit counts between two sequences of words or characters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

from rapidfuzz.distance import Levenshtein

# 10,000 x 10,000 units, about 0.3 s: beyond it, ties are broken as rapidfuzz does, 35 times faster.
MAX_CELLS = 10**8
# 1,000 x 1,000 units, about a second.
MAX_STEP_CELLS = 10**6
ERROR = 10**4


class Counts(NamedTuple):
    """What became of the reference; a deletion is in the reference only, an insertion in the hypothesis only."""

    hits: int
    substitutions: int
    deletions: int
    insertions: int

    @property
    def reference_length(self) -> int:
        """Units of the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def errors(self) -> int:
        """The Levenshtein distance."""
        return self.substitutions + self.deletions + self.insertions


def edit_counts(reference: Sequence[str], hypothesis: Sequence[str]) -> Counts:
    """Counts of the alignment with the fewest errors and, among those, the fewest substitutions.

    The second condition makes the counts a property of the texts: which of several shortest alignments a
    library returns is its own affair and may change with its version. Exchanging the texts exchanges
    deletions and insertions. Above `MAX_CELLS` only the number of errors is sure to be least.
    """
    left, right = _numbered(reference, hypothesis)
    if len(left) * len(right) > MAX_CELLS:
        return _counts_of_any_alignment(left, right)
    # Each error costs `error`, a substitution 1 more: both minima in one distance, since no alignment has
    # as many as `error` substitutions.
    error = min(len(left), len(right)) + 1
    distance = Levenshtein.distance(left, right, weights=(error, error, error + 1))
    errors, substitutions = divmod(distance, error)
    return _counts(len(left), len(right), errors, substitutions)


# Units of (reference, hypothesis), null where the other has none.
Step = tuple[int | None, int | None]


def edit_steps(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Step]:
    """An alignment with the counts of `edit_counts`, as positions in both, in order.

    Of several the one that pairs units as late as it can, so that it is a property of the texts too. Own code,
    because rapidfuzz tells steps of equal weights only; above `MAX_STEP_CELLS` it tells them all the same.
    """
    left, right = _numbered(reference, hypothesis)
    if len(left) * len(right) > MAX_STEP_CELLS:
        return _steps_of_any_alignment(left, right)
    costs, steps = _costs(left, right), list[Step]()
    i, j = len(left), len(right)
    while i or j:
        paired = costs[i - 1][j - 1] + _pair_cost(left[i - 1], right[j - 1]) if i and j else None
        if paired == costs[i][j]:
            i, j = i - 1, j - 1
            steps.append((i, j))
        elif i and costs[i - 1][j] + ERROR == costs[i][j]:
            i -= 1
            steps.append((i, None))
        else:
            j -= 1
            steps.append((None, j))
    return steps[::-1]


def _costs(left: list[int], right: list[int]) -> list[list[int]]:
    """Least cost of aligning the first i units with the first j, for all i and j."""
    rows = [[ERROR * j for j in range(len(right) + 1)]]
    for i, unit in enumerate(left, start=1):
        above, row = rows[-1], [ERROR * i]
        for j, other in enumerate(right, start=1):
            row.append(min(above[j - 1] + _pair_cost(unit, other), above[j] + ERROR, row[-1] + ERROR))
        rows.append(row)
    return rows


def _pair_cost(unit: int, other: int) -> int:
    """Fewest errors first, then fewest substitutions; no alignment that is told has `ERROR` of these."""
    return 0 if unit == other else ERROR + 1


def _steps_of_any_alignment(left: list[int], right: list[int]) -> list[Step]:
    found: list[Step] = []
    for step in Levenshtein.opcodes(left, right):
        found += zip_longest(
            range(step.src_start, step.src_end), range(step.dest_start, step.dest_end), fillvalue=None
        )
    return found


def error_rate(counts: Counts) -> float | None:
    """Errors per unit of the reference; above 1 where much was inserted, null for an empty reference."""
    return counts.errors / counts.reference_length if counts.reference_length else None


def _numbered(reference: Sequence[str], hypothesis: Sequence[str]) -> tuple[list[int], list[int]]:
    """Units as numbers: rapidfuzz compares hashes, and those of texts differ from process to process."""
    numbers: dict[str, int] = {}
    left = [numbers.setdefault(unit, len(numbers)) for unit in reference]
    return left, [numbers.setdefault(unit, len(numbers)) for unit in hypothesis]


def _counts(reference: int, hypothesis: int, errors: int, substitutions: int) -> Counts:
    """Deletions and insertions follow from their sum and from the difference of the lengths."""
    deletions = (errors - substitutions + reference - hypothesis) // 2
    insertions = errors - substitutions - deletions
    return Counts(reference - substitutions - deletions, substitutions, deletions, insertions)


def _counts_of_any_alignment(reference: list[int], hypothesis: list[int]) -> Counts:
    operations = Levenshtein.editops(reference, hypothesis)
    substitutions = sum(1 for operation in operations if operation.tag == "replace")
    return _counts(len(reference), len(hypothesis), len(operations), substitutions)
