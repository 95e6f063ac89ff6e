"""What simulated force-torque sensors feel: the weight of what hangs on the tool, in the tool's frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_arm.kinematics import ForwardKinematics

_WEIGHT_N = 5.0
_AHEAD_M = np.array([0.0, 0.0, 0.05])
"""Where the weight's centre is, in the tool's frame."""


class Wrists:
    """The sensors of a contract, one a tool, by the order of both.

    Raises:
        LearnedArmError: There are sensors, and the robot has no kinematics.
    """

    def __init__(self, contract: Contract) -> None:
        robot = contract.robot
        self._tips: list[int] = []
        if not contract.wrenches:
            return
        if robot.kinematics is None:
            got = sorted(contract.wrenches)
            raise LearnedArmError("wrench cannot be simulated", where=robot.name, got=got, allowed="kinematics")
        self._forward = ForwardKinematics(robot.kinematics, robot.joints)
        tips = [self._forward.links.index(tip) for tip in robot.kinematics.tips]
        self._tips = [tips[number % len(tips)] for number in range(len(contract.wrenches))]

    def felt(self, position_rad: NDArray[np.float64]) -> NDArray[np.float64]:
        """Force in N, then torque in Nm, of every sensor for a configuration, shape (sensors, 6)."""
        if not self._tips:
            return np.empty((0, 6))
        turns = self._forward.poses(position_rad[None])[0, self._tips, :3, :3]
        force = -_WEIGHT_N * turns[:, 2]
        return np.concatenate([force, np.cross(_AHEAD_M, force)], axis=1)
