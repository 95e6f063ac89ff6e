"""Real-time scheduling of a process, where the system permits it."""

from __future__ import annotations

import os
from pathlib import Path

from learned_arm.errors import LearnedArmError

HIGHEST = 99
_THREADS = Path("/proc/self/task")


def take_priority(priority: int) -> None:
    """Give every thread of this process the policy SCHED_FIFO; threads that they start later inherit it.

    All of them, because they share the interpreter: a thread that holds it must not be kept waiting by other processes
    while the control loop waits for it.

    Args:
        priority: 1 .. 99, above everything that is not real-time; 0 leaves everything as it is.

    Raises:
        LearnedArmError: The system does not permit it; nothing has changed then.
    """
    if priority == 0:
        return
    wanted = os.sched_param(priority)
    try:
        # The calling thread first: where it may not, no other may.
        os.sched_setscheduler(0, os.SCHED_FIFO, wanted)
        for thread in _THREADS.iterdir():
            os.sched_setscheduler(int(thread.name), os.SCHED_FIFO, wanted)
    except PermissionError as error:
        raise LearnedArmError(
            "real-time priority not permitted",
            where="parameter realtime_priority",
            got=priority,
            allowed="CAP_SYS_NICE, or `rtprio` in /etc/security/limits.conf (docker: --ulimit rtprio=99)",
        ) from error
