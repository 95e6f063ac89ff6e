"""A driver in front of `arm_node`, made of rclpy: joint states in, what reaches the controllers out."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from learned_arm import cdr
from learned_arm.contract import Contract, load_contract
from learned_arm.timeline import Timeline

CONTRACT = load_contract("pick_cube")
JOINTS, DOF, HOME = CONTRACT.robot.joints, CONTRACT.robot.dof, np.array(CONTRACT.robot.home_rad)
SECOND_NS, CONTROL_NS = 1_000_000_000, CONTRACT.robot.control_period_ns
TOPIC = "/controller/commands"


class Driver:
    """Joint states out, messages of one controller in; a vector of speeds moves the joints."""

    def __init__(self, domain_id: int, contract: Contract, kind: Any, speeds: bool) -> None:
        import rclpy
        from diagnostic_msgs.msg import DiagnosticStatus
        from rclpy.context import Context
        from rclpy.executors import SingleThreadedExecutor
        from sensor_msgs.msg import JointState
        from std_srvs.srv import Trigger

        from learned_arm.ros import messages, qos
        from learned_arm.ros.door import DoorClient
        from learned_arm.ros.remote import RemoteNode

        self._context = Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self.node = rclpy.create_node("driver", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self.messages = messages
        self.position, self.speed = HOME.copy(), np.zeros(DOF)
        self.commands, self.times_s, self.sent = list[Any](), list[float](), list[Any]()
        self.text, self.values = "", dict[str, str]()
        self.source = DoorClient(self.node, contract.robot, "teleop")
        self.door = RemoteNode(self.node, "/arm_node")
        self.door.prepare(stop=Trigger, clear_fault=Trigger)
        self._joints = self.node.create_publisher(JointState, "/joint_states", qos.small())
        self._driving: Any = None

        def on_command(message: Any) -> None:
            self.commands.append(message)
            self.times_s.append(time.monotonic())
            if speeds:
                self.speed = np.array(message.data)

        def on_status(message: DiagnosticStatus) -> None:
            self.text, self.values = message.message, messages.status_values(message)

        if kind is not None:
            self.node.create_subscription(kind, TOPIC, on_command, qos.small())

        def on_sent(raw: Any) -> None:
            self.sent.append(cdr.read_joint_state(raw))

        self.node.create_subscription(JointState, "/arm/sent", on_sent, qos.small(), raw=True)
        self.node.create_subscription(DiagnosticStatus, "/arm_node/status", on_status, qos.small())
        self.wait(lambda: self.source.ready and self.door.ready and bool(self.values))
        self.wait(lambda: self._joints.get_subscription_count() > 0)

    @property
    def now_ns(self) -> int:
        return self.node.get_clock().now().nanoseconds

    @property
    def jaw_sent(self) -> list[float]:
        """Where the gripper was sent; a door that rests says so by a message without joints."""
        return [float(view.position[6]) for view in self.sent if view.names]

    @property
    def data(self) -> np.ndarray:
        return np.array([message.data for message in self.commands])

    def wait(self, done: Callable[[], bool], seconds: float = 20.0) -> None:
        deadline_s = time.monotonic() + seconds
        while not done():
            self._executor.spin_once(timeout_sec=0.02)
            assert time.monotonic() < deadline_s, f"waited in vain: {self.text} {self.values} {self.speed}"

    def spin(self, seconds: float) -> None:
        deadline_s = time.monotonic() + seconds
        while time.monotonic() < deadline_s:
            self._executor.spin_once(timeout_sec=0.02)

    def drive(self) -> None:
        """Move at the commanded speeds and say where the joints are, at the control rate."""
        last_s = time.monotonic()

        def tick() -> None:
            nonlocal last_s
            now_s = time.monotonic()
            self.position = self.position + self.speed * (now_s - last_s)
            last_s = now_s
            self.say(self.now_ns)

        self._driving = self.node.create_timer(CONTROL_NS / 1e9, tick)
        self.wait(lambda: self.values["state"] == "ready")

    def fall_silent(self) -> None:
        self.node.destroy_timer(self._driving)

    def say(self, stamp_ns: int) -> None:
        self._joints.publish(self.messages.joint_state(stamp_ns, JOINTS, self.position))

    def ask(self, call: Callable[[Callable[[bool, str], None]], Any]) -> str:
        answers: list[tuple[bool, str]] = []
        call(lambda accepted, words: answers.append((accepted, words)))
        self.wait(lambda: bool(answers))
        assert answers[0][0], answers[0][1]
        return answers[0][1]

    def lead(self, goal: np.ndarray, seconds: float = 0.5) -> None:
        """Take the lease and send a ramp to a goal, which then stays for a while."""
        self.ask(self.source.engage)
        start_ns = self.now_ns
        stamps = start_ns + np.array([0, round(seconds * SECOND_NS), round((seconds + 5) * SECOND_NS)])
        self.source.send(start_ns, Timeline(stamps, np.array([self.position, goal, goal])))

    def tick(self, stamp_ns: int) -> None:
        """Lock-step: say the joint states and wait for the answer."""
        self.say(stamp_ns)
        self.wait(lambda: bool(self.sent) and self.sent[-1].stamp_ns == stamp_ns)

    def close(self) -> None:
        import rclpy

        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)
