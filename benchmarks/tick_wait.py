"""How long a timeline waits, once `arm_node` has it, for the next control tick. Reported beside camera-to-command.

A source sends targets at phases that wander over the control period, and sees in `/arm/requested` at which tick each
came into force. The hop to the door is half of a ping to the relay and back, and no part of the wait.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from benchmarks.processes import Processes
from benchmarks.result import spread
from benchmarks.streams import Stamped, joint_state
from benchmarks.topics import ECHO, JOINT_STATES, RELAY
from learned_arm import cdr
from learned_arm.contract import Contract, load_contract
from learned_arm.durable import write_json
from learned_arm.errors import LearnedArmError
from learned_arm.ros import messages, qos
from learned_arm.ros.door import DoorClient
from learned_arm.timeline import Timeline

CONTROL_HZ = 250
_START_S = 30.0
_LASTS_NS = 200_000_000
# Not a multiple of the control period: the phases wander over all of it.
_PACE_S = 0.0313
_STEP_RAD = 1e-6


def bench_contract() -> Contract:
    """The shipped task on a robot of 250 Hz."""
    value = load_contract("pick_cube").canonical()
    value["robot"]["control_rate_hz"] = CONTROL_HZ
    return Contract.from_canonical(value)


class Source(Node):
    """A source that holds the lease, and the driver of the robot."""

    def __init__(self, contract: Contract) -> None:
        super().__init__("source")
        self._home = np.array(contract.robot.home_rad)
        self._door = DoorClient(self, contract.robot, "policy")
        self._joints = self.create_publisher(JointState, JOINT_STATES, qos.small())
        self._positions = Stamped(joint_state(contract.robot.joints, contract.robot.home_rad))
        self._ping = self.create_publisher(Header, ECHO, qos.small())
        self.create_subscription(Header, RELAY, self._on_relay, qos.small(), raw=True)
        self.create_subscription(JointState, "/arm/requested", self._on_requested, qos.small(), raw=True)
        self.create_timer(1 / CONTROL_HZ, lambda: self._joints.publish(self._positions.at(time.time_ns())))
        self.engaged = False
        self._asked = False
        self._sent: tuple[int, NDArray[np.float64]] | None = None
        self._count = 0
        self.to_tick_ns: list[int] = []
        self.pings_ns: list[int] = []

    def ask_to_engage(self) -> None:
        """Ask for the lease, again when it was refused."""

        def answered(accepted: bool, _words: str) -> None:
            self.engaged, self._asked = accepted, False

        if not self._asked and self._door.ready:
            self._asked = True
            self._door.engage(answered)

    def send(self) -> None:
        """Send a target that differs from the one before, and a ping."""
        now_ns = time.time_ns()
        self._count += 1
        target = self._home + _STEP_RAD * (self._count % 2 + 1)
        self._ping.publish(Header(stamp=messages.time_message(now_ns)))
        stamps = np.array([now_ns, now_ns + _LASTS_NS])
        self._sent = (time.time_ns(), target)
        self._door.send(now_ns, Timeline(stamps, np.stack([target, target])))

    def _on_requested(self, raw: bytes) -> None:
        view = cdr.read_joint_state(raw)
        if self._sent is not None and np.array_equal(view.position, self._sent[1]):
            self.to_tick_ns.append(view.stamp_ns - self._sent[0])
            self._sent = None

    def _on_relay(self, raw: bytes) -> None:
        self.pings_ns.append(time.time_ns() - cdr.header_stamp_ns(raw))


def wait_for_tick_ms(domain: int, count: int) -> dict[str, float]:
    """Median, 99th percentile and largest wait of `count` timelines, and the hop that was taken off, ms."""
    contract = bench_contract()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        path = folder / "contract.yaml"
        write_json(path, contract.canonical())
        with Processes(domain, folder) as processes:
            processes.start("benchmarks.relay_node")
            processes.start("arm_control.arm_node", "--ros-args", "-p", f"contract:={path}")
            rclpy.init(args=[])
            source = Source(contract)
            executor = SingleThreadedExecutor()
            executor.add_node(source)
            try:
                _drive(source, executor, count, processes)
            finally:
                executor.shutdown()
                source.destroy_node()
                rclpy.try_shutdown()
    if not source.to_tick_ns or not source.pings_ns:
        raise LearnedArmError("no target came into force", got=f"{len(source.to_tick_ns)} of {count}")
    hop_ms = float(np.median(source.pings_ns)) / 2e6
    return {**spread(np.array(source.to_tick_ns) / 1e6 - hop_ms), "hop": round(hop_ms, 3)}


def _drive(source: Source, executor: SingleThreadedExecutor, count: int, processes: Processes) -> None:
    deadline_s = time.monotonic() + _START_S
    while not (source.engaged and source.pings_ns):
        processes.check()
        if time.monotonic() > deadline_s:
            raise LearnedArmError("the door did not give the lease", got=f"{_START_S:.0f} s")
        if not source.engaged:
            source.ask_to_engage()
        source.send()
        _spin(executor, _PACE_S)
    source.pings_ns.clear()
    source.to_tick_ns.clear()
    for _ in range(count):
        source.send()
        _spin(executor, _PACE_S)


def _spin(executor: SingleThreadedExecutor, seconds: float) -> None:
    until_s = time.monotonic() + seconds
    while (left_s := until_s - time.monotonic()) > 0:
        executor.spin_once(timeout_sec=left_s)
