"""Child processes of a benchmark: on its own DDS domain, with the shipped transport profile, ended by id."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from demo_tools.flow.domains import held_domain, lock_of
from learned_arm.errors import LearnedArmError
from learned_arm.ros import transport

_PATIENCE_S = 5.0
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
# Held until the process ends.
_HELD = ExitStack()


def own_domain() -> int:
    """A ROS_DOMAIN_ID for this process and its children; one that the user has set stays."""
    if "ROS_DOMAIN_ID" in os.environ:
        return int(os.environ["ROS_DOMAIN_ID"])
    return _HELD.enter_context(held_domain())


def join_domain(domain_id: int, put: Callable[[str, str], object] = os.environ.__setitem__) -> None:
    """Give this process the environment that its children get, variable by variable; call it before rclpy.init."""
    for name, value in transport.environment(domain_id).items():
        put(name, value)


class Processes:
    """Leaving the `with` block ends every process that was started.

    Args:
        domain_id: ROS_DOMAIN_ID of all.
        logs: Existing folder for their output.
        variables: More of their environment.
    """

    def __init__(self, domain_id: int, logs: Path, **variables: str) -> None:
        self._environment = transport.environment(domain_id) | {"OMP_NUM_THREADS": "1"} | variables
        self._logs, self._lock = logs, lock_of(domain_id)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._processes):
            self.stop(name)

    def start(self, module: str, *arguments: str, name: str = "", cpu: int | None = None) -> int:
        """Run a module in a process of its own, on one CPU where that is given; returns its id.

        Args:
            module: What is run.
            arguments: Of its command line.
            name: What it is called by here; by default its module.
            cpu: The only processor that it may use.
        """
        pid = self.run([sys.executable, "-m", module, *arguments], name or module)
        if cpu is not None:
            # Long before it starts a thread: those inherit it.
            os.sched_setaffinity(pid, {cpu})
        return pid

    def run(self, argv: list[str], name: str) -> int:
        """Run a program in a process of its own; returns its id."""
        with (self._logs / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                argv,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=self._lock,
            )
        return self._processes[name].pid

    def signal(self, name: str, number: int) -> None:
        """Send a signal to one process."""
        os.kill(self._processes[name].pid, number)

    def ended(self, name: str) -> bool:
        """Whether a process has ended."""
        return self._processes[name].poll() is not None

    def wait(self, name: str, timeout_s: float) -> int:
        """Wait for a process that ends by itself or was killed, and forget it; its status, negative for a signal."""
        status = self._processes[name].wait(timeout_s)
        del self._processes[name]
        return status

    def check(self) -> None:
        """Raise when a process has ended on its own."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                text = (self._logs / f"{name}.log").read_text(errors="replace").strip()
                raise LearnedArmError(f"{name} ended with status {process.returncode}", got=text[-180:] or "no output")

    def stop(self, name: str) -> None:
        """End one process."""
        process = self._processes.pop(name)
        # One that was stopped by a signal ends only when it goes on.
        process.send_signal(signal.SIGCONT)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if process.poll() is not None:
                return
            os.kill(process.pid, number)
            try:
                process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                continue


class CpuMeter:
    """CPU time that a process has used since the meter was made, all its threads together, and its memory."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._start_s, self._start_cpu_s = time.monotonic(), self._cpu_s()

    def share(self) -> float:
        """Share of one core."""
        return (self._cpu_s() - self._start_cpu_s) / (time.monotonic() - self._start_s)

    def memory_mb(self) -> float:
        """Memory that is its own, MB of 10^6: without what it shares with others, as DDS segments."""
        lines = Path(f"/proc/{self._pid}/status").read_text().splitlines()
        fields = {line.split(":")[0]: line.split()[1] for line in lines if line.endswith("kB")}
        return int(fields["RssAnon"]) * 1024 / 1e6

    def _cpu_s(self) -> float:
        # The name in field 2 may hold spaces; the fields are counted behind its closing bracket.
        fields = Path(f"/proc/{self._pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND
