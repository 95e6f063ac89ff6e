"""The actions by which grippers take positions: one class a kind of driver. Loaded only where a robot has such one."""

from __future__ import annotations

from typing import Any, Protocol

from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.task import Future
from sensor_msgs.msg import JointState

from learned_arm.command_spec import Controller, GripperSettings
from learned_arm.gripper_goals import Closing
from learned_arm.ros.optional import controller_action, load_messages, needs

# Whatever is between the fingers is what is to be held.
_ANY_WIDTH_M = 0.1


class GripperAction(Protocol):
    """What takes the goals of a gripper."""

    @property
    def ready(self) -> bool:
        """Whether its server is there."""
        ...

    def ask(self, position: float, before: float) -> Future:
        """Send a goal, where the last one was, or where the stream began; the future gives its handle."""
        ...

    def why(self, result: Any) -> str:
        """Why a goal was ended, in words."""
        ...


def make_action(node: Node, controller: Controller, settings: GripperSettings) -> GripperAction:
    """The action of a controller's adapter.

    Raises:
        LearnedArmError: The package of its messages is not installed.
    """
    if controller.command.adapter == "franka_gripper":
        package = load_messages("franka_msgs.action", **needs(controller), install="franka_ros2 from source")
        return FrankaHand(node, package, settings)
    return GripperController(node, controller_action(controller), controller.joints[0], settings)


class GripperController:
    """The gripper controllers of ros2_control: GripperCommand and ParallelGripperCommand of control_msgs."""

    def __init__(self, node: Node, kind: Any, joint: str, settings: GripperSettings) -> None:
        self._kind, self._joint, self._effort = kind, joint, settings.max_effort
        self._client = ActionClient(node, kind, settings.action)

    @property
    def ready(self) -> bool:
        """See `GripperAction`."""
        return self._client.server_is_ready()

    def ask(self, position: float, before: float) -> Future:
        """See `GripperAction`."""
        goal = self._kind.Goal()
        if isinstance(goal.command, JointState):
            goal.command.name, goal.command.position = [self._joint], [position]
            goal.command.effort = [] if self._effort is None else [self._effort]
        else:
            goal.command.position, goal.command.max_effort = position, self._effort
        return self._client.send_goal_async(goal)

    def why(self, result: Any) -> str:
        """See `GripperAction`."""
        return "stalled" if result.stalled else "not reached"


class FrankaHand:
    """The Franka Hand's own actions: `grasp` to close, which goes on pressing, and `move` to open.

    Both take the width between the fingers: twice the place of either (franka_msgs, Move.action and Grasp.action).
    """

    def __init__(self, node: Node, package: Any, settings: GripperSettings) -> None:
        self._move_kind, self._grasp_kind = package.Move, package.Grasp
        self._move = ActionClient(node, package.Move, f"{settings.action}/move")
        self._grasp = ActionClient(node, package.Grasp, f"{settings.action}/grasp")
        self._speed_m_s, self._force_n = settings.speed_m_s, settings.max_effort
        assert settings.turn_rad is not None
        self._closing = Closing(settings.turn_rad)

    @property
    def ready(self) -> bool:
        """See `GripperAction`."""
        return self._move.server_is_ready() and self._grasp.server_is_ready()

    def ask(self, position: float, before: float) -> Future:
        """See `GripperAction`."""
        closes = self._closing.see(position, before)
        goal = (self._grasp_kind if closes else self._move_kind).Goal()
        goal.width, goal.speed = 2.0 * position, self._speed_m_s
        if closes:
            goal.force = self._force_n
            goal.epsilon.inner = goal.epsilon.outer = _ANY_WIDTH_M
        return (self._grasp if closes else self._move).send_goal_async(goal)

    def why(self, result: Any) -> str:
        """See `GripperAction`."""
        return str(result.error) or "not reached"
