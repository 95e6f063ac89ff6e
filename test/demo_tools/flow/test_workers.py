"""A command that is asked to end takes its nodes with it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from learned_arm.ros import transport
from test.launched import until

pytestmark = [pytest.mark.ros, pytest.mark.unhurried]
NODES = 3


def children(pid: int) -> set[int]:
    """Processes that a process has started, from any of its threads."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        found |= {int(child) for child in (task / "children").read_text().split()}
    return found


def ends_with_its_nodes(command: Any, number: int, status: int) -> None:
    """It has nodes, and none of them any more once it was asked to end."""
    assert until(lambda: len(children(command.popen.pid)) >= NODES, 60.0), command.output()
    nodes = children(command.popen.pid)
    os.kill(command.popen.pid, number)
    assert command.wait(60.0) == status, command.output()
    assert not [node for node in nodes if Path(f"/proc/{node}").exists()]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_asked_to_end_a_command_ends_its_nodes_and_does_not_finish_its_work(
    number: int, status: int, spawn: Any, tmp_path: Path
) -> None:
    record = ("record", "--episodes", "50", "--workers", "1", "--out", str(tmp_path / "run"))
    command = spawn(sys.executable, "-c", _COMMAND, *record, env=transport.environment(), name="record")
    ends_with_its_nodes(command, number, status)


def test_so_does_a_benchmark(spawn: Any) -> None:
    command = spawn(sys.executable, "-m", "benchmarks.recorder_load", "60", env=transport.environment(), name="load")
    ends_with_its_nodes(command, signal.SIGTERM, 143)


# What runs in the background of a shell has been told to ignore SIGINT.
_COMMAND = """
import signal
from demo_tools.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
raise SystemExit(main())
"""
