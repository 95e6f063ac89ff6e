"""The simulated arm behind a controller of each kind: it follows a motion, stops with the lease, and with the door."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from learned_arm import cdr
from learned_arm.contract import Contract, load_contract
from learned_arm.timeline import Timeline
from test.patience import patient

pytestmark = pytest.mark.ros
SECOND_NS = 1_000_000_000
RIDER = {"adapter": "in_vector", "of": "arm"}
CONTRACT = load_contract("reach_cube")
ARM, JAW = CONTRACT.robot.joints[:6], CONTRACT.robot.joints[6:]
VECTOR = "/follower/forward_controller/commands"
# Commands of arm and gripper; the flywheel drives the shipped forward_position controllers all the time.
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
    "forward_velocity": ({"adapter": "forward_velocity", "topic": "/forward_velocity_controller/commands"}, None),
    "joint_trajectory": (
        {"adapter": "joint_trajectory", "topic": "/joint_trajectory_controller/joint_trajectory"},
        None,
    ),
    "in_vector": ({"adapter": "forward_position", "topic": VECTOR, "joints": [*JAW, *ARM]}, RIDER),
    "speeds_in_vector": ({"adapter": "forward_velocity", "topic": VECTOR}, RIDER),
    "points_of_all": ({"adapter": "joint_trajectory", "topic": VECTOR}, RIDER),
    "forward_position": (CONTRACT.canonical()["robot"]["groups"]["arm"]["command"], None),
}
LONG = ("joint_trajectory", "speeds_in_vector", "points_of_all", "forward_position")


class Lead:
    """A source that sends a motion, and sees how the arm follows."""

    def __init__(self, domain_id: int, contract: Contract) -> None:
        import rclpy
        from rclpy.context import Context
        from rclpy.executors import SingleThreadedExecutor
        from sensor_msgs.msg import JointState

        from learned_arm.ros import qos
        from learned_arm.ros.door import DoorClient

        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self.node = rclpy.create_node("lead", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._joints = contract.robot.joints
        self.stamps_ns, self.positions, self.speeds = list[int](), list[np.ndarray](), list[np.ndarray]()
        self.door = DoorClient(self.node, contract.robot, "teleop")
        self.node.create_subscription(JointState, "/joint_states", self._on_joints, qos.small(), raw=True)

    def _on_joints(self, raw: Any) -> None:
        view = cdr.read_joint_state(raw)
        order = [view.names.index(joint) for joint in self._joints]
        self.stamps_ns.append(view.stamp_ns)
        self.positions.append(view.position[order])
        self.speeds.append(view.velocity[order])

    def wait(self, done: Callable[[], bool], seconds: float = 30.0) -> None:
        deadline_s = time.monotonic() + seconds
        while not done():
            self._executor.spin_once(timeout_sec=0.02)
            assert time.monotonic() < deadline_s, f"waited in vain: {self.positions[-1:]} {self.speeds[-1:]}"

    def spin(self, seconds: float) -> None:
        deadline_s = time.monotonic() + seconds
        while time.monotonic() < deadline_s:
            self._executor.spin_once(timeout_sec=0.02)

    def ask(self, call: Callable[[Callable[[bool, str], None]], None]) -> str:
        answers: list[tuple[bool, str]] = []
        call(lambda accepted, words: answers.append((accepted, words)))
        self.wait(lambda: bool(answers))
        return answers[0][1]

    def move(self, goal: np.ndarray, seconds: float) -> Timeline:
        """Send a smooth motion from here to a goal."""
        start, begin_ns = self.positions[-1], self.node.get_clock().now().nanoseconds + SECOND_NS // 10
        share = np.linspace(0.0, 1.0, 41)
        smooth = share**3 * (10 - 15 * share + 6 * share**2)
        stamps = begin_ns + (share * seconds * SECOND_NS).astype(np.int64)
        stamps, places = np.append(stamps, stamps[-1] + 5 * SECOND_NS), np.append(smooth, 1.0)
        timeline = Timeline(stamps, start + places[:, None] * (goal - start))
        self.door.send(begin_ns, timeline)
        return timeline

    def stands_still(self) -> bool:
        """Whether nothing has moved over the last states."""
        last = np.array(self.positions[-10:])
        return bool((np.ptp(last, axis=0) < 1e-3).all() and (np.abs(self.speeds[-1]) < 0.02).all())

    def close(self) -> None:
        import rclpy

        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)


@pytest.fixture
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The contract of a kind of controller."""
    content = patient(CONTRACT)
    # What is drawn matters to nobody here.
    content["observation"]["cameras"] = {"wrist": {**content["observation"]["cameras"]["wrist"], "size": [16, 16]}}
    arm, gripper = KINDS[request.param]
    content["robot"]["groups"]["arm"]["command"] = arm
    if gripper is not None:
        content["robot"]["groups"]["gripper"]["command"] = gripper
    path = tmp_path / "contract.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def lead(spawn: Any, path: Path, ros_domain_id: int) -> Iterator[Lead]:
    spawn.node("demo_tools.simulation.node", contract=path)
    spawn.node("arm_control.arm_node", contract=path)
    leading = Lead(ros_domain_id, load_contract(path))
    yield leading
    leading.close()


@pytest.mark.parametrize(
    "path", [pytest.param(kind, marks=pytest.mark.prove if kind in LONG else ()) for kind in KINDS], indirect=True
)
def test_the_arm_follows_and_stops_with_the_lease_and_with_the_door(lead: Lead, spawn: Any) -> None:
    lead.wait(lambda: len(lead.positions) > 20 and lead.door.ready)
    lead.wait(lambda: lead.ask(lead.door.engage) in ("teleop engaged", "teleop already holds the lease"))
    home = lead.positions[-1]
    goal = home + np.array([0.5, -0.3, 0.3, 0.3, -0.3, 0.5, 0.4])
    timeline = lead.move(goal, 1.5)
    lead.wait(lambda: lead.stamps_ns[-1] > timeline.end_ns - 4 * SECOND_NS)
    wanted = [timeline.at(stamp_ns) for stamp_ns in lead.stamps_ns]
    errors = [np.abs(at - want) for at, want in zip(lead.positions, wanted, strict=True) if want is not None]
    assert np.max(errors) < 0.1, np.max(errors, axis=0)
    assert np.abs(lead.positions[-1] - goal).max() < 0.01, lead.positions[-1] - goal

    # The lease is given back in motion: braked at once, far from the goal.
    lead.move(home, 1.5)
    lead.wait(lambda: float(np.abs(lead.speeds[-1]).max()) > 0.3)
    lead.ask(lead.door.release)
    lead.wait(lead.stands_still, 2.0)
    assert np.abs(lead.positions[-1] - home)[0] > 0.1
    lead.spin(0.3)
    assert lead.stands_still()

    # The door itself is ended in motion.
    assert lead.ask(lead.door.engage) == "teleop engaged"
    lead.move(home, 1.0)
    lead.wait(lambda: float(np.abs(lead.speeds[-1]).max()) > 0.3)
    door = spawn.processes[-1]
    door.popen.send_signal(signal.SIGINT)
    lead.wait(lambda: door.popen.poll() is not None, 5.0)
    assert door.wait() == 0, door.output()
    lead.wait(lead.stands_still, 2.0)
    there = lead.positions[-1]
    lead.spin(0.5)
    assert np.abs(lead.positions[-1] - there).max() < 1e-3
