"""A link that works: where it is, how each joint moves it, and which joints bring it where it shall be. Numpy alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from learned_arm.errors import LearnedArmError
from learned_arm.kinematics import ForwardKinematics, Joint, Kinematics

_MOST_STEPS = 60
# A radian off counts as much as a decimetre off where both cannot be met.
_METRES_BY_RAD = 0.1
_LONGEST_STEP_RAD = 0.3
# Of a label, float32, a step this short changes nothing.
_SHORTEST_STEP_RAD = 1e-8
_LEAST_DAMPING, _NO_TURN = 1e-12, 1e-12


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
        return self.poses_and_jacobians(position_rad[None])[1][0]

    def poses_and_jacobians(self, position_rad: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Both of K configurations, shapes (K, 4, 4) and (K, 6, dof)."""
        every = self._forward.poses(position_rad)
        poses, frames = every[:, self._link], every[:, self._children]
        # A joint turns about its axis, which the turning leaves where it is.
        axes = (frames[:, :, :3, :3] @ self._axes[:, :, None])[..., 0]
        turning = np.cross(axes, poses[:, None, :3, 3] - frames[:, :, :3, 3])
        turns = self._turns[:, None]
        found = np.zeros((len(poses), 6, position_rad.shape[1]))
        found[:, :3, self.columns] = np.where(turns, turning, axes).transpose(0, 2, 1)
        found[:, 3:, self.columns] = (axes * turns).transpose(0, 2, 1)
        return poses, found


def reach(
    tools: Sequence[Tool],
    goals: NDArray[np.float64],
    near_rad: NDArray[np.float64],
    limits_rad: NDArray[np.float64],
) -> NDArray[np.float64]:
    """For each goal the configuration next to a given one that brings tools there, or as near as can be.

    Levenberg-Marquardt with damping by what is left of the way (Sugihara 2011, "Solvability-Unconcerned Inverse
    Kinematics by the Levenberg-Marquardt Method"): it neither fails nor jumps at a singular pose, and of the many
    solutions of an arm with joints to spare it takes the one that moves them least. The same numbers give the same
    answer to the bit.

    Args:
        tools: The links.
        goals: Where they shall be, base -> link, shape (K, tools, 4, 4).
        near_rad: Where to begin, shape (dof,).
        limits_rad: Lowest and highest position of each joint, shape (dof, 2); never left.

    Returns:
        Shape (K, dof); joints that move none of the tools stay.
    """
    low, high = limits_rad.T
    found = np.repeat(np.clip(near_rad, low, high)[None], len(goals), axis=0)
    columns = np.unique(np.concatenate([tool.columns for tool in tools]))
    weights = np.tile([1.0, 1.0, 1.0, *[_METRES_BY_RAD] * 3], len(tools))
    damping, left = np.eye(len(columns)), np.arange(len(goals))
    for _ in range(_MOST_STEPS):
        now = [tool.poses_and_jacobians(found[left]) for tool in tools]
        ways = [way(poses, goals[left, number]) for number, (poses, _) in enumerate(now)]
        error = weights * np.concatenate(ways, axis=1)
        jacobian = weights[:, None] * np.concatenate([each for _, each in now], axis=1)[:, :, columns]
        down = jacobian.transpose(0, 2, 1)
        far = np.sum(error * error, axis=1)
        square = down @ jacobian + (0.5 * far + _LEAST_DAMPING)[:, None, None] * damping
        step = np.linalg.solve(square, down @ error[:, :, None])[:, :, 0]
        longest = np.abs(step).max(axis=1)
        step *= np.minimum(1.0, _LONGEST_STEP_RAD / np.maximum(longest, _SHORTEST_STEP_RAD))[:, None]
        before = found[left]
        moved = before.copy()
        moved[:, columns] += step
        found[left] = moved = np.clip(moved, low, high)
        left = left[np.abs(moved - before).max(axis=1) > _SHORTEST_STEP_RAD]
        if not len(left):
            break
    return found


def way(poses: NDArray[np.float64], goals: NDArray[np.float64]) -> NDArray[np.float64]:
    """From poses to goals, (K, 4, 4) each: metres, then rotation vectors in rad, in the base frame, shape (K, 6)."""
    turn = goals[:, :3, :3] @ poses[:, :3, :3].transpose(0, 2, 1)
    axis = 0.5 * (turn[:, [2, 0, 1], [1, 2, 0]] - turn[:, [1, 2, 0], [2, 0, 1]])
    sine = np.linalg.norm(axis, axis=1)
    angle = np.arctan2(sine, 0.5 * (np.trace(turn, axis1=1, axis2=2) - 1.0))
    # Next to no turn the axis is the rotation vector; half a turn has no axis here, and is not on any path.
    scale = np.where(sine < _NO_TURN, 1.0, angle / np.maximum(sine, _NO_TURN))
    return np.concatenate([goals[:, :3, 3] - poses[:, :3, 3], scale[:, None] * axis], axis=1)


def _to(kinematics: Kinematics, link: str) -> list[Joint]:
    """The joints from the base to a link."""
    by_child = {joint.child: joint for joint in kinematics.joints}
    found: list[Joint] = []
    while link in by_child:
        found.append(by_child[link])
        link = by_child[link].parent
    return found[::-1]
