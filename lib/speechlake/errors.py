"""What can go wrong, and with which exit code a job ends.

    SpeechlakeError                 5  internal, or a table that cannot be read
    +-- UsageError                  2  arguments or configuration; `ConfigError` names file and field
    |   +-- ConfigError
    |   +-- ModelError                 a model that cannot be had, or is not what its sha256 says
    |   +-- TableMismatch              a table and its contract differ
    |   +-- LakeMismatch               a lake is older or newer than this code
    |   +-- TableDamaged               a file of a table is gone: no other try will find it
    +-- Refused                     3  a quality or leak gate said no
    |   +-- TooManyRejected
    |   +-- LeakFound
    |   +-- ReleaseDiffers             a published release is not what it was
    |   +-- BuildRefused               nothing is known to leak, but a limit is passed or audio is not compared
    +-- Conflict                    4  worth trying again
    |   +-- Busy                       another run holds the job and scope
    |   +-- Overtaken                  another driver wrote in our place
    +-- AudioChanged                5  a file is not what the release recorded
    +-- DiskFull                    5  worth trying again once there is room
    +-- ChunkFailed                 5  nearly all clips failed: worth trying again once device or store works
    +-- DeviceFailed                5  a device or its driver is broken: a fresh worker tries, then an operator looks
    +-- NoSpark                     5  worth trying again once the cluster answers
    +-- NoStore                     5  worth trying again once the store answers
    +-- NoHub                       5  worth trying again once the hub of models answers

Every message names the table, key, file or field, what was found, what was expected, what to do.
"""

from __future__ import annotations


class SpeechlakeError(Exception):
    """Base of all errors of this package. `hint` says what to do next."""

    exit_code = 5

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        head = f"{type(self).__name__}: {self.message}"
        return f"{head}\n  {self.hint}" if self.hint else head


class UsageError(SpeechlakeError):
    """Arguments that cannot be carried out."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration file that is not valid."""


class ModelError(UsageError):
    """A model that cannot be found, or whose weights are not the expected ones."""


class TableMismatch(UsageError):
    """A table or frame differs from its contract."""


class LakeMismatch(UsageError):
    """A lake is of an older or newer version of the contracts than this code."""


class TableDamaged(UsageError):
    """A file of a table is not there, or cannot be read; a person has to mend it."""


class Refused(SpeechlakeError):
    """A quality or leak gate said no; nothing but the finding was written."""

    exit_code = 3


class TooManyRejected(Refused):
    """More lines of a manifest were refused than allowed, or none was accepted."""


class LeakFound(Refused):
    """Something sits on two sides of a split; the build was not published."""


class ReleaseDiffers(Refused):
    """Rows, sides or files of a release are not what was published."""


class BuildRefused(Refused):
    """A build passes a limit of its policy, such as how much of train may be excluded for its texts, or holds
    audio whose copies nobody has looked for yet."""


class Conflict(SpeechlakeError):
    """Another writer was in the way; the same command may succeed later."""

    exit_code = 4


class Busy(Conflict):
    """Another run of the same job and scope is under way."""


class Overtaken(Conflict):
    """Another driver wrote in this one's place; nothing of ours was lost or doubled."""


class DiskFull(SpeechlakeError):
    """There was no room for what a job writes; what had landed stays, and the same command goes on from there."""


class ChunkFailed(SpeechlakeError):
    """A model, or what holds the audio, failed on nearly all of a chunk; what was measured stays, no clip is blamed."""


class DeviceFailed(SpeechlakeError):
    """A device or a model's process is broken. The worker that raises it ends, and nothing of its task is written."""


class NoSpark(SpeechlakeError):
    """Java runs, and Spark did not start in it: mostly a master that does not answer."""


class NoStore(SpeechlakeError):
    """The store of a lake does not answer, or says that it cannot at the moment."""


class NoHub(SpeechlakeError):
    """The hub that has a model does not answer, or says that it cannot at the moment."""


class AudioChanged(SpeechlakeError):
    """A file's content is not what the release recorded."""
