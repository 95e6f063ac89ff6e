"""A process that publishes 640x480 pictures at 30 Hz and joint states at 500 Hz, and knows what it has published.

Arguments: a file, and the topics of its cameras. On SIGUSR1 the file is written: by topic, in order, the stamp (system
time, ns) and the SHA-256 of every payload so far. No two payloads are alike. Ends on SIGINT or SIGTERM.
"""

from __future__ import annotations

import hashlib
import pickle
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import rclpy
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState

from benchmarks.streams import Stamped, image, joint_state
from learned_arm.contract import load_contract
from learned_arm.ros import qos

CAMERA_HZ, JOINT_HZ = 30.0, 500.0
JOINT_STATES = "/joint_states"


class Stream:
    """One publisher, when it is due, and what it has sent."""

    def __init__(self, publisher: object, message: Stamped, period_s: float, due_s: float) -> None:
        self._publisher, self._message, self._period_s, self._due_s = publisher, message, period_s, due_s
        self.sent: list[tuple[int, bytes]] = []

    def publish_when_due(self, now_s: float) -> float:
        """Publish one message if it is time; when the next one is due."""
        if now_s >= self._due_s:
            stamp_ns = time.time_ns()
            data = self._message.at(stamp_ns)
            self._publisher.publish(data)  # type: ignore[attr-defined]
            self.sent.append((stamp_ns, hashlib.sha256(data).digest()))
            self._due_s += self._period_s
        return self._due_s


def main(truth: Path, cameras: Sequence[str]) -> None:
    """Publish until a signal comes."""
    ending: list[int] = []
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda number, _frame: ending.append(number))
    asked: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, _frame: asked.append(number))
    rclpy.init(signal_handler_options=rclpy.SignalHandlerOptions.NO)
    node = Node("load")
    robot = load_contract("pick_cube").robot
    start_s, period_s = time.monotonic(), 1.0 / CAMERA_HZ
    positions = Stamped(joint_state(robot.joints, robot.home_rad))
    joints = Stream(node.create_publisher(JointState, JOINT_STATES, qos.small()), positions, 1.0 / JOINT_HZ, start_s)
    streams = {JOINT_STATES: joints}
    for index, topic in enumerate(cameras):
        # Spread over the period, as free-running cameras are.
        due_s = start_s + index * period_s / len(cameras)
        publisher = node.create_publisher(Image, topic, qos.images_out())
        streams[topic] = Stream(publisher, Stamped(image(index)), period_s, due_s)
    while not ending:
        now_s = time.monotonic()
        next_s = min(stream.publish_when_due(now_s) for stream in streams.values())
        if asked:
            asked.clear()
            part = truth.with_suffix(".part")
            part.write_bytes(pickle.dumps({topic: stream.sent for topic, stream in streams.items()}))
            part.rename(truth)
        time.sleep(max(next_s - time.monotonic(), 0.0))
    rclpy.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
