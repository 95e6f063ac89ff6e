"""What all simulated arms have in common: the controllers of a robot file, and a clock that only grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from demo_tools.simulation.controllers import (
    CONTROLLERS,
    Controller,
    ForwardPosition,
    ForwardVelocity,
    JointTrajectory,
)
from learned_arm.command_spec import GripperSettings
from learned_arm.errors import LearnedArmError
from learned_arm.robot import Robot

Array = NDArray[np.float64]
FIRST_STAMP_NS = 1_000_000_000


class CommandedArm:
    """Commands in, by group; what they ask for as one vector out.

    Args:
        robot: Whose controllers there are.
        controllers: Kind of controller by the group that owns it; by default the one that the robot's command adapter
            speaks to.

    Attributes:
        joints: The robot's.
        controllers: By the group that owns each.
        now_ns: The simulation's time.

    Raises:
        LearnedArmError: A controller that is not simulated.
    """

    def __init__(self, robot: Robot, controllers: Mapping[str, str] | None = None) -> None:
        self.joints = robot.joints
        self.now_ns = FIRST_STAMP_NS
        self.controllers: dict[str, Controller] = {}
        self._places: dict[str, list[int]] = {}
        for each in robot.controllers:
            owner = each.groups[0]
            kind = (controllers or {}).get(owner, each.command.adapter)
            if kind not in CONTROLLERS:
                raise LearnedArmError("unknown controller", where=owner, got=kind, allowed=list(CONTROLLERS))
            self.controllers[owner] = CONTROLLERS[kind](each.joints)
            self._places[owner] = list(each.places)

    def set_position_targets(self, group: str, position_rad: Sequence[float] | Array) -> bool:
        """Command a group's position controller; False when it refused, see `controllers[group].error`."""
        controller = self._controller(group)
        if not isinstance(controller, ForwardPosition):
            raise LearnedArmError("not a forward controller", where=group, got=type(controller).__name__)
        return self._taken(controller.command(position_rad))

    def set_speeds(self, group: str, speed_rad_s: Sequence[float] | Array) -> bool:
        """Command a group's velocity controller; False when it refused, see `controllers[group].error`."""
        controller = self._controller(group)
        if not isinstance(controller, ForwardVelocity):
            raise LearnedArmError("not a velocity controller", where=group, got=type(controller).__name__)
        return self._taken(controller.command(self.now_ns, speed_rad_s))

    def set_trajectory(
        self,
        group: str,
        names: Sequence[str],
        stamp_ns: int,
        from_start_ns: Sequence[int] | NDArray[np.int64],
        positions_rad: Sequence[Sequence[float]] | Array,
        velocities_rad_s: Sequence[Sequence[float]] | Array | None = None,
    ) -> bool:
        """Command a group's trajectory controller; False when it refused, see `controllers[group].error`."""
        controller = self._controller(group)
        if not isinstance(controller, JointTrajectory):
            raise LearnedArmError("not a trajectory controller", where=group, got=type(controller).__name__)
        return self._taken(
            controller.command(self.now_ns, names, stamp_ns, from_start_ns, positions_rad, velocities_rad_s)
        )

    def skip_to(self, now_ns: int) -> None:
        """Move the clock ahead without motion.

        Raises:
            LearnedArmError: The time lies behind.
        """
        if now_ns < self.now_ns:
            raise LearnedArmError("simulation time would run backward", got=now_ns, allowed=f"{self.now_ns} or later")
        for controller in self.controllers.values():
            controller.skip(self.now_ns, now_ns)
        self.now_ns = now_ns

    def _was_commanded(self) -> None:
        """A controller took a command."""

    def _asked(self) -> Array:
        """What the controllers ask for now, rad, shape (dof,)."""
        command = np.empty(len(self.joints))
        for group, controller in self.controllers.items():
            command[self._places[group]] = controller.at(self.now_ns)
        return command

    def _hold(self, position_rad: Array) -> None:
        """Let every controller forget its commands and hold a position."""
        for group, controller in self.controllers.items():
            controller.hold(position_rad[self._places[group]])

    def _taken(self, taken: bool) -> bool:
        if taken:
            self._was_commanded()
        return taken

    def _controller(self, group: str) -> Controller:
        if group not in self.controllers:
            raise LearnedArmError("no such controller", got=group, allowed=list(self.controllers))
        return self.controllers[group]


def require_answers(robot: Robot) -> None:
    """Raise unless every controller is told at every tick: lock-step waits for that.

    Raises:
        LearnedArmError: A gripper gets goals, a few a second.
    """
    for each in robot.controllers:
        if isinstance(each.command.settings, GripperSettings):
            got, allowed = each.command.adapter, "real time, or a controller that is told at every tick"
            raise LearnedArmError("a gripper's action in lock-step", where=each.groups[0], got=got, allowed=allowed)


def checked_state(state: Sequence[float] | Array, size: int) -> Array:
    """A recorded state as numbers.

    Raises:
        LearnedArmError: Wrong length or not finite.
    """
    values = np.array(state, dtype=np.float64)
    if values.shape != (size,):
        raise LearnedArmError("wrong length of a simulation state", got=values.size, allowed=size)
    if not np.isfinite(values).all():
        raise LearnedArmError("simulation state not finite", got="NaN or infinity", allowed="finite numbers")
    return values
