"""The one place where commands leave for controllers: one publisher a joint group, by its adapter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from learned_arm.robot import JointGroup, Robot
from learned_arm.ros import messages, qos
from learned_arm.timeline import at_point

# A trajectory controller interpolates to the point; two periods bridge a late tick and still end soon without us.
_TRAJECTORY_PERIODS = 2
# Adapters whose controller goes on with the last command for ever when no other comes.
HOLDS_THE_LAST = ("forward_position",)


class CommandSinks:
    """Publishers of a robot's controllers. Only `arm_node` may have one."""

    def __init__(self, node: Node, robot: Robot) -> None:
        self._robot = robot
        kinds = {"forward_position": Float64MultiArray, "joint_trajectory": JointTrajectory}
        self._publishers = [
            (group, node.create_publisher(kinds[group.command.adapter], group.command.topic, qos.small()))
            for group in robot.groups
        ]

    def send(self, stamp_ns: int, sent_rad: NDArray[np.float64]) -> None:
        """Publish a command in joint order, shape (dof,), to every group."""
        for group, publisher in self._publishers:
            publisher.publish(self._message(group, stamp_ns, sent_rad[self._robot.slices[group.name]]))

    def _message(
        self, group: JointGroup, stamp_ns: int, position_rad: NDArray[np.float64]
    ) -> Float64MultiArray | JointTrajectory:
        if group.command.adapter == "forward_position":
            return Float64MultiArray(data=messages.doubles(position_rad))
        # Stamp 0 in the header means "start now" to the controller, whatever the two clocks say.
        ahead_ns = _TRAJECTORY_PERIODS * self._robot.control_period_ns
        return messages.targets(0, group.joints, at_point(ahead_ns, position_rad))
