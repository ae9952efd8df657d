"""What both readers share: what a file says of itself, and how a reader declines."""

from __future__ import annotations

from dataclasses import dataclass


class Refused(Exception):
    """A reader cannot read this file; the other may try."""


@dataclass(frozen=True)
class Header:
    """What the file says of itself; `duration_s` is None where it claims no length."""

    container: str
    codec: str
    duration_s: float | None
