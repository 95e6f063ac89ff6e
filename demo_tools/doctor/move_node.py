"""Moves one joint after the other by a little, through the door, and judges what moved."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import JointState

from arm_control.mover import plan_move
from demo_tools.doctor.findings import Finding
from demo_tools.doctor.motion import judge, small_steps
from learned_arm import cdr
from learned_arm.errors import LearnedArmError
from learned_arm.measured import MeasuredArm
from learned_arm.robot import Robot
from learned_arm.ros import qos
from learned_arm.ros.door import DoorClient

SPEED_SCALE = 0.05
_SPIN_S, _SETTLE_S, _PATIENCE_S = 0.01, 0.5, 10.0

Confirm = Callable[[str], bool]


class Wiggler(Node):
    """Takes the lease for one joint's motion at a time, as a person at the desk."""

    def __init__(self, robot: Robot, context: Context) -> None:
        super().__init__("learned_arm_doctor", context=context, enable_rosout=False)
        self._robot, self._arm = robot, MeasuredArm(robot)
        self._door = DoorClient(self, robot, "teleop")
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self)
        for source in robot.joint_states:
            self.create_subscription(JointState, source.topic, self._taker(source.topic), qos.newest(), raw=True)

    def close(self) -> None:
        """End."""
        self._executor.shutdown()
        self.destroy_node()

    def measured(self) -> NDArray[np.float64]:
        """Where the arm is now, shape (dof,).

        Raises:
            LearnedArmError: Nobody says.
        """
        # What came while nobody listened is older than what comes now.
        self._spin(_SETTLE_S / 5)
        self._until(lambda: self._arm.position_rad is not None, "joint states")
        position = self._arm.position_rad
        assert position is not None
        return position.copy()

    def wiggle(self, joint: int, step_rad: float) -> Finding:
        """Move a joint, look, and move it back; the lease goes back however this ends.

        Raises:
            LearnedArmError: The door gives no lease, or nobody says where the arm is.
        """
        self._until(lambda: self._door.ready, "arm_node")
        start = self.measured()
        goal = start.copy()
        goal[joint] += step_rad
        self._ask(self._door.engage)
        try:
            self._go(start, goal)
            moved = self.measured() - start
            self._go(goal, start)
        finally:
            self._ask(self._door.release)
        return judge(self._robot, joint, step_rad, moved)

    def _go(self, start: NDArray[np.float64], goal: NDArray[np.float64]) -> None:
        now_ns = self.get_clock().now().nanoseconds
        timeline = plan_move(self._robot, start, goal, now_ns, speed_scale=SPEED_SCALE)
        self._door.send(now_ns, timeline)
        self._spin((int(timeline.stamps_ns[-1]) - now_ns) / 1e9 + _SETTLE_S)

    def _ask(self, ask: Callable[[Callable[[bool, str], None]], None]) -> None:
        answers: list[tuple[bool, str]] = []
        ask(lambda accepted, words: answers.append((accepted, words)))
        self._until(lambda: bool(answers), "an answer of arm_node")
        accepted, words = answers[0]
        if not accepted:
            raise LearnedArmError("arm_node refuses", got=words)

    def _spin(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            self._executor.spin_once(timeout_sec=_SPIN_S)

    def _until(self, done: Callable[[], bool], what: str) -> None:
        until_s = time.monotonic() + _PATIENCE_S
        while not done():
            if time.monotonic() > until_s:
                raise LearnedArmError(f"no {what}", got=f"{_PATIENCE_S:g} s of waiting")
            self._executor.spin_once(timeout_sec=_SPIN_S)

    def _taker(self, topic: str) -> Callable[[bytes], None]:
        def take(raw: bytes) -> None:
            try:
                self._arm.take(topic, cdr.read_joint_state(raw), time.monotonic_ns())
            except LearnedArmError as error:
                self.get_logger().warning(str(error), throttle_duration_sec=1.0)

        return take


def move_each(robot: Robot, confirm: Confirm) -> list[Finding]:
    """Move joint after joint, each after a person has agreed to it.

    Args:
        robot: Whose joints.
        confirm: Asked before each motion; False leaves that joint out.

    Raises:
        LearnedArmError: See `Wiggler.wiggle`.
    """
    context = Context()
    rclpy.init(context=context)
    node = Wiggler(robot, context)
    found: list[Finding] = []
    try:
        for joint, name in enumerate(robot.joints):
            step_rad = float(small_steps(robot, node.measured())[joint])
            if not step_rad:
                todo = "move it away from its limit by hand"
                found.append(Finding("motion.room", "warn", name, "no room for a small motion", todo))
            elif confirm(f"move {name} by {step_rad:+.3f} and back?"):
                found.append(node.wiggle(joint, step_rad))
            else:
                found.append(Finding("motion.skipped", "warn", name, "not moved", "say yes to examine it"))
        return found
    finally:
        node.close()
        rclpy.try_shutdown(context=context)
