"""What a replay feels of the arm: joints at its ticks, what the door sends, and what the task's topic says."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool

from learned_arm import cdr
from learned_arm.alignment import Aligner, Refusal
from learned_arm.contract import Contract
from learned_arm.episode import SENT
from learned_arm.errors import LearnedArmError
from learned_arm.observation import JointOrder, ObservationBuilder
from learned_arm.ros import messages, qos
from learned_arm.ros.ticker import GRACE_NS, GridTicker


@dataclass(frozen=True)
class Told:
    """Who is told what; each is called with the node's lock held.

    Attributes:
        tick: A tick in ROS time, ns, and by how much it is late.
        sent: Stamp of a control tick, ns, and what the door sent at it, rad, shape (dof,).
        success: What the task's topic said.
    """

    tick: Callable[[int, int], None]
    sent: Callable[[int, NDArray[np.float64]], None]
    success: Callable[[bool], None]


class Senses:
    """Subscriptions of a replay node, and its ticks: by the clock, or in lock-step with the joint states.

    Args:
        node: Whose executor takes the messages.
        contract: Names the topics.
        lock_step: Whether the simulation waits for every tick's answer.
        guard: Calls a function with the node's lock held.
        told: Who is told.

    Attributes:
        newest_tick_ns: The newest tick in lock-step, 0 before the first.
    """

    def __init__(
        self,
        node: Node,
        contract: Contract,
        lock_step: bool,
        guard: Callable[[Callable[[], None]], None],
        told: Told,
    ) -> None:
        self._node, self._period_ns, self._lock_step = node, contract.period_ns, lock_step
        self._guard, self._told = guard, told
        self.newest_tick_ns = 0
        # Joints only: images would cost time here, and nothing else is asked for.
        blind = replace(contract, cameras={}, tools=(), wrenches={})
        self._aligner, self._builder = Aligner(blind), ObservationBuilder(blind)
        self._sent_order = JointOrder(contract.robot.joints)
        for source in contract.robot.joint_states:
            on_joints = self._joints_callback(source.topic)
            node.create_subscription(JointState, source.topic, on_joints, qos.newest(), raw=True)
        node.create_subscription(JointState, SENT, self._on_sent, qos.small(), raw=True)
        if contract.success.topic is not None:
            node.create_subscription(Bool, contract.success.topic, self._on_success, qos.small())
        self._door_measures = False
        if not lock_step:
            node.create_subscription(DiagnosticStatus, "/arm_node/status", self._on_door_status, qos.small())
        self._ticker = None if lock_step else GridTicker(node, contract.period_ns, self._on_tick, grace_ns=GRACE_NS)

    def close(self) -> None:
        """End the tick thread."""
        if self._ticker is not None:
            self._ticker.close()

    def missing(self, now_ns: int) -> str | None:
        """What a replay in real time cannot begin without and has not heard of yet; with the node's lock held.

        A node that has just started hears of services before it hears the first joint state, and so does the door,
        which gives no lease before it. In lock-step there may be no joint state before the reset, and nothing is early.
        """
        if self._lock_step:
            return None
        try:
            self.measured(now_ns)
        except LearnedArmError as error:
            return f"no joint state: {error}"
        return None if self._door_measures else "arm_node has not measured the arm: look at /arm_node/status"

    def measured(self, tick_ns: int) -> NDArray[np.float64]:
        """Measured joints at a tick, rad, shape (dof,); with the node's lock held.

        Raises:
            LearnedArmError: They are not known.
        """
        aligned = self._aligner.sample(tick_ns, None if self._lock_step else time.monotonic_ns())
        if isinstance(aligned, Refusal):
            raise LearnedArmError(str(aligned))
        return self._builder.measured(aligned)

    def _joints_callback(self, topic: str) -> Callable[[bytes], None]:
        def take(raw: bytes) -> None:
            stamp_ns = cdr.header_stamp_ns(raw)
            self._aligner.push(topic, stamp_ns, time.monotonic_ns(), raw)
            if self._lock_step and stamp_ns % self._period_ns == 0 and self._aligner.reached(stamp_ns):
                self.newest_tick_ns = stamp_ns
                self._told.tick(stamp_ns, 0)

        return lambda raw: self._guard(lambda: take(raw))

    def _on_tick(self, tick_ns: int, late_ns: int) -> None:
        self._guard(lambda: self._told.tick(tick_ns, late_ns))

    def _on_sent(self, raw: bytes) -> None:
        try:
            view = cdr.read_joint_state(raw)
            # Without names nothing was commanded at this control tick.
            if not view.names:
                return
            sent_rad = self._sent_order.positions(view.names, view.position)
        except LearnedArmError as error:
            self._node.get_logger().error(f"{SENT} refused: {error}", throttle_duration_sec=1.0)
            return
        self._guard(lambda: self._told.sent(view.stamp_ns, sent_rad))

    def _on_door_status(self, message: DiagnosticStatus) -> None:
        self._door_measures = messages.status_values(message).get("measured") == "True"

    def _on_success(self, message: Bool) -> None:
        self._guard(lambda: self._told.success(bool(message.data)))
