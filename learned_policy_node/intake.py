"""What the policy node listens to: the streams of the contract as raw bytes, and the commands that the door sent."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from geometry_msgs.msg import WrenchStamped
from rclpy.node import Node
from sensor_msgs.msg import JointState

from learned_arm import cdr
from learned_arm.clock_watch import TimeFaultError
from learned_arm.errors import LearnedArmError
from learned_arm.observation import JointOrder
from learned_arm.ros import messages, qos
from learned_arm.ros.listener import Listener
from learned_policy_node.loop import PolicyLoop


class Intake:
    """Subscribes and hands everything to a loop; of a message only its header is read here.

    Attributes:
        lost: Messages that never came here, by the gaps in their publication numbers.
        time_faults: Messages stamped in the future or backward.

    Args:
        node: Whose subscriptions these are; a thread of their own takes from them.
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
        self._listener = Listener(node, "streams")
        for camera in loop.contract.cameras.values():
            kind = messages.image_type(camera.message)
            self._listener.listen(kind, camera.topic, images, partial(self._on_stream, camera.topic))
        for source in loop.contract.robot.joint_states:
            self._listener.listen(JointState, source.topic, qos.small(), partial(self._on_stream, source.topic))
        for wrench in loop.contract.wrenches.values():
            self._listener.listen(
                WrenchStamped, wrench.topic, qos.sensors_in(lock_step), partial(self._on_stream, wrench.topic)
            )
        self._listener.listen(JointState, "/arm/sent", qos.small(), self._on_sent)
        self._listener.start()

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()

    def _on_stream(self, topic: str, raw: bytes, info: dict[str, Any]) -> None:
        received_ns = time.monotonic_ns()
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

    def _on_sent(self, raw: bytes, _info: dict[str, Any]) -> None:
        try:
            view = cdr.read_joint_state(raw)
            # Without names nothing was commanded at this control tick.
            if view.names:
                self._loop.command_sent(view.stamp_ns, self._order.positions(view.names, view.position))
        except LearnedArmError as error:
            self._node.get_logger().error(f"/arm/sent refused: {error}", throttle_duration_sec=1.0)
