"""How fast each joint must move for the tool to move as a person asks; by the robot's kinematics, numpy alone.

Damped least squares (Wampler 1986, Nakamura and Hanafusa 1986): near a singular pose the tool moves less than it is
asked to, instead of the joints moving more than they can.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from learned_arm.kinematics import Kinematics
from learned_arm.tool import Tool

FRAMES = ("base", "tool")
# Damping grows from nothing at this smallest singular value to all of it at 0.
_NEAR_SINGULAR, _DAMPING = 0.08, 0.08
_AT_LIMIT_RAD = 1e-3


class ToolMotion:
    """Speeds of joints for a tool's speed.

    Args:
        kinematics: The robot's.
        joints: Names of all joints of the robot, in the order of a configuration.
        link: The tool.
        position_rad: Lowest and highest position of each joint, shape (dof, 2).
        velocity_rad_s: Largest speed of each joint, shape (dof,).

    Raises:
        LearnedArmError: No such link, or no joint moves it.
    """

    def __init__(
        self,
        kinematics: Kinematics,
        joints: Sequence[str],
        link: str,
        position_rad: NDArray[np.float64],
        velocity_rad_s: NDArray[np.float64],
    ) -> None:
        self._tool = Tool(kinematics, joints, link)
        self._position, self._velocity = position_rad, velocity_rad_s

    def speeds(self, position_rad: NDArray[np.float64], twist: NDArray[np.float64], frame: str) -> NDArray[np.float64]:
        """Speeds of the joints, shape (dof,): within their limits, the tool slower rather than elsewhere.

        Args:
            position_rad: Where the arm is, shape (dof,).
            twist: Wanted speed of the tool, m/s then rad/s, shape (6,).
            frame: Whose axes the twist is along: the base's or the tool's. It is always about the tool's origin.
        """
        jacobian = self._tool.jacobian(position_rad)
        if frame == "tool":
            turned = self._tool.pose(position_rad)[:3, :3]
            twist = np.concatenate([turned @ twist[:3], turned @ twist[3:]])
        low, high = self._position.T
        free = self._tool.columns
        while len(free):
            speed = np.zeros(len(position_rad))
            speed[free] = _damped(jacobian[:, free], twist)
            # A joint at its limit stays there, and the others do without it.
            stuck = ((speed < 0) & (position_rad <= low + _AT_LIMIT_RAD)) | (
                (speed > 0) & (position_rad >= high - _AT_LIMIT_RAD)
            )
            if not stuck[free].any():
                return speed / max(1.0, float(np.max(np.abs(speed) / self._velocity)))
            free = free[~stuck[free]]
        return np.zeros(len(position_rad))


def _damped(jacobian: NDArray[np.float64], twist: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least motion of the joints that does what is asked for, as far as it can be done."""
    left, values, right = np.linalg.svd(jacobian, full_matrices=False)
    share = np.clip(1.0 - values / _NEAR_SINGULAR, 0.0, 1.0)
    damping = (_DAMPING * share) ** 2
    # Of a value of 0 nothing is asked for: its damping is not 0.
    return right.T @ (values / (values**2 + damping) * (left.T @ twist))
