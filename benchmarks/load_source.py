"""The load of `recorder_load`: three cameras and fast joint states from one process, until it is ended.

Parameters: `camera_hz`, `joint_hz`.
"""

from __future__ import annotations

import sys
import threading
import time

from rclpy.node import Node
from sensor_msgs.msg import Image, JointState

from benchmarks.streams import Stamped, image, joint_state
from benchmarks.topics import CAMERAS, JOINT_STATES
from learned_arm.contract import load_contract
from learned_arm.ros import qos
from learned_arm.ros.node import run


class LoadSource(Node):
    """See the module. A thread of its own publishes: a timer a stream would cost more than the messages."""

    def __init__(self) -> None:
        super().__init__("load_source")
        robot = load_contract("pick_cube").robot
        self._joint_period_s = 1.0 / float(self.declare_parameter("joint_hz", 500.0).value or 500.0)
        camera_period_s = 1.0 / float(self.declare_parameter("camera_hz", 30.0).value or 30.0)
        self._joints = self.create_publisher(JointState, JOINT_STATES, qos.small())
        self._positions = Stamped(joint_state(robot.joints, robot.home_rad))
        start_s = time.monotonic()
        # Spread over the period, as free-running cameras are.
        self._cameras = [
            [
                self.create_publisher(Image, topic, qos.images_out()),
                Stamped(image(index)),
                start_s + index * camera_period_s / 3,
            ]
            for index, topic in enumerate(CAMERAS)
        ]
        self._camera_period_s = camera_period_s
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._publish, name="load", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._ending.set()
        self._thread.join(2.0)

    def _publish(self) -> None:
        next_s = time.monotonic()
        while not self._ending.is_set():
            self._joints.publish(self._positions.at(time.time_ns()))
            now_s = time.monotonic()
            for camera in self._cameras:
                publisher, picture, due_s = camera
                if now_s >= due_s:
                    publisher.publish(picture.at(time.time_ns()))
                    camera[2] = due_s + self._camera_period_s
            next_s += self._joint_period_s
            time.sleep(max(next_s - time.monotonic(), 0.0))


if __name__ == "__main__":
    sys.exit(run(LoadSource))
