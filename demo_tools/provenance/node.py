"""A node that lives for one snapshot of the robot that is running."""

from __future__ import annotations

import os
import time
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_arm.ros import transport
from learned_arm.ros.capture import Capture

NAME = "learned_arm_snapshot"
_TIMEOUT_S = 3.0
# Discovery is over when nothing new has come for a while.
_QUIET_S = 1.5
_DISCOVERY_S = 8.0
_STATIC_S = 20.0
_SPIN_S = 0.02


def take_snapshot(contract: Contract) -> dict[str, Any]:
    """What runs on this process's ROS_DOMAIN_ID, as plain data.

    Raises:
        LearnedArmError: It did not end, though every part of it has a limit.
    """
    os.environ.setdefault(transport.PROFILE_VARIABLE, str(transport.profile_path()))
    context = Context()
    rclpy.init(context=context)
    node = Node(NAME, context=context, enable_rosout=False)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    capture = Capture(node, contract, timeout_s=_TIMEOUT_S)
    try:
        _discover(node, executor, capture)
        found: list[dict[str, Any]] = []
        capture.begin(found.append)
        deadline_s = time.monotonic() + _STATIC_S
        while not found:
            executor.spin_once(timeout_sec=_SPIN_S)
            if time.monotonic() > deadline_s:
                raise LearnedArmError("the snapshot did not end", got=f"{_STATIC_S:g} s", allowed=f"{_TIMEOUT_S:g} s")
        return found[0]
    finally:
        capture.close()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown(context=context)


def _discover(node: Node, executor: SingleThreadedExecutor, capture: Capture) -> None:
    """Spin until the graph stands still and the static part is there."""
    began_s = changed_s = time.monotonic()
    known: Any = None
    while time.monotonic() < began_s + _DISCOVERY_S:
        executor.spin_once(timeout_sec=_SPIN_S)
        now_s = time.monotonic()
        seen = node.get_node_names(), node.get_service_names_and_types(), node.get_topic_names_and_types()
        if seen != known:
            known, changed_s = seen, now_s
        if now_s > changed_s + _QUIET_S and capture.is_ready:
            return
