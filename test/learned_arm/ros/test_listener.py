"""A listener: all messages in order, on a thread of its own, until it is closed; what goes wrong shows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from learned_arm import cdr

pytestmark = pytest.mark.ros
_PATIENCE_S = 10.0


class Bench:
    """A node with its executor, a publisher, and what was heard: stamps and threads."""

    def __init__(self, domain_id: int) -> None:
        import rclpy
        from rclpy.context import Context
        from rclpy.executors import SingleThreadedExecutor
        from sensor_msgs.msg import JointState

        from learned_arm.ros import qos
        from learned_arm.ros.listener import Listener

        self.context = Context()
        rclpy.init(context=self.context, domain_id=domain_id)
        self.node = rclpy.create_node("listening", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.out = self.node.create_publisher(JointState, "/heard", qos.small())
        self.heard: list[tuple[int, int, int]] = []
        self.listener = Listener(self.node, "ears")
        self.take: Callable[[bytes], None] = lambda _raw: None
        self.listener.listen(JointState, "/heard", qos.small(), self._hear)

    def _hear(self, raw: bytes, info: dict[str, Any]) -> None:
        self.take(raw)
        number = info["publication_sequence_number"]
        self.heard.append((cdr.header_stamp_ns(raw), number, threading.get_ident()))

    def say(self, stamp_ns: int) -> None:
        """One message."""
        from learned_arm.ros import messages

        self.out.publish(messages.joint_state(stamp_ns, (), np.empty(0)))

    def until(self, done: Callable[[], object]) -> None:
        """Spin until something holds."""
        deadline_s = time.monotonic() + _PATIENCE_S
        while not done():
            assert time.monotonic() < deadline_s, self.heard
            self.executor.spin_once(timeout_sec=0.02)

    def close(self) -> None:
        """End it all."""
        self.executor.shutdown()
        self.node.destroy_node()
        self.context.try_shutdown()


@pytest.fixture
def bench(ros_domain_id: int) -> Iterator[Bench]:
    """A bench, whose listener the test starts and closes."""
    made = Bench(ros_domain_id)
    yield made
    made.close()


def test_every_message_comes_in_order_and_on_another_thread_than_the_executors(bench: Bench) -> None:
    bench.until(bench.out.get_subscription_count)
    bench.say(1)
    time.sleep(0.1)
    assert not bench.heard, "before it was started"
    bench.listener.start()
    for stamp_ns in range(2, 9):
        bench.say(stamp_ns)
    bench.until(lambda: len(bench.heard) == 8)
    assert [stamp_ns for stamp_ns, _, _ in bench.heard] == list(range(1, 9))
    numbers = [number for _, number, _ in bench.heard]
    assert numbers == list(range(numbers[0], numbers[0] + 8))
    assert {thread for _, _, thread in bench.heard}.isdisjoint({threading.get_ident()})
    bench.listener.close()
    assert not bench.out.get_subscription_count() and "ears" not in {each.name for each in threading.enumerate()}


def test_what_a_callback_raises_comes_out_of_the_executor(bench: Bench) -> None:
    def fail(_raw: bytes) -> None:
        raise ValueError("of a callback")

    bench.take = fail
    bench.listener.start()
    bench.until(bench.out.get_subscription_count)
    bench.say(1)
    with pytest.raises(ValueError, match="of a callback"):
        bench.until(lambda: False)
    bench.listener.close()
