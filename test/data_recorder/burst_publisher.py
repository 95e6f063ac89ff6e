"""A process that publishes raw messages: a trickle that keeps every stream alive, with a burst within.

Arguments: a folder for its files, and the number of messages a topic in the burst. The burst begins when the
file `go` appears; then `published.pickle` holds every payload of every topic, in order, up to the end of the
burst. Ends on SIGINT or SIGTERM.
"""

from __future__ import annotations

import pickle
import signal
import sys
import time
from pathlib import Path

import rclpy
from rclpy.node import Node
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray, String
from trajectory_msgs.msg import JointTrajectory

from learned_arm.ros import messages, qos

TRICKLE = {"/front/image_raw": Image, "/wrist/image_raw": Image, "/joint_states": JointState}
BURST = {"/arm/sent": JointState, "/forward_position_controller/commands": Float64MultiArray, **TRICKLE}
LATE = {"/arm/policy/targets": JointTrajectory}
LATCHED = {"/robot_description": String, "/sim/state": Float64MultiArray}
JOINTS = [
    "shoulder_pan_joint",
    "shoulder_lift_joint",
    "elbow_joint",
    "wrist_1_joint",
    "wrist_2_joint",
    "wrist_3_joint",
    "robotiq_85_left_knuckle_joint",
]


def payload(kind: type, number: int) -> bytes:
    """A message whose content tells its number."""
    if kind is String:
        message = String(data=f"<robot number='{number}'/>")
    elif kind is Float64MultiArray:
        message = Float64MultiArray(data=[float(number), 0.5])
    elif kind is Image:
        message = Image(height=8, width=8, encoding="rgb8", step=24, data=bytes([number % 256]) * 192)
        message.header.stamp = messages.time_message(number * 1_000_000)
    elif kind is JointTrajectory:
        message = JointTrajectory(joint_names=JOINTS)
        message.header.stamp = messages.time_message(number * 1_000_000)
    else:
        message = JointState(name=JOINTS, position=[number / 1000] * len(JOINTS))
        message.header.stamp = messages.time_message(number * 1_000_000)
    return serialize_message(message)


class Burst:
    """Publishers and what they have sent."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publishers: dict[str, tuple[type, object]] = {}
        self.sent: dict[str, list[bytes]] = {}

    def create(self, kinds: dict[str, type], latched: bool = False) -> None:
        for topic, kind in kinds.items():
            if topic not in self.sent:
                profile = qos.latched() if latched else qos.small()
                self._publishers[topic] = kind, self._node.create_publisher(kind, topic, profile)
                self.sent[topic] = []

    def publish(self, kinds: dict[str, type]) -> None:
        for topic in kinds:
            kind, publisher = self._publishers[topic]
            data = payload(kind, len(self.sent[topic]))
            publisher.publish(data)  # type: ignore[attr-defined]
            self.sent[topic].append(data)

    def heard(self) -> bool:
        return all(each.get_subscription_count() > 0 for _, each in self._publishers.values())  # type: ignore[attr-defined]


def main(folder: Path, count: int) -> None:
    """Trickle, burst, trickle."""
    stopping: list[int] = []
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda number, _frame: stopping.append(number))
    rclpy.init(signal_handler_options=rclpy.SignalHandlerOptions.NO)
    burst = Burst(Node("burst"))
    burst.create(LATCHED, latched=True)
    burst.publish(LATCHED)
    burst.publish(LATCHED)
    burst.create(BURST)
    done = False
    while not stopping:
        burst.publish(TRICKLE)
        time.sleep(0.05)
        if not done and (folder / "go").exists():
            burst.create(LATE)
            if burst.heard():
                for number in range(count):
                    burst.publish({**BURST, **LATE})
                    if number % 10 == 9:
                        time.sleep(0.005)
                (folder / "published.part").write_bytes(pickle.dumps(burst.sent))
                (folder / "published.part").rename(folder / "published.pickle")
                done = True
    rclpy.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
