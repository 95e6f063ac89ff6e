"""A node that lives for one snapshot of the robot that is running."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
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
# Participants announce themselves every 3 s: when nothing new has come for longer, everybody was heard.
_QUIET_S = 3.2
# Whoever is expected was heard; a moment for the topics and services of the last one.
_SETTLE_S = 0.75
_DISCOVERY_S = 10.0
_STATIC_S = 20.0
_SPIN_S = 0.02


def take_snapshot(contract: Contract, expected: Collection[str] = ()) -> dict[str, Any]:
    """What runs on this process's ROS_DOMAIN_ID, as plain data.

    Args:
        contract: Names cameras and joint states.
        expected: Nodes that run if all is as it was; when they are there, no other is waited for.

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
        _discover(node, executor, capture, set(expected))
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


def _discover(node: Node, executor: SingleThreadedExecutor, capture: Capture, expected: set[str]) -> None:
    """Spin until the graph stands still and the static part is there."""
    began_s = changed_s = time.monotonic()
    known: Any = None
    while time.monotonic() < began_s + _DISCOVERY_S:
        executor.spin_once(timeout_sec=_SPIN_S)
        now_s = time.monotonic()
        nodes = {f"{space.rstrip('/')}/{name}" for name, space in node.get_node_names_and_namespaces()}
        seen = nodes, node.get_service_names_and_types(), node.get_topic_names_and_types()
        if seen != known:
            known, changed_s = seen, now_s
        quiet_s = _SETTLE_S if expected and expected <= nodes else _QUIET_S
        if now_s > changed_s + quiet_s and capture.is_ready:
            return
