"""sim_arm_node as a process, seen from outside: topics, stamps, lock-step and resets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from learned_arm import cdr
from learned_arm.contract import Contract

pytestmark = pytest.mark.ros
TICK_NS, CONTROL_NS, SECOND_NS = 50_000_000, 10_000_000, 1_000_000_000


class Watcher:
    """Listens to the simulated arm and, when asked, answers as the door."""

    def __init__(self, domain_id: int, contract: Contract) -> None:
        import rclpy
        from geometry_msgs.msg import PoseStamped
        from rclpy.context import Context
        from rclpy.executors import SingleThreadedExecutor
        from rosgraph_msgs.msg import Clock
        from sensor_msgs.msg import CameraInfo, Image, JointState
        from std_msgs.msg import Bool, Float64MultiArray, String
        from std_srvs.srv import Trigger

        from learned_arm.ros import messages, qos
        from learned_arm.ros.remote import RemoteNode

        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self.node = rclpy.create_node("watcher", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self.contract, self.seen = contract, list[tuple[str, Any]]()
        self.answering = False
        self.goal_rad: np.ndarray | None = None
        self._joint_state, self._messages = JointState, messages
        self._sent = self.node.create_publisher(JointState, "/arm/sent", qos.small())
        self._commands = {
            group.name: self.node.create_publisher(Float64MultiArray, group.command.topic, qos.small())
            for group in contract.robot.groups
        }
        self._numbers = Float64MultiArray
        for topic, kind in {
            "/front/image_raw": Image,
            "/wrist/image_raw": Image,
            "/front/camera_info": CameraInfo,
            "/task/success": Bool,
            "/task/objects": PoseStamped,
            "/clock": Clock,
        }.items():
            on_message = self._keeper(topic)
            self.node.create_subscription(kind, topic, on_message, qos.small())
        for topic, kind in {"/robot_description": String, "/sim/state": Float64MultiArray}.items():
            self.node.create_subscription(kind, topic, self._keeper(topic), qos.latched())
        self.node.create_subscription(JointState, "/joint_states", self._on_joints, qos.small(), raw=True)
        self.sim = RemoteNode(self.node, "/sim_arm_node")
        self.sim.prepare(reset=Trigger)

    def _keeper(self, topic: str) -> Callable[[Any], None]:
        return lambda message: self.seen.append((topic, message))

    def _on_joints(self, raw: bytes) -> None:
        view = cdr.read_joint_state(raw)
        self.seen.append(("/joint_states", view))
        if self.answering:
            self.answer(view.stamp_ns)

    def answer(self, stamp_ns: int) -> None:
        """What arm_node does at a tick: commands if there is a goal, then /arm/sent."""
        names, goal = (), np.empty(0)
        if self.goal_rad is not None:
            names, goal = self.contract.robot.joints, self.goal_rad
            for group, place in self.contract.robot.slices.items():
                self._commands[group].publish(self._numbers(data=self._messages.doubles(goal[place])))
        self._sent.publish(self._messages.joint_state(stamp_ns, names, goal))

    def of(self, topic: str) -> list[Any]:
        return [message for name, message in self.seen if name == topic]

    def wait(self, done: Callable[[], bool], seconds: float = 20.0) -> None:
        deadline_s = time.monotonic() + seconds
        while not done():
            self._executor.spin_once(timeout_sec=0.05)
            assert time.monotonic() < deadline_s, f"waited in vain, saw {len(self.seen)} messages"

    def spin(self, seconds: float) -> None:
        deadline_s = time.monotonic() + seconds
        while time.monotonic() < deadline_s:
            self._executor.spin_once(timeout_sec=0.02)

    def reset(self, **parameters: Any) -> tuple[bool, str]:
        answers: list[tuple[bool, str]] = []
        self.wait(lambda: self.sim.ready)
        self.sim.trigger("reset", lambda accepted, words: answers.append((accepted, words)), parameters)
        self.wait(lambda: bool(answers))
        return answers[0]

    def close(self) -> None:
        import rclpy

        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self._context)


@pytest.fixture
def watcher(ros_domain_id: int, pick: Contract) -> Iterator[Watcher]:
    watching = Watcher(ros_domain_id, pick)
    yield watching
    watching.close()


def stamp_ns(message: Any) -> int:
    stamp = message.clock if hasattr(message, "clock") else message.header.stamp
    return stamp.sec * SECOND_NS + stamp.nanosec


def test_lock_step(spawn: Any, watcher: Watcher) -> None:
    process = spawn.node("demo_tools.simulation.node", use_sim_time=True)

    # Without a door time stands still, and resets are answered all the same.
    assert watcher.reset(reset_seed=4, reset_state=[], decoy_seed=-1)[0]
    watcher.wait(lambda: bool(watcher.of("/joint_states")))
    watcher.spin(0.3)
    first_ns = watcher.of("/joint_states")[-1].stamp_ns
    before = len(watcher.of("/joint_states"))
    assert first_ns % SECOND_NS == 0 and first_ns > 0
    watcher.spin(0.7)
    assert {view.stamp_ns for view in watcher.of("/joint_states")[before:]} <= {first_ns}

    # The door that appears is told the tick, and time goes on with its answers.
    watcher.answering = True
    watcher.answer(first_ns)
    watcher.wait(lambda: len(watcher.of("/clock")) > 60)
    stamps = [view.stamp_ns for view in watcher.of("/joint_states")[before:]]
    assert all(after - before in (0, CONTROL_NS) for before, after in pairwise(stamps))
    assert sorted(watcher.of("/joint_states")[0].names) == list(watcher.of("/joint_states")[0].names)
    for topic in ("/front/image_raw", "/wrist/image_raw", "/front/camera_info", "/task/objects"):
        ticks = [at_ns for at_ns in map(stamp_ns, watcher.of(topic)) if at_ns >= first_ns]
        assert len(ticks) >= 10 and all(tick % TICK_NS == 0 for tick in ticks)
        assert set(np.diff(ticks)) == {TICK_NS}
    image = watcher.of("/front/image_raw")[-1]
    assert (image.height, image.width, image.encoding, image.step) == (96, 96, "rgb8", 288)
    assert len(image.data) == 96 * 288
    assert not any(message.data for message in watcher.of("/task/success"))
    assert "shoulder_pan_joint" in watcher.of("/robot_description")[0].data

    # Commands named in /arm/sent are waited for, and move the arm.
    at = watcher.of("/joint_states")[-1]
    by_name = dict(zip(at.names, at.position.tolist(), strict=True))
    watcher.goal_rad = np.array([by_name[joint] for joint in watcher.contract.robot.joints]) + 0.05
    seen = len(watcher.of("/joint_states"))
    watcher.wait(lambda: len(watcher.of("/joint_states")) > seen + 60)
    at = watcher.of("/joint_states")[-1]
    by_name = dict(zip(at.names, at.position.tolist(), strict=True))
    measured = [by_name[joint] for joint in watcher.contract.robot.joints]
    assert np.allclose(measured, watcher.goal_rad, atol=0.01)

    # Back to a recorded state, by way of another seed: exactly there, and later in time.
    watcher.goal_rad = None
    kept = list(watcher.of("/sim/state")[-1].data)
    assert watcher.reset(reset_seed=9, reset_state=[])[0]
    accepted, words = watcher.reset(reset_seed=-1, reset_state=[1.0, 2.0])
    assert not accepted and "wrong length" in words
    watcher.answering = False
    watcher.spin(0.3)
    watcher.seen.clear()
    assert watcher.reset(reset_seed=-1, reset_state=kept)[0]
    watcher.wait(lambda: bool(watcher.of("/sim/state")) and bool(watcher.of("/clock")))
    assert list(watcher.of("/sim/state")[0].data) == kept
    assert stamp_ns(watcher.of("/clock")[0]) > at.stamp_ns
    assert process.stop() == 0


def test_clock_never_turns_back(spawn: Any, watcher: Watcher) -> None:
    spawn.node("demo_tools.simulation.node", use_sim_time=True)
    watcher.answering = True
    for seed in range(4):
        assert watcher.reset(reset_seed=seed, reset_state=[])[0]
        seen = len(watcher.of("/clock"))
        watcher.wait(lambda seen=seen: len(watcher.of("/clock")) > seen + 20)
    clocks = [stamp_ns(message) for message in watcher.of("/clock")]
    assert all(before <= after for before, after in pairwise(clocks))


def test_real_time(spawn: Any, watcher: Watcher) -> None:
    process = spawn.node("demo_tools.simulation.node", arm_controller="joint_trajectory")
    watcher.wait(lambda: len(watcher.of("/front/image_raw")) > 5)
    watcher.seen.clear()
    watcher.wait(lambda: len(watcher.of("/front/image_raw")) > 20)
    views, images = watcher.of("/joint_states"), watcher.of("/front/image_raw")
    seconds = (stamp_ns(images[-1]) - stamp_ns(images[0])) / 1e9
    assert abs(time.time_ns() - views[-1].stamp_ns) < SECOND_NS
    assert all(view.stamp_ns % CONTROL_NS == 0 for view in views)
    assert all(stamp_ns(image) % TICK_NS == 0 for image in images)
    assert 0.9 < seconds < 3.0, "20 frames a second, some left out on a busy machine"
    assert watcher.reset(reset_seed=3, reset_state=[])[0]
    assert process.stop() == 0


def test_an_unknown_contract_ends_in_one_line(spawn: Any) -> None:
    process = spawn.node("demo_tools.simulation.node", contract="fold_towel")
    assert process.wait() == 2
    assert "fold_towel" in process.output()
