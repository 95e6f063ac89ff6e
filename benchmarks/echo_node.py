"""The floor under camera-to-command: takes raw images, resizes each, calls the model, sends a small message.

Parameters: `model` and `contract`, the policy that is measured; `times`, a file for how long resizes and calls took.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from benchmarks.bare_policy import BarePolicy
from benchmarks.topics import ECHO, ECHO_IMAGES
from learned_arm.cdr import header_stamp_ns
from learned_arm.contract import load_contract
from learned_arm.durable import write_json
from learned_arm.kept_memory import keep_freed_memory
from learned_arm.ros import messages, qos
from learned_arm.ros.node import run


class EchoNode(Node):
    """See the module."""

    def __init__(self) -> None:
        # As what is measured against it does.
        keep_freed_memory()
        super().__init__("echo_node")
        contract = load_contract(str(self.declare_parameter("contract", "").value))
        self._policy = BarePolicy(Path(str(self.declare_parameter("model", "").value)), contract)
        self._times = Path(str(self.declare_parameter("times", "times.json").value))
        cameras = len(contract.cameras)
        self._newest, self._raws = [0] * cameras, [b""] * cameras
        self._out = self.create_publisher(Header, ECHO, qos.small())
        for index, topic in enumerate(ECHO_IMAGES[:cameras]):
            self.create_subscription(
                Image, topic, partial(self._on_image, index), qos.images_in(lock_step=True), raw=True
            )

    def close(self) -> None:
        """Write the file."""
        write_json(self._times, [list(each) for each in self._policy.times_ms])

    def _on_image(self, index: int, raw: bytes) -> None:
        stamp_ns = header_stamp_ns(raw)
        self._newest[index], self._raws[index] = stamp_ns, raw
        if all(each == stamp_ns for each in self._newest):
            self._policy.run(self._raws)
            self._out.publish(Header(stamp=messages.time_message(stamp_ns)))


if __name__ == "__main__":
    sys.exit(run(EchoNode))
