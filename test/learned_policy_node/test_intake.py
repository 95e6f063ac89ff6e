"""What the policy node does with a reader that the middleware has got stuck."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from learned_arm.contract import Contract
from learned_policy_node.chunking import TemporalEnsemble
from learned_policy_node.loop import PolicyLoop
from learned_policy_node.onnx_policy import OnnxPolicy

pytest.importorskip("rclpy")
pytestmark = pytest.mark.ros


def test_a_stuck_stream_is_subscribed_to_anew_and_what_it_missed_is_counted(
    ros_domain_id: int, make_model: Callable[..., Path], contract: Contract
) -> None:
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.node import Node
    from sensor_msgs.msg import JointState

    from learned_arm.ros import qos
    from learned_policy_node.intake import Intake

    context = rclpy.Context()
    rclpy.init(context=context, domain_id=ros_domain_id)
    node = Node("policy", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    arrivals: list[None] = []
    loop = PolicyLoop(OnnxPolicy(make_model()), TemporalEnsemble(contract.period_ns))
    intake = Intake(node, loop, False, lambda: arrivals.append(None), lambda error: pytest.fail(str(error)))
    robot = contract.robot
    topic = robot.joint_states[0].topic
    publisher = node.create_publisher(JointState, topic, qos.small())

    def say() -> None:
        message = JointState(name=list(robot.joints), position=list(robot.home_rad))
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)

    def until(condition: Callable[[], object], what: str) -> None:
        deadline_s = time.monotonic() + 10.0
        while not condition():
            assert time.monotonic() < deadline_s, what
            executor.spin_once(timeout_sec=0.02)

    try:
        until(lambda: publisher.get_subscription_count() == 1, "the first reader")
        say()
        until(lambda: len(arrivals) == 1, "the first joint state")
        stuck = next(each for each in node.subscriptions if each.topic_name == topic)
        publisher.publish(b"")
        until(lambda: stuck not in list(node.subscriptions), "the end of the stuck reader")
        until(lambda: publisher.get_subscription_count() == 1, "the second reader")
        say()
        until(lambda: len(arrivals) == 2, "a joint state that the second reader heard")
        # What came in between is a gap in the publisher's numbers.
        assert (intake.lost, intake.time_faults) == (1, 0)
    finally:
        intake.close()
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()
