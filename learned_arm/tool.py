"""A link that works: where it is, how each joint moves it, and which joints bring it where it shall be. Numpy alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from learned_arm.errors import LearnedArmError
from learned_arm.kinematics import ForwardKinematics, Joint, Kinematics

_MOST_STEPS = 15
# A radian off counts as much as a decimetre off where both cannot be met.
_METRES_BY_RAD = 0.1
# A centimetre, or a tenth of a radian, is worth 1 rad of the joints, a millimetre 0.1 rad.
_WORTH = 1e-4
_LONGEST_STEP_RAD = 0.3
# Of a label, float32, a step this short changes nothing.
_SHORTEST_STEP_RAD = 1e-7
_NO_TURN, _HALF_TURN = 1e-12, 1e-6


class Tool:
    """One link of a robot.

    Attributes:
        columns: Places in a configuration of the joints that move it.

    Args:
        kinematics: The robot's.
        joints: Names of all joints of the robot, in the order of a configuration.
        link: Its name.

    Raises:
        LearnedArmError: No such link, or no joint moves it.
    """

    def __init__(self, kinematics: Kinematics, joints: Sequence[str], link: str) -> None:
        if link not in kinematics.links:
            raise LearnedArmError("no such link", where="kinematics", got=link, allowed=list(kinematics.links))
        self._forward = ForwardKinematics(kinematics, joints)
        self._link = kinematics.links.index(link)
        chain = [joint for joint in _to(kinematics, link) if joint.kind != "fixed"]
        if not chain:
            raise LearnedArmError("no joint moves it", where="kinematics", got=link)
        self.columns = np.array([list(joints).index(joint.name) for joint in chain])
        self._children = np.array([kinematics.links.index(joint.child) for joint in chain])
        axes = np.array([joint.axis for joint in chain])
        self._axes = axes / np.linalg.norm(axes, axis=1, keepdims=True)
        self._turns = np.array([joint.kind == "revolute" for joint in chain])

    def poses(self, position_rad: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where it is, base -> link, shape (K, 4, 4), for configurations of shape (K, dof)."""
        return self._forward.poses(position_rad)[:, self._link]

    def pose(self, position_rad: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where it is in one configuration, base -> link, shape (4, 4)."""
        return self.poses(position_rad[None])[0]

    def jacobian(self, position_rad: NDArray[np.float64]) -> NDArray[np.float64]:
        """Its velocity (m/s, then rad/s, in the base frame) for each joint's in one configuration, shape (6, dof)."""
        return self.pose_and_jacobian(position_rad)[1]

    def pose_and_jacobian(self, position_rad: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Both of one configuration, at the price of one."""
        poses = self._forward.poses(position_rad[None])[0]
        pose, frames = poses[self._link], poses[self._children]
        # A joint turns about its axis, which the turning leaves where it is.
        axes = (frames[:, :3, :3] @ self._axes[:, :, None])[..., 0]
        x, y, z = axes.T
        away_x, away_y, away_z = (pose[:3, 3] - frames[:, :3, 3]).T
        found = np.zeros((6, len(position_rad)))
        turning = np.stack([y * away_z - z * away_y, z * away_x - x * away_z, x * away_y - y * away_x])
        found[:3, self.columns] = np.where(self._turns, turning, axes.T)
        found[3:, self.columns] = axes.T * self._turns
        return pose, found


def reach(
    tools: Sequence[Tool],
    goals: NDArray[np.float64],
    near_rad: NDArray[np.float64],
    limits_rad: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The configuration next to another one that brings tools to goals, or as near as is worth the motion.

    What is least is the squared way that is left, plus 1e-4 of the squared motion of the joints: where a small motion
    of the tool would take a large one of the joints (a singular pose) the tool stays a little behind instead, and of
    the many solutions of an arm with joints to spare the one that moves them least is taken. By Levenberg-Marquardt
    with damping by what is left (Sugihara 2011, "Solvability-Unconcerned Inverse Kinematics by the
    Levenberg-Marquardt Method"). The same numbers give the same answer to the bit.

    Args:
        tools: The links.
        goals: Where they shall be, base -> link, shape (tools, 4, 4).
        near_rad: Where to begin, shape (dof,).
        limits_rad: Lowest and highest position of each joint, shape (dof, 2); never left.

    Returns:
        Shape (dof,); joints that move none of the tools stay.
    """
    low, high = limits_rad.T
    position = np.clip(near_rad, low, high)
    columns = np.unique(np.concatenate([tool.columns for tool in tools]))
    weights = np.tile([1.0, 1.0, 1.0, *[_METRES_BY_RAD] * 3], len(tools))
    for _ in range(_MOST_STEPS):
        now = [tool.pose_and_jacobian(position) for tool in tools]
        ways = [way(pose[None], goal[None])[0] for (pose, _), goal in zip(now, goals, strict=True)]
        error = weights * np.concatenate(ways)
        jacobian = weights[:, None] * np.concatenate([each for _, each in now])
        step, back = np.zeros(len(position)), near_rad - position
        step[columns] = _damped(jacobian[:, columns], error, back[columns])
        # A joint at its limit stays there, and the others do without it.
        stuck = ((step < 0.0) & (position <= low)) | ((step > 0.0) & (position >= high))
        if stuck[columns].any():
            free = columns[~stuck[columns]]
            step[:] = 0.0
            step[free] = _damped(jacobian[:, free], error, back[free])
        step *= min(1.0, _LONGEST_STEP_RAD / max(float(np.abs(step).max()), _SHORTEST_STEP_RAD))
        before, position = position, np.clip(position + step, low, high)
        if np.abs(position - before).max() < _SHORTEST_STEP_RAD:
            break
    return position


def _damped(
    jacobian: NDArray[np.float64], error: NDArray[np.float64], back: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The next step, shape (joints,)."""
    damping = 0.5 * float(error @ error) + _WORTH
    square = jacobian.T @ jacobian + damping * np.eye(jacobian.shape[1])
    return np.asarray(np.linalg.solve(square, jacobian.T @ error + _WORTH * back), np.float64)


def way(poses: NDArray[np.float64], goals: NDArray[np.float64]) -> NDArray[np.float64]:
    """From poses to goals, (K, 4, 4) each: metres, then rotation vectors in rad, in the base frame, shape (K, 6)."""
    turn = goals[:, :3, :3] @ poses[:, :3, :3].transpose(0, 2, 1)
    axis = 0.5 * (turn[:, [2, 0, 1], [1, 2, 0]] - turn[:, [1, 2, 0], [2, 0, 1]])
    sine, cosine = np.linalg.norm(axis, axis=1), 0.5 * (np.trace(turn, axis1=1, axis2=2) - 1.0)
    # Next to no turn the axis is the rotation vector.
    scale = np.where(sine < _NO_TURN, 1.0, np.arctan2(sine, cosine) / np.maximum(sine, _NO_TURN))
    turned = scale[:, None] * axis
    for row in np.flatnonzero((sine < _HALF_TURN) & (cosine < 0.0)):
        # Half a turn: its matrix is 2 a a' - 1, of which any column shows the axis.
        columns = turn[row] + np.eye(3)
        longest = columns[:, int(np.linalg.norm(columns, axis=0).argmax())]
        turned[row] = np.pi * longest / np.linalg.norm(longest)
    return np.concatenate([goals[:, :3, 3] - poses[:, :3, 3], turned], axis=1)


def _to(kinematics: Kinematics, link: str) -> list[Joint]:
    """The joints from the base to a link."""
    by_child = {joint.child: joint for joint in kinematics.joints}
    found: list[Joint] = []
    while link in by_child:
        found.append(by_child[link])
        link = by_child[link].parent
    return found[::-1]
