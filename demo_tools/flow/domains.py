"""DDS domains that nobody else on this machine works in: two simulations in one would drive each other's arms."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from learned_arm.errors import LearnedArmError

# DDS maps a domain to UDP ports; 0 to 101 are safe on every system, and 0 belongs to the user.
DOMAINS = range(10, 90)


_locks: dict[int, int] = {}


def lock_of(domain_id: int) -> tuple[int, ...]:
    """The lock of a domain that this process holds, for `pass_fds` of the processes that it starts there.

    They outlive it where it is killed, and go on driving the arm of their domain: it is free once they have ended too.
    """
    return (_locks[domain_id],) if domain_id in _locks else ()


@contextmanager
def held_domain(domains: Sequence[int] = DOMAINS) -> Iterator[int]:
    """A ROS_DOMAIN_ID that no other process holds; it is given back at the end, also of a process that is killed.

    Whoever was handed `lock_of` it holds it too.

    Args:
        domains: To choose from; the first that is free is taken.

    Raises:
        LearnedArmError: All are taken.
    """
    for domain_id in domains:
        path = Path(tempfile.gettempdir()) / f"learned_arm_domain_{domain_id}.lock"
        try:
            lock = path.open("a")
        except PermissionError:
            # Another user's, who has it or has had it.
            continue
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            _locks[domain_id] = lock.fileno()
            try:
                yield domain_id
            finally:
                del _locks[domain_id]
            return
    taken = f"{domains[0]} to {domains[-1]}"
    raise LearnedArmError("every DDS domain is taken", got=taken, allowed="fewer runs at once")
