"""What the recorder does with a reader that the middleware has got stuck."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

pytest.importorskip("rclpy")
pytestmark = pytest.mark.ros


def test_a_stuck_subscription_is_made_anew_and_what_it_handed_out_is_no_message(ros_domain_id: int) -> None:
    import rclpy
    from rclpy.node import Node
    from std_msgs.msg import String

    from data_recorder.episode_writer import Received
    from data_recorder.intake import Intake
    from learned_arm.ros import qos

    context = rclpy.Context()
    rclpy.init(context=context, domain_id=ros_domain_id)
    node = Node("recorder", context=context)
    got: list[Received] = []
    intake = Intake(node, got.extend)
    try:
        publisher = node.create_publisher(String, "/words", qos.small())
        intake.subscribe("/words", String, qos.small(), latched=False)
        word = b"\x00\x01\x00\x00\x02\x00\x00\x00a\x00"

        def until(condition: Callable[[], object], what: str) -> None:
            deadline_s = time.monotonic() + 10.0
            while not condition():
                assert time.monotonic() < deadline_s, what
                time.sleep(0.02)

        until(lambda: publisher.get_subscription_count() == 1, "the first reader")
        publisher.publish(word)
        until(lambda: len(got) == 1, "the first word")
        assert intake.renew_stuck() == {}
        # Fast DDS hands out an empty sample again and again; a publisher can send one.
        publisher.publish(b"")
        publisher.publish(word)
        renewed: dict[str, object] = {}
        until(lambda: renewed.update(intake.renew_stuck()) or renewed, "the stuck reader")
        assert set(renewed) == {"/words"}
        until(lambda: publisher.get_subscription_count() == 1, "the second reader")
        before = len(got)
        publisher.publish(word)
        until(lambda: len(got) > before, "a word that the second reader heard")
        assert {message.data for message in got} == {word}
    finally:
        intake.stop()
        node.destroy_node()
        context.try_shutdown()
