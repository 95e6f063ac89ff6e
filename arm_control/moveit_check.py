"""Looks for collisions of targets with what MoveIt's planning scene knows, before the door takes them.

Source of the calls: moveit_py of MoveIt 2.12 (Jazzy), its bindings of planning_scene_monitor, planning_scene and
robot_state. Never run with them: they are on no registry.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arm_control.moveit_session import place, started
from learned_arm.errors import LearnedArmError
from learned_arm.observation import JointOrder
from learned_arm.robot import Robot

NONE, MOVEIT = "none", "moveit"
TARGET_CHECKS = (NONE, MOVEIT)
# Between targets nearer to each other than this nothing is looked at: at arm's length, 1 m, it is 2 cm.
STEP_RAD = 0.02

IsFree = Callable[[NDArray[np.float64]], bool]
"""Whether a configuration, shape (dof,), touches nothing."""


class TargetCheck:
    """Refuses targets that lead into something.

    Args:
        robot: Whose targets.
        is_free: Says it of one configuration.
    """

    def __init__(self, robot: Robot, is_free: IsFree) -> None:
        self._robot, self._is_free = robot, is_free
        self._order = JointOrder(robot.joints)
        self.refused = 0

    def require_free(self, names: tuple[str, ...], positions_rad: NDArray[np.float64]) -> None:
        """Look at the targets of a timeline, shape (K, len(names)); a timeline without any passes.

        Raises:
            LearnedArmError: One of them collides, or they are of another arm.
        """
        if not len(positions_rad):
            return
        for position_rad in apart(self._order.positions(names, positions_rad), self._robot.per_rad):
            if not self._looked(position_rad):
                self.refused += 1
                got = dict(zip(self._robot.joints, np.round(position_rad, 3).tolist(), strict=True))
                raise LearnedArmError("a target collides", where="MoveIt's planning scene", got=got)

    def _looked(self, position_rad: NDArray[np.float64]) -> bool:
        try:
            return self._is_free(position_rad)
        except Exception as error:  # the bindings raise whatever they come upon; what was not seen is not free
            words = " ".join(f"{type(error).__name__}: {error}".split())
            raise LearnedArmError("a target could not be looked at", where="MoveIt", got=words) from error


def apart(positions_rad: NDArray[np.float64], per_rad: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Those of a timeline's targets that lie `STEP_RAD` or more from the last one looked at, and always its last."""
    last: NDArray[np.float64] | None = None
    for index, position_rad in enumerate(positions_rad):
        ends = index == len(positions_rad) - 1
        if last is None or ends or (np.abs(position_rad - last) >= STEP_RAD * per_rad).any():
            last = position_rad
            yield position_rad


def target_check_of(name: str, robot: Robot) -> TargetCheck | None:
    """The check of a name, one of `TARGET_CHECKS`; None for none.

    Raises:
        LearnedArmError: No such name, or it is MoveIt's and that cannot be had.
    """
    if name not in TARGET_CHECKS:
        raise LearnedArmError("no such value", where="target_check", got=name, allowed=list(TARGET_CHECKS))
    return TargetCheck(robot, in_planning_scene(robot)) if name == MOVEIT else None


def in_planning_scene(robot: Robot) -> IsFree:
    """Whether a robot, with what is attached to it, is free in MoveIt's planning scene as it is now.

    Raises:
        LearnedArmError: See `moveit_session.started`.
    """
    monitor = started(robot).get_planning_scene_monitor()

    def is_free(position_rad: NDArray[np.float64]) -> bool:
        with monitor.read_only() as scene:
            state: Any = copy.copy(scene.current_state)
            place(state, robot, position_rad)
            # Of no group: all of its links.
            return not scene.is_state_colliding(robot_state=state, joint_model_group_name="", verbose=False)

    return is_free
