"""A polled subscription: everything in order when it is asked for, and no executor wakes for it."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytestmark = pytest.mark.ros


def test_messages_wait_until_they_are_taken(ros_domain_id: int) -> None:
    import rclpy
    from rclpy.context import Context
    from rclpy.executors import SingleThreadedExecutor
    from sensor_msgs.msg import JointState

    from learned_arm import cdr
    from learned_arm.ros import messages, qos
    from learned_arm.ros.polled import PolledSubscription

    context = Context()
    rclpy.init(context=context, domain_id=ros_domain_id)
    node = rclpy.create_node("polled", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    polled = PolledSubscription(node, JointState, "/polled", qos.newest(5))
    out = node.create_publisher(JointState, "/polled", qos.small())
    try:
        deadline_s = time.monotonic() + 10.0
        while not out.get_subscription_count():
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        for stamp_ns in range(3):
            out.publish(messages.joint_state(stamp_ns, (), np.empty(0)))
        executor.spin_once(timeout_sec=0.3)
        stamps: list[int] = []
        while len(stamps) < 3:
            assert time.monotonic() < deadline_s
            stamps += [cdr.header_stamp_ns(raw) for raw in polled.take()]
        assert stamps == [0, 1, 2]
        assert polled.take() == []
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)
