"""One hop of a small message: takes what the echo node sends, and sends it on with the monotonic time it came, ns."""

from __future__ import annotations

import sys
import time

from rclpy.node import Node
from std_msgs.msg import Header

from benchmarks.topics import ECHO, RELAY
from learned_arm.cdr import header_stamp_ns
from learned_arm.ros import messages, qos
from learned_arm.ros.node import run


class RelayNode(Node):
    """See the module."""

    def __init__(self) -> None:
        super().__init__("relay_node")
        self._out = self.create_publisher(Header, RELAY, qos.small())
        self.create_subscription(Header, ECHO, self._on_echo, qos.small(), raw=True)

    def _on_echo(self, raw: bytes) -> None:
        came_ns = time.monotonic_ns()
        self._out.publish(Header(stamp=messages.time_message(header_stamp_ns(raw)), frame_id=str(came_ns)))


if __name__ == "__main__":
    sys.exit(run(RelayNode))
