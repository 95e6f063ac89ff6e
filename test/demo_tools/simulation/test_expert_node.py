"""The scripted operator, the door and the simulated arm as processes: one episode over DDS."""

from __future__ import annotations

import time
from typing import Any

import pytest

from learned_arm.contract import Contract

pytestmark = pytest.mark.ros


def test_an_episode_through_the_door(spawn: Any, ros_domain_id: int, pick: Contract) -> None:
    import rclpy
    from diagnostic_msgs.msg import DiagnosticStatus
    from rclpy.context import Context
    from rclpy.executors import SingleThreadedExecutor
    from std_msgs.msg import Bool
    from std_srvs.srv import Trigger

    from learned_arm.ros import messages, qos
    from learned_arm.ros.remote import RemoteNode

    for module in ("demo_tools.simulation.node", "arm_control.arm_node", "demo_tools.simulation.expert_node"):
        spawn.node(module, use_sim_time=True)
    context = Context()
    rclpy.init(context=context, domain_id=ros_domain_id)
    node = rclpy.create_node("operator", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    states: list[dict[str, str]] = []
    door: list[dict[str, str]] = []
    success: list[bool] = []
    small = qos.small()

    def on_success(message: Bool) -> None:
        success.append(bool(message.data))

    for topic, kept in (("/scripted_expert_node/status", states), ("/arm_node/status", door)):

        def on_status(message: DiagnosticStatus, kept: list[dict[str, str]] = kept) -> None:
            kept.append(messages.status_values(message))

        node.create_subscription(DiagnosticStatus, topic, on_status, small)
    node.create_subscription(Bool, "/task/success", on_success, small)
    expert = RemoteNode(node, "/scripted_expert_node")
    expert.prepare(start=Trigger)

    def wait(done: Any) -> None:
        deadline_s = time.monotonic() + 40.0
        while not done():
            executor.spin_once(timeout_sec=0.05)
            assert time.monotonic() < deadline_s, (states, door[-1:])

    answers: list[tuple[bool, str]] = []
    wait(lambda: expert.ready and success)
    expert.trigger("start", lambda accepted, words: answers.append((accepted, words)))
    wait(lambda: answers)
    expert.trigger("start", lambda accepted, words: answers.append((accepted, words)))
    wait(lambda: any(state["state"] in ("done", "failed") for state in states))
    ended = len(door)
    wait(lambda: len(door) > ended + 1)
    executor.shutdown()
    node.destroy_node()
    rclpy.try_shutdown(context=context)

    assert answers[0] == (True, "episode 1")
    assert not answers[1][0] and "busy" in answers[1][1]
    assert [each["state"] for each in states] == ["engaging", "playing", "holding", "releasing", "done"]
    assert success[-1], "the cube is still held when the lease is given back"
    assert door[-1]["holder"] == ""
    assert not [key for key in door[-1] if key.startswith("clamped_")], door[-1]
