"""How fast each joint must move for the tool to move as a person asks; by the robot's kinematics, numpy alone.

Damped least squares (Wampler 1986, Nakamura and Hanafusa 1986): near a singular pose the tool moves less than it is
asked to, instead of the joints moving more than they can.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from learned_arm.errors import LearnedArmError
from learned_arm.kinematics import ForwardKinematics, Joint, Kinematics

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
        if link not in kinematics.links:
            raise LearnedArmError("no such link", where="kinematics", got=link, allowed=list(kinematics.links))
        self._forward = ForwardKinematics(kinematics, joints)
        self._link = kinematics.links.index(link)
        self._position, self._velocity = position_rad, velocity_rad_s
        self._chain = [
            (list(joints).index(joint.name), kinematics.links.index(joint.child), joint)
            for joint in _to(kinematics, link)
            if joint.kind != "fixed"
        ]
        if not self._chain:
            raise LearnedArmError("no joint moves it", where="kinematics", got=link)

    def pose(self, position_rad: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where the tool is, base -> tool, shape (4, 4)."""
        return self._forward.poses(position_rad[None])[0, self._link]

    def jacobian(self, position_rad: NDArray[np.float64]) -> NDArray[np.float64]:
        """The tool's velocity (m/s, then rad/s, in the base frame) for each joint's, shape (6, dof)."""
        poses = self._forward.poses(position_rad[None])[0]
        at_m = poses[self._link, :3, 3]
        found = np.zeros((6, len(position_rad)))
        for column, child, joint in self._chain:
            # A joint turns about its axis, which the turning leaves where it is.
            axis = poses[child, :3, :3] @ (np.array(joint.axis) / np.linalg.norm(joint.axis))
            if joint.kind == "prismatic":
                found[:3, column] = axis
            else:
                found[:3, column] = np.cross(axis, at_m - poses[child, :3, 3])
                found[3:, column] = axis
        return found

    def speeds(self, position_rad: NDArray[np.float64], twist: NDArray[np.float64], frame: str) -> NDArray[np.float64]:
        """Speeds of the joints, shape (dof,): within their limits, the tool slower rather than elsewhere.

        Args:
            position_rad: Where the arm is, shape (dof,).
            twist: Wanted speed of the tool, m/s then rad/s, shape (6,).
            frame: Whose axes the twist is along: the base's or the tool's. It is always about the tool's origin.
        """
        if frame == "tool":
            turned = self.pose(position_rad)[:3, :3]
            twist = np.concatenate([turned @ twist[:3], turned @ twist[3:]])
        jacobian = self.jacobian(position_rad)
        low, high = self._position.T
        free = np.array([column for column, _, _ in self._chain])
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


def _to(kinematics: Kinematics, link: str) -> list[Joint]:
    """The joints from the base to a link."""
    by_child = {joint.child: joint for joint in kinematics.joints}
    found: list[Joint] = []
    while link in by_child:
        found.append(by_child[link])
        link = by_child[link].parent
    return found[::-1]
