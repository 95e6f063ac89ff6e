"""Joint targets <-> where tools shall be: labels that mean the same on any arm, decoded by its own kinematics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from learned_arm.errors import LearnedArmError
from learned_arm.robot import Robot
from learned_arm.state import TOOL_PARTS, tool_names
from learned_arm.tool import Tool, reach, way

# How far from a label the arm may end: a pose that it cannot reach is no target.
_LARGEST_ERROR_M, _LARGEST_ERROR_RAD = 0.02, 0.2
_SHORTEST_COLUMN = 1e-3


class ToolLabels:
    """Poses of tools as `TOOL_PARTS`, one tool after the other; then every joint that moves none of them, as it is.

    Args:
        robot: With kinematics.
        tools: Links.
        relative: Whether a pose is told in the frame of the tool where it is measured, instead of the base's.
    """

    def __init__(self, robot: Robot, tools: tuple[str, ...], relative: bool) -> None:
        if robot.kinematics is None:
            raise LearnedArmError("no kinematics to decode tool labels by", where=robot.name)
        self._tools = [Tool(robot.kinematics, robot.joints, tool) for tool in tools]
        self._relative = relative
        self._limits = robot.limit("position_rad")
        moving = np.unique(np.concatenate([tool.columns for tool in self._tools]))
        self._others = np.setdiff1d(np.arange(robot.dof), moving)
        self._split = len(TOOL_PARTS) * len(tools)
        self.names = tool_names(tools) + tuple(robot.joints[joint] for joint in self._others)

    def encode(self, targets: NDArray[np.float64], measured: NDArray[np.float64]) -> NDArray[np.float64]:
        """Targets of shape (K, dof) -> labels, (K, numbers).

        Args:
            targets: rad.
            measured: Where the arm is at the tick, rad, shape (dof,).
        """
        poses = np.stack([tool.poses(targets) for tool in self._tools], axis=1)
        if self._relative:
            poses = np.linalg.inv(self._frames(measured)) @ poses
        parts = np.concatenate([poses[:, :, :3, column] for column in (3, 0, 1)], axis=2)
        return np.concatenate([parts.reshape(len(targets), -1), targets[:, self._others]], axis=1)

    def decode(
        self, labels: NDArray[np.float64], measured: NDArray[np.float64], commanded: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Labels of shape (K, numbers) -> targets, (K, dof), each the configuration next to the command in force.

        Raises:
            LearnedArmError: A label is no pose, or one that the arm cannot reach.
        """
        poses = self._poses(labels[:, : self._split].reshape(len(labels), len(self._tools), 3, 3))
        if self._relative:
            poses = self._frames(measured) @ poses
        targets = reach(self._tools, poses, commanded, self._limits)
        for number, tool in enumerate(self._tools):
            _require_near(way(tool.poses(targets), poses[:, number]))
        targets[:, self._others] = labels[:, self._split :]
        return targets

    def _frames(self, measured: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where the tools are measured, shape (tools, 4, 4)."""
        return np.stack([tool.pose(measured) for tool in self._tools])

    def _poses(self, parts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Position and two columns, rows of shape (K, tools, 3, 3) -> poses, (K, tools, 4, 4), by Gram-Schmidt."""
        position, first, second = parts[..., 0, :], parts[..., 1, :], parts[..., 2, :]
        first = _unit(first)
        second = _unit(second - np.sum(first * second, axis=-1, keepdims=True) * first)
        poses = np.zeros((*parts.shape[:2], 4, 4))
        for column, each in enumerate((first, second, np.cross(first, second), position)):
            poses[..., :3, column] = each
        poses[..., 3, 3] = 1.0
        return poses


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if (length < _SHORTEST_COLUMN).any():
        raise LearnedArmError("label of a tool is no orientation", got=f"a column of length {float(length.min()):.2g}")
    return vectors / length


def _require_near(left: NDArray[np.float64]) -> None:
    away_m, away_rad = np.linalg.norm(left[:, :3], axis=1), np.linalg.norm(left[:, 3:], axis=1)
    missed = np.flatnonzero((away_m > _LARGEST_ERROR_M) | (away_rad > _LARGEST_ERROR_RAD))
    if len(missed):
        first = int(missed[0])
        raise LearnedArmError(
            "tool cannot be where its label says",
            where=f"step {first}",
            got=f"{away_m[first] * 1e3:.0f} mm, {away_rad[first]:.2f} rad away at best",
            allowed=f"{_LARGEST_ERROR_M * 1e3:.0f} mm, {_LARGEST_ERROR_RAD} rad",
        )
