"""Is this machine, and a lake, in order? One function per check, in the order in which they are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from speechlake.health.finding import Finding, Patient, look
from speechlake.health.holders import locks, stages
from speechlake.health.machine import clock, devices, disk, memory
from speechlake.health.software import delta, java, packages, python, spark
from speechlake.health.stored import files, tables, version
from speechlake.health.weights import models

Check = Callable[[Patient], Finding]

CHECKS: tuple[Check, ...] = (python, java, spark, delta, packages, memory, disk, devices, models, clock)
# Only where a lake is named.
LAKE_CHECKS: tuple[Check, ...] = (version, tables, files, locks, stages)


def examined(patient: Patient) -> Iterator[Finding]:
    """Every check's finding; one that fails itself is told, and the others go on."""
    for check in (*CHECKS, *(LAKE_CHECKS if patient.lake is not None else ())):
        try:
            yield check(patient)
        except Exception as error:
            told = f"this check does not work here: {type(error).__name__}: {error}"
            yield look(check.__name__, told, "Say so where speechlake is kept; the other checks count.")
