"""Real-time priority: every thread has it, or the system forbids it in one line."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import os, threading
from learned_arm.errors import LearnedArmError
from learned_arm.ros.priority import take_priority
ending = threading.Event()
threading.Thread(target=ending.wait, daemon=True).start()
{before}
try:
    take_priority({priority})
except LearnedArmError as error:
    print(error)
print({{os.sched_getscheduler(int(each)) for each in os.listdir("/proc/self/task")}})
"""


def _run(priority: int, before: str = "") -> str:
    script = SCRIPT.format(priority=priority, before=before)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout


def test_zero_changes_nothing() -> None:
    assert _run(0) == "{0}\n"


def test_every_thread_gets_it_or_the_error_says_what_to_do() -> None:
    told = _run(1)
    assert told == "{1}\n" or ("not permitted" in told and "rtprio" in told and told.endswith("{0}\n"))


def test_without_permission_nothing_changes() -> None:
    drop = "import resource; resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0)); os.setuid(65534)"
    try:
        told = _run(1, drop)
    except subprocess.CalledProcessError:
        pytest.skip("only root may become somebody else")
    assert "not permitted" in told and told.endswith("{0}\n")


LOCKING = """
import os, resource
from learned_arm.errors import LearnedArmError
from learned_arm.ros.priority import lock_memory
{before}
try:
    lock_memory()
except LearnedArmError as error:
    print(error)
kept = bytearray(5_000_000)
locked_kb = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmLck"))
print(locked_kb > 5000)
"""


def _lock(before: str = "") -> str:
    script = LOCKING.format(before=before)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout


def test_memory_is_locked_or_the_error_says_what_to_do() -> None:
    told = _lock()
    assert told == "True\n" or ("cannot be locked" in told and "memlock" in told and told.endswith("False\n"))


def test_a_process_under_a_limit_is_not_locked() -> None:
    limit = "resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536)); os.setuid(65534)"
    try:
        told = _lock(limit)
    except subprocess.CalledProcessError:
        pytest.skip("only root may become somebody else")
    assert "cannot be locked" in told and told.endswith("False\n")
