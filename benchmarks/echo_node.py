"""The floor under camera-to-command: takes raw images, sends a small message with their stamp, does nothing else.

Parameter: `cameras`, how many images of a stamp it waits for.
"""

from __future__ import annotations

import sys
from functools import partial

from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from benchmarks.topics import ECHO, ECHO_IMAGES
from learned_arm.cdr import header_stamp_ns
from learned_arm.ros import messages, qos
from learned_arm.ros.node import run


class EchoNode(Node):
    """See the module."""

    def __init__(self) -> None:
        super().__init__("echo_node")
        cameras = int(self.declare_parameter("cameras", 1).value or 1)
        self._newest = [0] * cameras
        self._out = self.create_publisher(Header, ECHO, qos.small())
        for index, topic in enumerate(ECHO_IMAGES[:cameras]):
            self.create_subscription(
                Image, topic, partial(self._on_image, index), qos.images_in(lock_step=True), raw=True
            )

    def _on_image(self, index: int, raw: bytes) -> None:
        stamp_ns = header_stamp_ns(raw)
        self._newest[index] = stamp_ns
        if all(each == stamp_ns for each in self._newest):
            self._out.publish(Header(stamp=messages.time_message(stamp_ns)))


if __name__ == "__main__":
    sys.exit(run(EchoNode))
