"""A source's side of the door: take the lease, send targets, give it back. Never blocks the executor."""

from __future__ import annotations

import re

from rclpy.node import Node
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory

from learned_arm.robot import Robot
from learned_arm.ros import messages, qos
from learned_arm.ros.remote import Answer, RemoteNode
from learned_arm.timeline import Timeline

_FIRST_TICK = re.compile(r"first_tick_ns=(\d+)")


def with_first_tick(words: str, tick_ns: int) -> str:
    """The door's words to a source that it has engaged in lock-step: from which tick on it waits for targets."""
    return f"{words}, first_tick_ns={tick_ns}"


def first_tick_ns(words: str) -> int:
    """The first tick that the door waits for; 0 where it waits for none, in real time."""
    found = _FIRST_TICK.search(words)
    return int(found.group(1)) if found else 0


class DoorClient:
    """Speaks to arm_node for one source.

    Args:
        node: The source's node.
        robot: Names the joints of the targets.
        source: teleop, replay, policy or home.

    Attributes:
        first_tick_ns: Earlier ticks need no answer: the door was not waiting for this source then.
    """

    def __init__(self, node: Node, robot: Robot, source: str) -> None:
        self._joints = robot.joints
        self._source = source
        self._targets = node.create_publisher(JointTrajectory, f"/arm/{source}/targets", qos.small())
        self._arm = RemoteNode(node, "/arm_node")
        self._arm.prepare(engage=SetBool)
        self.first_tick_ns = 0

    @property
    def ready(self) -> bool:
        """Whether arm_node answers."""
        return self._arm.ready

    def engage(self, answer: Answer) -> None:
        """Ask for the lease; `answer(accepted, message)` is called from the executor."""

        def answered(accepted: bool, words: str) -> None:
            self.first_tick_ns = first_tick_ns(words)
            answer(accepted, words)

        self._arm.call("engage", SetBool.Request(data=True), answered, {"source": self._source})

    def release(self, answer: Answer) -> None:
        """Give the lease back."""
        self._arm.call("engage", SetBool.Request(data=False), answer, {"source": self._source})

    def send(self, stamp_ns: int, timeline: Timeline | None) -> None:
        """Send targets stamped with the tick; None or an empty timeline means stop and hold."""
        self._targets.publish(messages.targets(stamp_ns, self._joints, timeline))
