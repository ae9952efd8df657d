"""What can be wrong with a piece of audio: one table of codes, one exception.

A permanent code becomes the `error` of a signal row and is final for that content; a transient one
becomes a row of `attempts` and is tried again by later runs. The decode child retries by itself once,
in a fresh process, before any of its own codes is reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """What a code means, in one sentence, and whether trying again later may help."""

    sentence: str
    transient: bool = False


CODES: Mapping[str, Code] = {
    # Reaching the bytes.
    "MISSING": Code("There is nothing under this name now; the next listing will say so.", transient=True),
    "NOT_A_FILE": Code("The name leads to a folder, pipe, socket, device or loop of links, not to a file."),
    "OUTSIDE_ROOT": Code("The name leads out of the root of its corpus."),
    "EMPTY": Code("The file holds no bytes."),
    "TOO_LARGE": Code("The file, or what it decodes to, has more bytes than the limits allow."),
    "STORAGE": Code(
        "The storage failed, refused access, or changed the file while it was read.", transient=True
    ),
    # Understanding them.
    "UNSUPPORTED_FORMAT": Code(
        "Its container, judged by its first bytes, or its codec is not one that is read here."
    ),
    "CORRUPT": Code("It begins like audio, but no decoder can read it as its header promises."),
    "NO_AUDIO": Code("The container is sound but yields no sample."),
    "BAD_RATE": Code("The sample rate lies outside the limits."),
    "BAD_CHANNELS": Code("The number of channels is zero or above the limits."),
    "NOT_FINITE": Code("Some sample is NaN or infinite."),
    "TOO_LONG": Code("It decodes to more seconds than the limits allow."),
    # What decoding it did to the decode child, twice in a row.
    "DECODER_CRASHED": Code("Decoding it crashed the decode child."),
    "DECODER_MEMORY": Code("Decoding it needed more memory than the decode child may have."),
    "DECODER_TIME_OUT": Code("Decoding it took longer than its size allows.", transient=True),
    # What the machine did, whatever the file.
    "TIME_OUT": Code("A step on the way took too long.", transient=True),
    "OUT_OF_MEMORY": Code("The machine or device ran out of memory.", transient=True),
    # What was asked of the decoded samples.
    "CHANNEL_MISSING": Code("The recording does not have the channel that was asked for."),
    "INTERVAL_OUTSIDE": Code("The interval is empty, or lies outside the decoded recording."),
}

# What another try in a fresh child may cure; reported only when it happens twice.
TRY_AGAIN = ("DECODER_CRASHED", "DECODER_MEMORY", "DECODER_TIME_OUT", "OUT_OF_MEMORY")


class AudioError(Exception):
    """Audio that cannot be used: `code` is a key of CODES, `detail` says what was seen."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.transient = CODES[code].transient

    def __str__(self) -> str:
        return f"{self.code}: {self.detail or CODES[self.code].sentence}"
