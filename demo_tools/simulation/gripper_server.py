"""A gripper behind the action of a ros2_control gripper controller, GripperCommand or ParallelGripperCommand.

As `gripper_controllers` and `parallel_gripper_controller` of ros2_controllers have it: a goal is commanded at once and
replaces the one before, which ends as cancelled; it succeeds where it is reached, and aborts where the jaws stand still
before, as at an object; a client that cancels gets the gripper held where it is.
"""

from __future__ import annotations

import math
import time
from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.clock import Clock, ClockType
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node

from demo_tools.simulation.goal_watch import REACHED, STALLED, GoalWatch
from demo_tools.simulation.world import World
from learned_arm.command_spec import Controller, GripperSettings
from learned_arm.ros.optional import controller_action

_PERIOD_S = 0.05


def wanted(goal: Any) -> float | None:
    """Where a goal of either action wants the joint, or None where it says nothing that can be done."""
    position = goal.command.position
    # Of the one a number, of the other an array.
    values = [position] if isinstance(position, float) else list(position)
    return float(values[0]) if len(values) == 1 and math.isfinite(values[0]) else None


class GripperServer:
    """The action of one gripper of a world that keeps real time.

    Args:
        node: Owner of the server.
        controller: Whose command is a gripper's action.
        world: Whose gripper moves.

    Raises:
        LearnedArmError: The messages of the action are not installed.
    """

    def __init__(self, node: Node, controller: Controller, world: World) -> None:
        settings = controller.command.settings
        assert isinstance(settings, GripperSettings)
        self._kind = controller_action(controller)
        self._world, self._group, self._place = world, controller.groups[0], controller.places[0]
        self._joint = controller.joints[0]
        self._running: tuple[Any, GoalWatch] | None = None
        self._server = ActionServer(
            node,
            self._kind,
            settings.action,
            self._end,
            goal_callback=lambda goal: GoalResponse.ACCEPT if wanted(goal) is not None else GoalResponse.REJECT,
            handle_accepted_callback=self._begin,
            cancel_callback=lambda _goal: CancelResponse.ACCEPT,
        )
        self._outcomes: dict[bytes, str] = {}
        node.create_timer(_PERIOD_S, self._watch, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def forget(self) -> None:
        """The simulation was reset: a goal under way is over."""
        self._replace()

    @property
    def _position(self) -> float:
        with self._world.lock:
            return float(self._world.arm.position_rad[self._place])

    def _begin(self, handle: Any) -> None:
        self._replace()
        goal = wanted(handle.request)
        assert goal is not None
        self._running = handle, GoalWatch(goal, self._position, time.monotonic())
        with self._world.lock:
            self._world.arm.set_position_targets(self._group, [goal])

    def _replace(self) -> None:
        if self._running is not None:
            self._finish("")

    def _watch(self) -> None:
        if self._running is None:
            return
        handle, watch = self._running
        position = self._position
        if handle.is_cancel_requested:
            with self._world.lock:
                self._world.arm.set_position_targets(self._group, [position])
            self._finish("")
        elif outcome := watch.see(position, time.monotonic()):
            self._finish(outcome)

    def _finish(self, outcome: str) -> None:
        assert self._running is not None
        handle, self._running = self._running[0], None
        if not outcome and not handle.is_cancel_requested:
            # rclpy has no public way to end a goal as cancelled that no client cancelled, as rclcpp's servers do.
            handle._update_state(rclpy_implementation.GoalEvent.CANCEL_GOAL)
        self._outcomes[bytes(handle.goal_id.uuid)] = outcome
        handle.execute()

    def _end(self, handle: Any) -> Any:
        outcome = self._outcomes.pop(bytes(handle.goal_id.uuid))
        if outcome == REACHED:
            handle.succeed()
        elif outcome == STALLED:
            handle.abort()
        else:
            handle.canceled()
        result = self._kind.Result(stalled=outcome == STALLED, reached_goal=outcome == REACHED)
        if hasattr(result, "state"):
            result.state.name, result.state.position = [self._joint], [self._position]
        else:
            result.position = self._position
        return result
