"""The one place where commands leave for controllers: one sink a controller, by its adapter."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from rclpy.duration import Duration
from rclpy.node import Node
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from learned_arm import cdr_write
from learned_arm.command_spec import ACTIONS, NAMED, Controller, NamedSettings, TrajectorySettings, VelocitySettings
from learned_arm.commander import Command
from learned_arm.robot import Robot
from learned_arm.ros import messages, qos
from learned_arm.ros.optional import load_messages
from learned_arm.velocity_law import VelocityLaw

_SECOND_NS = 1_000_000_000
_LAST_WORDS = Duration(seconds=0.2)


class Sink(Protocol):
    """What speaks to one controller."""

    def send(self, sent_rad: NDArray[np.float64], command: Command) -> None:
        """Pass on a command: the controller's joints in its order, shape (joints,), and what they are part of."""

    def rest(self) -> None:
        """A tick without a command: the door is closed."""

    def halt(self) -> None:
        """The process ends: leave the controller in a state that may last."""


class PositionSink:
    """forward_position: the newest position stays in force by itself."""

    def __init__(self, node: Node, controller: Controller) -> None:
        self._publisher = node.create_publisher(Float64MultiArray, controller.command.topic, qos.small())

    def send(self, sent_rad: NDArray[np.float64], command: Command) -> None:
        """See `Sink`."""
        self._publisher.publish(cdr_write.float64_array(sent_rad))

    def rest(self) -> None:
        """See `Sink`."""

    def halt(self) -> None:
        """See `Sink`."""


class VelocitySink:
    """forward_velocity: the newest speed stays in force for ever, so that the last word must be zero.

    A stream ends at rest, which gives zero. While the door is closed zero is said once to a controller that may have
    another speed from before: one that an earlier door, now dead, has left running.

    Args:
        node: Publishes.
        controller: Whose joints.
        limit_rad_s: Largest speeds of the controller's joints.
        settled: Whether the controller is known to stand still, as in lock-step, where nothing moves without the door.
    """

    def __init__(self, node: Node, controller: Controller, limit_rad_s: NDArray[np.float64], settled: bool) -> None:
        settings = controller.command.settings
        assert isinstance(settings, VelocitySettings)
        self._law = VelocityLaw(limit_rad_s, settings)
        self._places = np.array(controller.places)
        self._publisher = node.create_publisher(Float64MultiArray, controller.command.topic, qos.small())
        self._zero = np.zeros(len(controller.joints))
        self._settled = settled

    def send(self, sent_rad: NDArray[np.float64], command: Command) -> None:
        """See `Sink`."""
        self._publish(self._law.follow(command, self._places))

    def rest(self) -> None:
        """See `Sink`."""
        if not self._settled and self._publisher.get_subscription_count() > 0:
            self._publish(self._zero)

    def halt(self) -> None:
        """See `Sink`."""
        self._publish(self._zero)
        # What is not acknowledged before the process ends may never arrive.
        self._publisher.wait_for_all_acked(_LAST_WORDS)

    def _publish(self, speed_rad_s: NDArray[np.float64]) -> None:
        self._publisher.publish(cdr_write.float64_array(speed_rad_s))
        self._settled = not speed_rad_s.any()


class TrajectorySink:
    """joint_trajectory: a point a tick, to be reached a little later; without a next one the arm stops there."""

    def __init__(self, node: Node, controller: Controller) -> None:
        settings = controller.command.settings
        assert isinstance(settings, TrajectorySettings)
        self._publisher = node.create_publisher(JointTrajectory, controller.command.topic, qos.small())
        self._velocities = np.array(controller.places) if settings.velocities else None
        self._point = JointTrajectoryPoint()
        seconds, rest = divmod(round(settings.time_from_start_s * _SECOND_NS), _SECOND_NS)
        self._point.time_from_start.sec, self._point.time_from_start.nanosec = seconds, rest
        # Stamp 0 in the header means "start now" to the controller, whatever the two clocks say.
        self._message = JointTrajectory(joint_names=list(controller.joints), points=[self._point])

    def send(self, sent_rad: NDArray[np.float64], command: Command) -> None:
        """See `Sink`."""
        self._point.positions = messages.doubles(sent_rad)
        if self._velocities is not None and command.speed_rad_s is not None:
            self._point.velocities = messages.doubles(command.speed_rad_s[self._velocities])
        self._publisher.publish(self._message)

    def rest(self) -> None:
        """See `Sink`."""

    def halt(self) -> None:
        """See `Sink`."""


class NamedSink:
    """joint_group_command and joint_single_command: the drivers of Interbotix; the newest position stays in force.

    Raises:
        LearnedArmError: interbotix_xs_msgs is not installed.
    """

    def __init__(self, node: Node, controller: Controller) -> None:
        settings, self._group = controller.command.settings, controller.command.adapter == "joint_group_command"
        assert isinstance(settings, NamedSettings)
        package = load_messages(
            "interbotix_xs_msgs.msg",
            where=f"group {controller.groups[0]}",
            wanted_by=f"adapter {controller.command.adapter}",
            install="interbotix_ros_core from source",
        )
        kind = package.JointGroupCommand if self._group else package.JointSingleCommand
        self._publisher = node.create_publisher(kind, controller.command.topic, qos.small())
        self._message: Any = kind(name=settings.name)
        self._scale = settings.scale

    def send(self, sent_rad: NDArray[np.float64], command: Command) -> None:
        """See `Sink`."""
        scaled = self._scale * sent_rad
        self._message.cmd = scaled.tolist() if self._group else float(scaled[0])
        self._publisher.publish(self._message)

    def rest(self) -> None:
        """See `Sink`."""

    def halt(self) -> None:
        """See `Sink`."""


class ActionSink:
    """Grippers behind an action: positions become goals at a rate of their own."""

    def __init__(self, node: Node, controller: Controller) -> None:
        # Loaded only where it is wanted, because it needs a package that not every machine has.
        from learned_arm.ros.gripper_sink import GripperSink

        self.gripper = GripperSink(node, controller)

    def send(self, sent_rad: NDArray[np.float64], command: Command) -> None:
        """See `Sink`."""
        self.gripper.see(float(sent_rad[0]))

    def rest(self) -> None:
        """See `Sink`."""
        self.gripper.close()

    def halt(self) -> None:
        """See `Sink`."""
        self.gripper.halt()


class CommandSinks:
    """All controllers of a robot. Only `arm_node` may have them.

    Args:
        node: Publishes.
        robot: Names the controllers.
        lock_step: Whether the arm waits for every command.

    Raises:
        LearnedArmError: A controller's messages need a package that is not installed.
    """

    def __init__(self, node: Node, robot: Robot, *, lock_step: bool = False) -> None:
        self._halted = False
        self._sinks = [(np.array(each.places), self._make(node, robot, each, lock_step)) for each in robot.controllers]

    @staticmethod
    def _make(node: Node, robot: Robot, controller: Controller, lock_step: bool) -> Sink:
        if controller.command.adapter in ACTIONS:
            return ActionSink(node, controller)
        if controller.command.adapter in NAMED:
            return NamedSink(node, controller)
        if controller.command.adapter == "joint_trajectory":
            return TrajectorySink(node, controller)
        if controller.command.adapter == "forward_velocity":
            return VelocitySink(node, controller, robot.limit("velocity_rad_s")[list(controller.places)], lock_step)
        return PositionSink(node, controller)

    def send(self, command: Command) -> None:
        """Pass one control tick on: what was sent to every controller, or that the door is closed."""
        if self._halted:
            return
        for places, sink in self._sinks:
            if command.sent_rad is None:
                sink.rest()
            else:
                sink.send(command.sent_rad[places], command)

    def halt(self) -> None:
        """The process ends: speeds become zero, goals are brought to their end, and nothing is sent any more."""
        self._halted = True
        # What moves on by itself comes first.
        for _, sink in sorted(self._sinks, key=lambda each: isinstance(each[1], ActionSink)):
            sink.halt()

    def status(self) -> dict[str, str]:
        """What became of the goals of grippers, by group, for a status."""
        grippers = [sink.gripper for _, sink in self._sinks if isinstance(sink, ActionSink)]
        return {f"goals_{gripper.group}": gripper.status for gripper in grippers}
