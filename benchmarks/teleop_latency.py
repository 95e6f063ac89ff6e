"""How long it takes from a message of the gamepad to the first command that heeds it, against the hops on its way.

Real nodes: `teleop_node`, `arm_node`, and an arm that is where it was told to be. Floor: a relay that sends a small
message back, for the same number of hops. What is left is the wait for the next control tick, and what the nodes do.

`python -m benchmarks.teleop_latency [trials]`
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import Joy
from std_msgs.msg import Float64MultiArray, Header

from benchmarks.processes import Processes, join_domain, own_domain
from benchmarks.result import Result, spread
from benchmarks.topics import ECHO, RELAY
from demo_tools.flow.ending import end_by_sigterm
from learned_arm.contract import load_contract
from learned_arm.durable import write_json
from learned_arm.errors import LearnedArmError
from learned_arm.ros import messages, qos

TRIALS = 100
CONTRACT, MAPPING, HELD = "reach_cube", "ur5e_gamepad", 9
_JOY_S, _REST_S, _PATIENCE_S = 0.02, 0.5, 30.0
_BUTTONS, _AXES = 15, 6
# A hop to teleop_node, one to arm_node, and one back here.
_HOPS = 3
_MOVED_RAD = 1e-9


class Hand:
    """Publishes the gamepad, and hears commands and the relay."""

    def __init__(self) -> None:
        rclpy.init(args=[])
        self._node = rclpy.create_node("hand")
        self._joy = self._node.create_publisher(Joy, "/joy", qos.small())
        self._ping = self._node.create_publisher(Header, ECHO, qos.small())
        (topic,) = [each.endpoint for each in load_contract(CONTRACT).robot.controllers if "arm" in each.groups]
        self._node.create_subscription(Float64MultiArray, topic, self._on_command, qos.small())
        self._node.create_subscription(Header, RELAY, self._on_relay, qos.small())
        self._node.create_subscription(DiagnosticStatus, "/teleop_node/status", self._on_status, qos.small())
        self.state, self.came_ns, self._axis, self._held = "", 0, 0.0, False
        self._at: float | None = None
        self.moved_ns = 0
        self._next_s = 0.0

    def close(self) -> None:
        """End it."""
        self._node.destroy_node()
        rclpy.try_shutdown()

    def _on_command(self, message: Float64MultiArray) -> None:
        at = message.data[0]
        if self._at is not None and abs(at - self._at) > _MOVED_RAD:
            self.moved_ns = self.moved_ns or time.monotonic_ns()
        self._at = at

    def _on_relay(self, _message: Header) -> None:
        self.came_ns = time.monotonic_ns()

    def _on_status(self, message: DiagnosticStatus) -> None:
        self.state = messages.status_values(message).get("state", "")

    def press(self, held: bool, axis: float) -> int:
        """One message now; when it was sent, monotonic."""
        self._held, self._axis, self._next_s = held, axis, time.monotonic() + _JOY_S
        buttons = [0] * _BUTTONS
        buttons[HELD] = int(held)
        sent_ns = time.monotonic_ns()
        self._joy.publish(Joy(axes=[axis, *[0.0] * (_AXES - 1)], buttons=buttons))
        return sent_ns

    def ping(self) -> float:
        """There and back, ms."""
        self.came_ns, sent_ns = 0, time.monotonic_ns()
        self._ping.publish(Header())
        self.until(lambda: self.came_ns > 0, "the relay to answer")
        return (self.came_ns - sent_ns) / 1e6

    def rest(self, seconds: float) -> None:
        """Let time pass; the gamepad repeats itself."""
        until_s = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > until_s, "time to pass")

    def until(self, done: Callable[[], bool], what: str) -> None:
        """Take messages until something holds."""
        limit_s = time.monotonic() + _PATIENCE_S
        while not done():
            if time.monotonic() > limit_s:
                raise LearnedArmError(f"waited in vain for {what}", got=self.state)
            if time.monotonic() > self._next_s:
                self.press(self._held, self._axis)
            rclpy.spin_once(self._node, timeout_sec=0.002)


def measure(trials: int = TRIALS) -> Result:
    """Push the stick so often."""
    domain = own_domain()
    join_domain(domain)
    with tempfile.TemporaryDirectory() as scratch, Processes(domain, Path(scratch)) as processes:
        contract = ("--ros-args", "-p", f"contract:={_patient(Path(scratch))}")
        processes.start("benchmarks.faults.driver", *contract)
        processes.start("arm_control.arm_node", *contract)
        processes.start("arm_control.teleop_node", *contract, "-p", f"mapping:={MAPPING}")
        processes.start("benchmarks.relay_node")
        hand = Hand()
        try:
            _take_lease(hand)
            late_ms, there_and_back_ms = [], []
            for trial in range(trials):
                hand.rest(_REST_S + 0.01 * np.random.default_rng(trial).uniform())
                there_and_back_ms.append(hand.ping())
                hand.moved_ns = 0
                sent_ns = hand.press(True, 1.0 if trial % 2 else -1.0)
                hand.until(lambda: hand.moved_ns > 0, "a command")
                late_ms.append((hand.moved_ns - sent_ns) / 1e6)
                hand.press(True, 0.0)
            processes.check()
        finally:
            hand.close()
    return _result(np.array(late_ms), np.array(there_and_back_ms))


def _patient(folder: Path) -> Path:
    """The contract; on a busy machine joint states may be late."""
    value = load_contract(CONTRACT).canonical()
    value["robot"]["joint_states"][0]["max_age_s"] = 1.0
    path = folder / "contract.yaml"
    write_json(path, value)
    return path


def _take_lease(hand: Hand) -> None:
    """Hold the button; let go and hold it again where there was no door yet."""
    limit_s = time.monotonic() + _PATIENCE_S
    while hand.state != "engaged":
        if time.monotonic() > limit_s:
            raise LearnedArmError("no lease", got=hand.state)
        hand.press(False, 0.0)
        hand.rest(0.1)
        hand.press(True, 0.0)
        hand.rest(0.5)


def _result(late_ms: np.ndarray, there_and_back_ms: np.ndarray) -> Result:
    period_ms = load_contract(CONTRACT).robot.control_period_ns / 1e6
    transport_ms = _HOPS / 2 * float(np.median(there_and_back_ms))
    return Result(
        name="teleop_latency",
        value=round(float(np.median(late_ms)) / (period_ms + transport_ms), 3),
        unit="of a control period and the transport, median",
        bar=1.0,
        better="lower",
        details={
            "late_ms": spread(late_ms),
            "there_and_back_ms": spread(there_and_back_ms),
            "transport_ms": round(transport_ms, 3),
            "control_period_ms": period_ms,
            "trials": len(late_ms),
        },
    )


def main() -> int:
    """Measure, print, save."""
    result = measure(int(sys.argv[1]) if len(sys.argv) > 1 else TRIALS)
    late, back = result.details["late_ms"], result.details["there_and_back_ms"]
    print(result.line())
    print(f"  from the gamepad to the command: p50 {late['p50']}, p99 {late['p99']}, max {late['max']} ms")
    print(f"  a relay there and back: p50 {back['p50']}, p99 {back['p99']} ms; {_HOPS} hops on the way")
    print(f"  {result.save()}")
    return 0 if result.ok else 1


if __name__ == "__main__":
    end_by_sigterm()
    sys.exit(main())
