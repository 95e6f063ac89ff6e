"""The stack as a lab runs it, in real time, with a camera, a driver and a joystick that can be broken."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.faults import limits
from benchmarks.faults.camera import Pictures
from benchmarks.faults.held import HELD_VARIABLE
from benchmarks.faults.observer import Observer, Sent
from benchmarks.faults.part import NONE
from benchmarks.faults.policy import write_circle
from benchmarks.faults.shared import LastWords, SharedNumber
from benchmarks.faults.world import CLOCK_VARIABLE, DEADMAN, GOOD, JOINTS_MAX_AGE_S, MODE_CAMERA, MODES, save_contract
from benchmarks.processes import Processes
from learned_arm.alignment import AlignedTick, Sample
from learned_arm.contract import Contract
from learned_arm.door_state import State
from learned_arm.errors import LearnedArmError
from learned_arm.kept_memory import keep_freed_memory
from learned_arm.observation import ObservationBuilder, digest

ARM, POLICY, DRIVER, JOYSTICK = "arm_node", "policy_node", "driver", "joystick"
CLOCK_JUMP_NS = 2_000_000_000
DEADMAN_TIMEOUT_S = 0.3
_MODULES = {
    ARM: "arm_control.arm_node",
    POLICY: "learned_policy_node.node",
    DRIVER: "benchmarks.faults.driver",
    JOYSTICK: "benchmarks.faults.joystick",
}
_PATIENCE_S = 30.0
_MOVING_S, _MOVING_RAD = 0.3, 0.01
_ARMED_S, _UNARMED_S = 0.6, 0.05
# Long enough to hear that the others go on, shorter than the patience of anybody who waits for a stopped process.
_LOCKED_S, _STOPS = 0.12, 5
_HEARD_S = 2.0


class Rig:
    """Leaving the `with` block ends every process.

    Args:
        contract: Of `rig_contract`.
        folder: Empty; contract, policy and logs go here.
        domain_id: ROS_DOMAIN_ID of all.
        size: Height and width of the cameras' pictures.
        rate_hz: Pictures a second.
    """

    def __init__(
        self,
        contract: Contract,
        folder: Path,
        domain_id: int,
        size: tuple[int, int] = (96, 96),
        rate_hz: float = 30.0,
    ) -> None:
        # This process draws again what the policy says it saw.
        keep_freed_memory()
        self.contract, self.folder, self._size, self._rate_hz = contract, folder, size, rate_hz
        self.contract_path, self.model_path = folder / "contract.yaml", folder / "circle.onnx"
        save_contract(contract, self.contract_path)
        write_circle(self.model_path, contract)
        self.logs = folder / "logs"
        self.logs.mkdir()
        self.held_path, self._last_words_path = folder / "held", folder / "last_words"
        self.clock, self.word = SharedNumber(folder / "clock"), SharedNumber(self.held_path)
        self.cameras = {f"{name}_camera": name for name in contract.cameras}
        self._builder = ObservationBuilder(contract)
        self._modes = list(MODES)
        self._pictures = {name: Pictures(name, *size) for name in contract.cameras}
        self.pids: dict[str, int] = {}
        own = {CLOCK_VARIABLE: str(folder / "clock"), HELD_VARIABLE: str(self.held_path)}
        self.processes = Processes(domain_id, self.logs, **own)
        self.observer = Observer(contract, domain_id)

    def __enter__(self) -> Rig:
        for name in (*self.cameras, DRIVER, JOYSTICK, ARM, POLICY):
            self.start(name)
        return self

    def __exit__(self, *_: object) -> None:
        self.processes.__exit__()
        self.observer.close()

    def start(self, name: str) -> None:
        """Start a process, for the first time or again."""
        settings: dict[str, object] = {}
        if name in self.cameras:
            height, width = self._size
            settings = {"camera": self.cameras[name], "height": height, "width": width, "rate_hz": self._rate_hz}
        elif name == DRIVER:
            settings = {"contract": self.contract_path, "last_words": self._last_words_path}
            if self.observer.sent:
                # An arm stays where it is when its driver dies.
                settings["position_rad"] = self.observer.sent[-1].position_rad.tolist()
        elif name == ARM:
            settings = {"contract": self.contract_path, "deadman_topic": DEADMAN}
        elif name == POLICY:
            settings = {"contract": self.contract_path, "model": self.model_path, "auto_activate": "true"}
        self.pids[name] = self.launch(name, _MODULES.get(name, "benchmarks.faults.camera"), settings)

    def launch(self, name: str, module: str, settings: dict[str, object]) -> int:
        """Start a module as the node of this name, in the rig's time."""
        arguments = [module, "--ros-args", "-r", f"__node:={name}"]
        for key, value in settings.items():
            arguments += ["-p", f"{key}:={value}"]
        return self.processes.start("benchmarks.faults.clock", *arguments, name=name)

    def kill(self, name: str) -> int:
        """SIGKILL; the moment before it, monotonic."""
        struck_ns = time.monotonic_ns()
        self.processes.signal(name, signal.SIGKILL)
        self.processes.wait(name, 5.0)
        if name == DRIVER and (raw := LastWords(self._last_words_path).raw):
            self.observer.know(raw)
        return struck_ns

    def signal(self, name: str, number: signal.Signals) -> int:
        """Send a signal; the moment before it, monotonic."""
        struck_ns = time.monotonic_ns()
        self.processes.signal(name, number)
        return struck_ns

    def stop(self, name: str) -> int:
        """SIGSTOP; the moment before it, monotonic.

        It may hit while the process holds a lock of the middleware that lies in shared memory: then those who write to
        it wait, and after a second without an answer Fast DDS takes it off the transport for good (healthy_check
        of its shared-memory ports, 1000 ms). A machine never stops one process for so long at that place: such a stop
        is ended at once and tried again; where the arm has been stopped by then, it is judged as a starved machine's.
        """
        struck_ns = self.signal(name, signal.SIGSTOP)
        for _ in range(_STOPS):
            self.observer.spin(_LOCKED_S)
            heard_ns = [self.observer.joints_heard_ns] if name != DRIVER else []
            if name != ARM and self.observer.sent:
                heard_ns.append(self.observer.sent[-1].heard_ns)
            if all(each > struck_ns + round(_LOCKED_S / 3 * 1e9) for each in heard_ns):
                break
            self.signal(name, signal.SIGCONT)
            self.observer.spin(_LOCKED_S * 2)
            if not self.moving:
                break
            struck_ns = self.signal(name, signal.SIGSTOP)
        return struck_ns

    def jump(self, sign: int) -> int:
        """Set the clock of every process of the rig; when, monotonic."""
        self.clock.add(sign * CLOCK_JUMP_NS)
        return time.monotonic_ns()

    @property
    def state(self) -> str:
        """Of the door, empty before it spoke."""
        return self.observer.value(ARM, "state")

    @property
    def moving(self) -> bool:
        """Whether the arm follows the policy, and moves."""
        since_ns = time.monotonic_ns() - round(_MOVING_S * 1e9)
        path = [each.position_rad for each in self._sent_since(since_ns)]
        return (
            self.state == State.ENGAGED.value
            and len(path) > 10
            and bool(np.abs(np.diff(path, axis=0)).sum() > _MOVING_RAD)
        )

    def make_move(self) -> None:
        """Clear what is latched, arm again, and wait until the arm moves.

        Raises:
            LearnedArmError: It does not.
        """
        end_s = time.monotonic() + _PATIENCE_S
        words = "no status of the door"
        while time.monotonic() < end_s:
            self.processes.check()
            armed = self.observer.value(ARM, "holder") == "policy" and not self.observer.value(POLICY, "fault")
            if self.observer.until(lambda: self.moving, _ARMED_S if armed else _UNARMED_S):
                return
            if self.state in (State.STOPPED.value, State.FAULT.value):
                self.observer.trigger(f"/{ARM}/clear_fault")
            if self.observer.value(POLICY, "fault"):
                self.observer.trigger(f"/{POLICY}/reset")
            # Nobody engages before the observer hears all that the policy may see.
            elif self.state and self._hears and self.observer.value(POLICY, "state") == "active":
                _, words = self.observer.engage(POLICY)
        raise LearnedArmError("the arm does not move", got=words)

    def engage_as(self, source: str, on: bool = True) -> tuple[bool, str]:
        """Ask the door for the lease, or give it back."""
        accepted, words = self.observer.set(ARM, source=source)
        return self.observer.engage(ARM, on) if accepted else (accepted, words)

    def broken_limits(self) -> list[str]:
        """Commands since the last `forget` that leave the limits, or of which the door does not tell."""
        commands = self.observer.all_commands()
        # The door tells of a command right behind it, and what it tells may wait longer in this process's queue.
        self.observer.until(lambda: not self._untold(commands), _HEARD_S)
        sent = self.observer.all_sent()
        found = limits.violations(
            self.contract.robot,
            [each.stamp_ns for each in sent],
            [each.position_rad for each in sent],
            [each.heard_ns for each in sent],
            CLOCK_JUMP_NS,
        )
        return found + self._untold(commands)

    def unknown_observations(self) -> list[str]:
        """Digests since the last `forget` of observations that were never there to be seen."""
        found = []
        for names in list(self.observer.ticks):
            told = dict(each.rsplit("@", 1) for each in names)
            seen = told.pop("observation", None)
            if seen is None:
                continue
            stamps_ns = {stream: int(stamp) for stream, stamp in told.items()}
            # What a tick speaks of may wait in this process's queue.
            if not self.observer.until(partial(self._heard, stamps_ns), _HEARD_S):
                found.append(f"nobody published all of {told}")
            elif not self._can_be_seen(seen, stamps_ns):
                found.append(f"{seen[:12]} of {told}")
        return found

    def tracebacks(self) -> list[str]:
        """Processes whose log holds a traceback, with its last lines."""
        found = []
        for log in sorted(self.logs.glob("*.log")):
            text = log.read_text(errors="replace")
            if "Traceback" in text:
                found.append(f"{log.stem}: {text[text.index('Traceback') :][-400:]}")
        return found

    def restore(self, parts: Sequence[str] = ()) -> None:
        """Mend every part that can be told to."""
        for part in parts or (*self.cameras, DRIVER, JOYSTICK):
            self.observer.strike(part, NONE)

    @property
    def _hears(self) -> bool:
        return time.monotonic_ns() - self.observer.joints_heard_ns < round(JOINTS_MAX_AGE_S * 1e9)

    def _untold(self, commands: Mapping[str, list[NDArray[np.float64]]]) -> list[str]:
        sent, found = [*self.observer.sent_before, *self.observer.all_sent()], []
        for group, place in self.contract.robot.slices.items():
            told = {each.position_rad[place].tobytes() for each in sent}
            # It tells of a command after it has given it: where it died, of the last one never.
            for command in commands[group][:-1]:
                if command.tobytes() not in told:
                    found.append(f"{group} was commanded to {command.tolist()}, of which /arm/sent says nothing")
        return found

    def _sent_since(self, since_ns: int) -> list[Sent]:
        sent = self.observer.all_sent()
        start = len(sent)
        while start and sent[start - 1].heard_ns >= since_ns:
            start -= 1
        return sent[start:]

    def _heard(self, stamps_ns: dict[str, int]) -> bool:
        """Whether every joint state of a tick has been heard; pictures need not be."""
        return all(
            stream.startswith("camera:") or stamp_ns in self.observer.joints for stream, stamp_ns in stamps_ns.items()
        )

    def _can_be_seen(self, seen: str, stamps_ns: dict[str, int]) -> bool:
        """Build it again from what was published: joint states as heard, pictures by camera, stamp and mode."""
        for mode in list(self._modes):
            samples = {}
            for stream, stamp_ns in stamps_ns.items():
                kind, name = stream.split(":", 1)
                if kind == "camera":
                    shown = mode if name == MODE_CAMERA else GOOD
                    raw = self._pictures[name].at(stamp_ns, shown)
                else:
                    raw = self.observer.joints[stamp_ns]
                samples[stream] = Sample(stamp_ns, 0, raw)
            if digest(self._builder.build([AlignedTick(0, samples)])) == seen:
                # The next ones are most probably of the same mode.
                self._modes.remove(mode)
                self._modes.insert(0, mode)
                return True
        return False
