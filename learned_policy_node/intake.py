"""What the policy node listens to: the streams of the contract as raw bytes, and the commands that the door sent."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import Image, JointState

from learned_arm import cdr
from learned_arm.clock_watch import TimeFaultError
from learned_arm.errors import LearnedArmError
from learned_arm.observation import JointOrder
from learned_arm.ros import qos
from learned_policy_node.loop import PolicyLoop


class Intake:
    """Subscribes and hands everything to a loop; of a message only its header is read here.

    Attributes:
        lost: Messages that never came here, by the gaps in their publication numbers.
        time_faults: Messages stamped in the future or backward.

    Args:
        node: Whose executor calls.
        loop: Takes the messages.
        lock_step: Whether each frame is awaited.
        arrived: Called after a message that a tick may wait for.
        distrust: Called with what is wrong about the time of a message.
    """

    def __init__(
        self,
        node: Node,
        loop: PolicyLoop,
        lock_step: bool,
        arrived: Callable[[], object],
        distrust: Callable[[TimeFaultError], object],
    ) -> None:
        self.lost = self.time_faults = 0
        self._node, self._loop, self._lock_step = node, loop, lock_step
        self._arrived, self._distrust = arrived, distrust
        self._numbers: dict[str, int] = {}
        self._order = JointOrder(loop.contract.robot.joints)
        images = qos.images_in(lock_step)
        self._streams: dict[str, tuple[type, QoSProfile]] = {
            **{each.topic: (Image, images) for each in loop.contract.cameras.values()},
            **{each.topic: (JointState, qos.small()) for each in loop.contract.robot.joint_states},
        }
        self._subscriptions = {topic: self._listen(topic) for topic in self._streams}
        self._sent = node.create_subscription(JointState, "/arm/sent", self._on_sent, qos.small(), raw=True)

    def close(self) -> None:
        """Listen no more."""
        for each in (*self._subscriptions.values(), self._sent):
            self._node.destroy_subscription(each)
        self._subscriptions.clear()

    def _listen(self, topic: str) -> Subscription:
        kind, profile = self._streams[topic]
        # rclpy passes the information of a message to who takes it; its annotation does not say so.
        callback: Any = partial(self._on_stream, topic)
        return self._node.create_subscription(kind, topic, callback, profile, raw=True)

    def _on_stream(self, topic: str, raw: bytes, info: dict[str, Any]) -> None:
        received_ns = time.monotonic_ns()
        if not raw:
            # See `data_recorder.intake`: it would be called back with this for ever.
            self._node.destroy_subscription(self._subscriptions[topic])
            self._subscriptions[topic] = self._listen(topic)
            self._node.get_logger().warning(f"{topic} was stuck in the middleware; subscribed anew")
            return
        # One publisher a topic: a gap in its numbers is a message that never came here.
        number = info["publication_sequence_number"]
        last = self._numbers.get(topic)
        if last is not None and number > last + 1:
            self.lost += number - last - 1
        self._numbers[topic] = number
        try:
            now_ns = None if self._lock_step else self._node.get_clock().now().nanoseconds
            self._loop.push(topic, cdr.header_stamp_ns(raw), received_ns, raw, now_ns)
        except TimeFaultError as error:
            self.time_faults += 1
            self._distrust(error)
            return
        except LearnedArmError as error:
            self._node.get_logger().error(f"{topic} refused: {error}", throttle_duration_sec=1.0)
            return
        self._arrived()

    def _on_sent(self, raw: bytes) -> None:
        try:
            view = cdr.read_joint_state(raw)
            # Without names nothing was commanded at this control tick.
            if view.names:
                self._loop.command_sent(view.stamp_ns, self._order.positions(view.names, view.position))
        except LearnedArmError as error:
            self._node.get_logger().error(f"/arm/sent refused: {error}", throttle_duration_sec=1.0)
