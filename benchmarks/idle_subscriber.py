"""The floor under `recorder_load`: takes every message raw and does nothing with it."""

from __future__ import annotations

import sys
from typing import Any

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile
from sensor_msgs.msg import Image, JointState

from benchmarks.topics import CAMERAS, JOINT_STATES
from learned_arm.kept_memory import keep_freed_memory
from learned_arm.ros.node import run


class IdleSubscriber(Node):
    """See the module."""

    def __init__(self) -> None:
        # As what is measured against it does.
        keep_freed_memory()
        super().__init__("idle_subscriber")
        for topic in CAMERAS:
            self._take(Image, topic, 64)
        self._take(JointState, JOINT_STATES, 1000)

    def _take(self, kind: type, topic: str, depth: int) -> None:
        profile = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth)
        self.create_subscription(kind, topic, self._drop, profile, raw=True)

    def _drop(self, raw: Any) -> None:
        """Nothing."""


if __name__ == "__main__":
    sys.exit(run(IdleSubscriber))
