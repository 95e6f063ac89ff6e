"""Shared fixtures: DDS domains of one's own, processes that end, a limit of time on every test."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from demo_tools.flow.domains import held_domain, lock_of
from learned_arm.errors import LearnedArmError
from learned_arm.ros import transport
from test.launched import launch, prefix  # noqa: F401 - fixtures

hypothesis.settings.register_profile("learned_arm", derandomize=True, deadline=None)
hypothesis.settings.load_profile("learned_arm")

_LIMIT_S = 120.0
# Tests without nodes run beside those with nodes and take what is left of the machine.
_BESIDE_LIMIT_S = 600.0
_PATIENCE_S = 5.0
_SHOWN_CHARACTERS = 4000
# What a door says when the machine gave it, or the driver of the arm, no time.
_NO_TIME = re.compile(r"stopped: (.*(?:stood still|silent) for .*)")
# Domains up to 101 fit into the UDP ports of every system; 0 belongs to the user, 10 to 89 to `learned-arm`.
DOMAINS = (*range(90, 102), *range(1, 10))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs ROS where there is none."""
    if item.get_closest_marker("ros") and importlib.util.find_spec("rclpy") is None:
        pytest.skip("rclpy is not installed: build .venv with `make`, or source a ROS 2 workspace")


class NoTimeError(AssertionError):
    """What a test expected did not come because a door had, rightly, stopped the arm; `make test` runs it once more."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Say with a failure that the machine had stood still."""
    try:
        return (yield)
    except (Exception, pytest.fail.Exception) as error:
        spawn = getattr(item, "funcargs", {}).get("spawn")
        processes = spawn.processes if isinstance(spawn, Spawn) else []
        if reasons := [each for process in processes for each in _NO_TIME.findall(process.output())]:
            raise NoTimeError("; ".join(reasons)) from error
        raise


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show what the processes of a failed test had printed."""
    outcome: Any = yield
    report = outcome.get_result()
    spawn = getattr(item, "funcargs", {}).get("spawn")
    if report.failed and isinstance(spawn, Spawn):
        for process in spawn.processes:
            report.sections.append((f"output of {process.name}", process.output()[-_SHOWN_CHARACTERS:]))


@pytest.fixture(autouse=True)
def _limit_of_time(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that takes longer than 120 s (600 s without nodes), or than its marker `limit_s(seconds)` says."""
    marker = request.node.get_closest_marker("limit_s")
    usual_s = _LIMIT_S if request.node.get_closest_marker("ros") else _BESIDE_LIMIT_S
    limit_s = float(marker.args[0]) if marker else usual_s

    def too_long(_signal: int, _frame: object) -> None:
        pytest.fail(f"took longer than {limit_s:g} s")

    former = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, former)


@contextmanager
def _held_domain() -> Iterator[int]:
    deadline_s = time.monotonic() + _LIMIT_S
    with ExitStack() as stack:
        while True:
            try:
                domain_id = stack.enter_context(held_domain(DOMAINS))
                break
            except LearnedArmError as error:
                if time.monotonic() > deadline_s:
                    pytest.fail(str(error))
            time.sleep(0.1)
        yield domain_id


@pytest.fixture
def ros_domain_id() -> Iterator[int]:
    """A ROS_DOMAIN_ID that no other test on this machine holds, in any process."""
    with _held_domain() as domain_id:
        yield domain_id


@pytest.fixture(scope="module")
def module_domain_id() -> Iterator[int]:
    """The same, for what all tests of a module share."""
    with _held_domain() as domain_id:
        yield domain_id


@dataclass(frozen=True)
class Process:
    """A process that a test started; its output goes to a file."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    def output(self) -> str:
        """What it has printed so far, both streams."""
        return self.log.read_text(errors="replace")

    def wait(self, timeout_s: float = 30.0) -> int:
        """Wait for its own end; its exit status, negative for a signal."""
        return self.popen.wait(timeout_s)

    def stop(self) -> int:
        """End it: SIGINT, then SIGTERM, then SIGKILL, each with a bounded wait; its exit status."""
        for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if self.popen.poll() is not None:
                break
            self.popen.send_signal(signal_number)
            try:
                self.popen.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                continue
        return self.popen.wait(_PATIENCE_S)


class Spawn:
    """Starts processes on one domain and ends exactly those."""

    def __init__(self, domain_id: int, folder: Path) -> None:
        self.domain_id = domain_id
        self.processes: list[Process] = []
        self._folder = folder

    def __call__(
        self, *argv: str, env: Mapping[str, str] | None = None, cwd: Path | None = None, name: str = ""
    ) -> Process:
        """Start a command.

        Args:
            argv: Command and arguments.
            env: Variables on top of a node's environment (domain, transport profile).
            cwd: Folder to start it in.
            name: How a failure calls it, by default its command.
        """
        name = name or Path(argv[0]).name
        log = self._folder / f"{len(self.processes)}_{name}.log"
        with log.open("wb") as output:
            popen = subprocess.Popen(
                argv,
                env={**transport.environment(self.domain_id), **(env or {})},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=lock_of(self.domain_id),
            )
        process = Process(name, popen, log)
        self.processes.append(process)
        return process

    def node(self, module: str, **parameters: object) -> Process:
        """Start a node by its module, e.g. `spawn.node("arm_control.arm_node", contract="pick_cube")`."""
        ros_arguments = ["--ros-args"] if parameters else []
        for key, value in parameters.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            ros_arguments += ["-p", f"{key}:={text}"]
        return self(sys.executable, "-m", module, *ros_arguments, name=module)

    def stop(self) -> None:
        """End every process, the newest first."""
        for process in reversed(self.processes):
            process.stop()


@pytest.fixture
def spawn(ros_domain_id: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spawn]:
    """Processes on a domain of their own; they end with the test, and a failure shows what they printed."""
    started = Spawn(ros_domain_id, tmp_path_factory.mktemp(f"processes_{os.getpid()}_"))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def module_spawn(module_domain_id: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spawn]:
    """The same for processes that all tests of a module share."""
    started = Spawn(module_domain_id, tmp_path_factory.mktemp(f"processes_{os.getpid()}_"))
    yield started
    started.stop()
