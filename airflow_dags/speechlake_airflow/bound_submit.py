#!/usr/bin/env python3
"""spark-submit that does not outlive its task.

Airflow starts this in the place of spark-submit. A driver in client mode goes on when the process that started
it is killed, and would meet the retry in the lake's locks. Here:

* the death of the task, however it came, is a SIGTERM for this process (prctl, by the kernel);
* a SIGTERM, SIGINT or SIGHUP goes to the whole group of spark-submit: JVM, Python driver, workers;
* who has not ended 30 s later is killed;
* the death of this process itself is a SIGTERM for the JVM, which takes the others along.

Ends with spark-submit's own code, or 128 + the signal that ended it, as a shell does.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1
GRACE_S = 30


def end_with(parent: int) -> None:
    """Be sent SIGTERM when `parent` ends; ends at once where it has ended already."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        os._exit(128 + signal.SIGTERM)


def is_orphan() -> bool:
    """True where the task ended before this process could ask for its number: init or a reaper stands in its place.

    Neither is of the task's session, and the process that runs a task is never a container's first.
    """
    task = os.getppid()
    try:
        return task == 1 or os.getsid(task) != os.getsid(0)
    except ProcessLookupError:
        return True


def signal_group(group: int, number: int) -> None:
    """Send a signal to all that is left of a group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def main(arguments: list[str]) -> int:
    """Run spark-submit as a group of its own until it ends or has to."""
    end_with(os.getppid())
    if is_orphan():
        return 128 + signal.SIGTERM
    me = os.getpid()
    command = [os.path.join(os.environ["SPARK_HOME"], "bin", "spark-submit"), *arguments]  # noqa: PTH118
    process = subprocess.Popen(command, start_new_session=True, preexec_fn=lambda: end_with(me))
    ended = False

    def end(*_: object) -> None:
        nonlocal ended
        ended = True
        signal_group(process.pid, signal.SIGTERM)
        signal.alarm(GRACE_S)

    signal.signal(signal.SIGALRM, lambda *_: signal_group(process.pid, signal.SIGKILL))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    code = process.wait()
    if ended:
        # The JVM is gone; workers that did not notice hold memory and devices.
        signal_group(process.pid, signal.SIGKILL)
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
