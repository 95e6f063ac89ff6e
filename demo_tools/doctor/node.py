"""Listens to a robot that is running, for a few seconds, and moves nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import WrenchStamped
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState

from demo_tools.doctor.heard import HeardCamera, HeardJoints, HeardTopic, HeardWrench
from learned_arm.contract import Contract
from learned_arm.ros import messages, qos
from learned_arm.ros.listener import Listener

NAME = "learned_arm_doctor"
# Best effort hears every publisher; deep enough that it is the publisher who is late, if anybody.
_EARS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=200, reliability=ReliabilityPolicy.BEST_EFFORT)
_SPIN_S = 0.05
# The first message of a stream may have waited for discovery; a stream that is never heard is waited for so long.
_SETTLE_S, _LONGEST_SETTLE_S = 1.0, 4.0


@dataclass(frozen=True)
class Heard:
    """What came.

    Attributes:
        joints: By topic.
        cameras: By topic.
        wrenches: By topic.
        status: The newest values of `/arm_node/status`.
        services: Names of all services, those of actions among them.
    """

    joints: dict[str, HeardJoints]
    cameras: dict[str, HeardCamera]
    wrenches: dict[str, HeardTopic]
    status: dict[str, str]
    services: Sequence[str]


def listen(contract: Contract, seconds: float) -> Heard:
    """Listen to joint states, cameras, wrenches and the door.

    Args:
        contract: Names them.
        seconds: How long, from when every stream was heard once: after a second at the earliest, four at the latest.
    """
    context = Context()
    rclpy.init(context=context)
    node = Node(NAME, context=context, enable_rosout=False)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    listener = Listener(node, "doctor")
    joints = {each.topic: HeardJoints(each.topic) for each in contract.robot.joint_states}
    cameras = {each.topic: HeardCamera(each.topic, each.message) for each in contract.cameras.values()}
    wrenches: dict[str, HeardTopic] = {each.topic: HeardWrench(each.topic) for each in contract.wrenches.values()}
    kinds: dict[str, type] = {**dict.fromkeys(joints, JointState), **dict.fromkeys(wrenches, WrenchStamped)}
    kinds |= {each.topic: messages.image_type(each.message) for each in contract.cameras.values()}
    status: dict[str, str] = {}
    unheard, starts_ns = set(kinds), math.inf

    def take(heard: HeardTopic, raw: bytes, info: dict[str, Any]) -> None:
        unheard.discard(heard.topic)
        received_ns = int(info["received_timestamp"])
        if received_ns >= starts_ns:
            heard.add(raw, int(info["source_timestamp"]), received_ns, info.get("publication_sequence_number"))

    def spin(least_s: float, most_s: float) -> None:
        """Until every stream was heard, within bounds."""
        began_s = time.monotonic()
        while (spent_s := time.monotonic() - began_s) < most_s and (unheard or spent_s < least_s):
            executor.spin_once(timeout_sec=_SPIN_S)

    def see(message: DiagnosticStatus) -> None:
        status.update(messages.status_values(message), text=message.message)

    try:
        for topic, each in (*joints.items(), *cameras.items(), *wrenches.items()):
            listener.listen(kinds[topic], topic, _EARS, partial(take, each))
        node.create_subscription(DiagnosticStatus, "/arm_node/status", see, qos.small())
        listener.start()
        spin(_SETTLE_S, _LONGEST_SETTLE_S)
        starts_ns = time.time_ns()
        spin(seconds, seconds)
        services = [name for name, _ in node.get_service_names_and_types()]
        return Heard(joints, cameras, wrenches, status, services)
    finally:
        listener.close()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown(context=context)
