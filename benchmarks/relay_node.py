"""One hop of a small message: takes what the echo node sends and sends it on."""

from __future__ import annotations

import sys

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
        self._out.publish(Header(stamp=messages.time_message(header_stamp_ns(raw))))


if __name__ == "__main__":
    sys.exit(run(RelayNode))
