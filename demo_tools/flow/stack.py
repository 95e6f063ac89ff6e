"""Nodes as separate processes on one DDS domain, ended by id."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from demo_tools.flow.domains import lock_of
from learned_arm.errors import LearnedArmError
from learned_arm.ros import transport

NODES = {
    "sim_arm_node": "demo_tools.simulation.node",
    "arm_node": "arm_control.arm_node",
    "teleop_node": "arm_control.teleop_node",
    "recorder_node": "data_recorder.node",
    "scripted_expert_node": "demo_tools.simulation.expert_node",
    "replay_node": "demo_tools.replay.node",
    "policy_node": "learned_policy_node.node",
}
_PATIENCE_S = 5.0
_LAST_LINES = 3


class Stack:
    """Processes that belong together; leaving the `with` block ends them.

    Args:
        domain_id: ROS_DOMAIN_ID of all of them.
        logs: Folder for one log file a node.
    """

    def __init__(self, domain_id: int, logs: Path) -> None:
        self.domain_id = domain_id
        self._logs = logs
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        logs.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Stack:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, node: str, parameters: Mapping[str, Any]) -> None:
        """Start a node of `NODES` with its parameters."""
        argv = [sys.executable, "-m", NODES[node], "--ros-args"]
        for name, value in parameters.items():
            argv += ["-p", f"{name}:={_as_yaml(value)}"]
        environment = transport.environment(self.domain_id)
        # One thread a node: on few cores, pools of idle threads only take turns away from the others.
        environment.setdefault("OMP_NUM_THREADS", "1")
        with (self._logs / f"{node}.log").open("ab") as log:
            self._processes[node] = subprocess.Popen(
                argv,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=lock_of(self.domain_id),
            )

    def check(self) -> None:
        """Raise when a node has ended on its own, with the end of its log."""
        for node, process in self._processes.items():
            if process.poll() is not None:
                lines = (self._logs / f"{node}.log").read_text(errors="replace").strip().splitlines()[-_LAST_LINES:]
                raise LearnedArmError(
                    f"{node} ended with status {process.returncode}", got=" | ".join(lines) or "no output"
                )

    def stop(self) -> None:
        """End every process: SIGINT, then SIGTERM, then SIGKILL, each with a bounded wait."""
        for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            running = [each for each in self._processes.values() if each.poll() is None]
            for process in running:
                os.kill(process.pid, signal_number)
            deadline_s = time.monotonic() + _PATIENCE_S
            for process in running:
                try:
                    process.wait(max(deadline_s - time.monotonic(), 0.01))
                except subprocess.TimeoutExpired:
                    continue
        self._processes.clear()


def _as_yaml(value: Any) -> str:
    """A parameter value as `--ros-args -p` reads it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | Path):
        return f'"{value}"'
    return str(value)
