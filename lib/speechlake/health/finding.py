"""What a check of the doctor's says: fine, worth a look, or to be mended, and how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from speechlake.locks import local_folder

State = Literal["fine", "look", "mend"]
# What is worse stands later.
STATES: tuple[State, ...] = ("fine", "look", "mend")


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, how it is, and what to do where it is not fine."""

    check: str
    state: State
    found: str
    fix: str = ""


@dataclass(frozen=True)
class Patient:
    """What is looked at: this machine, and a lake where one is named."""

    lake: str | None = None

    @property
    def folder(self) -> Path | None:
        """The lake's folder where it lies on this machine's disks."""
        if self.lake is None or ("://" in self.lake and not self.lake.startswith("file://")):
            return None
        return local_folder(self.lake).expanduser().absolute()


def fine(check: str, found: str) -> Finding:
    """Nothing to do."""
    return Finding(check, "fine", found)


def look(check: str, found: str, fix: str) -> Finding:
    """Jobs run, but a person should know."""
    return Finding(check, "look", found, fix)


def mend(check: str, found: str, fix: str) -> Finding:
    """Jobs fail, or will."""
    return Finding(check, "mend", found, fix)


def together(check: str, findings: list[Finding], otherwise: str) -> Finding:
    """One line of several: the worst state, what is not fine with its fixes; `otherwise` where all is fine."""
    wrong = [each for each in findings if each.state != "fine"]
    if not wrong:
        return fine(check, otherwise)
    worst = max((each.state for each in wrong), key=STATES.index)
    found = "; ".join(each.found for each in wrong)
    return Finding(check, worst, found, " ".join(dict.fromkeys(each.fix for each in wrong if each.fix)))
