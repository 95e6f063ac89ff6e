"""The floor under camera-to-command: takes a raw image, sends a small message with its stamp, does nothing else."""

from __future__ import annotations

import struct
import sys
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from benchmarks.topics import ECHO, ECHO_IMAGE
from learned_arm.ros import qos
from learned_arm.ros.node import run


class EchoNode(Node):
    """See the module."""

    def __init__(self) -> None:
        super().__init__("echo_node")
        self._out = self.create_publisher(Header, ECHO, qos.small())
        self.create_subscription(Image, ECHO_IMAGE, self._on_image, qos.images_in(lock_step=True), raw=True)

    def _on_image(self, raw: Any) -> None:
        message = Header()
        message.stamp.sec, message.stamp.nanosec = struct.unpack_from("<iI", raw, 4)
        self._out.publish(message)


if __name__ == "__main__":
    sys.exit(run(EchoNode))
