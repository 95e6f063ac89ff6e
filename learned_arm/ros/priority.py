"""Real-time scheduling of a process, and memory that stays where it is, where the system permits it."""

from __future__ import annotations

import ctypes
import os
import resource
from pathlib import Path

from learned_arm.errors import LearnedArmError

HIGHEST = 99
_THREADS = Path("/proc/self/task")
# From sys/mman.h: what there is and what will be, each page once it was used.
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4


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


def lock_memory() -> None:
    """Keep in memory every page that this process has used, code included.

    A system short of memory, or one that pages out what was not used for a while, would have to read it from the disk
    in mid-motion.

    Raises:
        LearnedArmError: The system does not permit it; nothing has changed then.
    """
    # Under a limit, whatever the process allocates beyond it would fail later on.
    limit_bytes = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    limited = limit_bytes != resource.RLIM_INFINITY and os.geteuid() != 0
    if limited or ctypes.CDLL(None, use_errno=True).mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT):
        raise LearnedArmError(
            "memory cannot be locked",
            where="parameter realtime_priority",
            got=f"a limit of {limit_bytes} bytes" if limited else os.strerror(ctypes.get_errno()),
            allowed="CAP_IPC_LOCK, or `memlock unlimited` in /etc/security/limits.conf (docker: --ulimit memlock=-1)",
        )
