"""Joint targets <-> where tools shall be: labels that mean the same on any arm, decoded by its own kinematics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from learned_arm.errors import LearnedArmError
from learned_arm.robot import Robot
from learned_arm.state import TOOL_PARTS, pose_numbers, tool_names
from learned_arm.tool import Tool, reach, way

# How far from a label the arm may end: a pose that it cannot reach is no target.
_LARGEST_ERROR_M, _LARGEST_ERROR_RAD = 0.02, 0.2
# Two targets further apart are two postures of the arm, whatever its tool does.
_LARGEST_STEP_RAD = 0.5
# Columns of a rotation have length 1 and are at right angles; what is far from that is no orientation.
_SHORTEST_COLUMN, _LONGEST_COLUMN, _LARGEST_COSINE = 0.5, 1.5, 0.5
_ALIKE_M, _ALIKE_RAD = 1e-3, 5e-3


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
        self._per_rad = robot.per_rad
        limits, margin = robot.limit("position_rad"), robot.limit("position_margin_rad")
        self._limits = np.stack([limits[:, 0] + margin, limits[:, 1] - margin], axis=1)
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
        return np.concatenate([pose_numbers(poses), targets[:, self._others]], axis=1)

    def decode(
        self, labels: NDArray[np.float64], measured: NDArray[np.float64], commanded: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Labels of shape (K, numbers) -> targets, (K, dof); the first lies next to the command, each next to the last.

        Raises:
            LearnedArmError: A label is no pose, or one that the arm cannot reach, or not from the one before.
        """
        poses = self._poses(labels[:, : self._split].reshape(len(labels), len(self._tools), 3, 3))
        if self._relative:
            poses = self._frames(measured) @ poses
        targets, last = np.empty((len(labels), len(commanded))), commanded
        for step, goals in enumerate(poses):
            last = targets[step] = reach(self._tools, goals, last, self._limits)
        for number, tool in enumerate(self._tools):
            _require_near(way(tool.poses(targets), poses[:, number]))
        self._require_one_posture(targets)
        targets[:, self._others] = labels[:, self._split :]
        return targets

    def alike(self, one_rad: NDArray[np.float64], other_rad: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Of which configurations, (K, dof) each, the labels are the same, whatever joints there are to spare."""
        same = np.ones(len(one_rad), dtype=bool)
        for tool in self._tools:
            left = np.abs(way(tool.poses(one_rad), tool.poses(other_rad)))
            same &= (left[:, :3].max(axis=1) < _ALIKE_M) & (left[:, 3:].max(axis=1) < _ALIKE_RAD)
        return same

    def _require_one_posture(self, targets: NDArray[np.float64]) -> None:
        steps = np.abs(np.diff(targets, axis=0)) / self._per_rad
        if len(steps) and steps.max() > _LARGEST_STEP_RAD:
            step = int(np.argmax(steps.max(axis=1)))
            raise LearnedArmError(
                "label asks for another posture of the arm",
                where=f"step {step + 1}",
                got=f"{steps[step].max():.2f} rad at once",
                allowed=f"{_LARGEST_STEP_RAD} rad",
            )

    def _frames(self, measured: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where the tools are measured, shape (tools, 4, 4)."""
        return np.stack([tool.pose(measured) for tool in self._tools])

    def _poses(self, parts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Position and two columns, rows of shape (K, tools, 3, 3) -> poses, (K, tools, 4, 4), by Gram-Schmidt."""
        position, first, second = parts[..., 0, :], parts[..., 1, :], parts[..., 2, :]
        first, second = _unit(first), _unit(second)
        cosine = np.sum(first * second, axis=-1, keepdims=True)
        if (np.abs(cosine) > _LARGEST_COSINE).any():
            got = f"columns at a cosine of {float(np.abs(cosine).max()):.2f}"
            raise LearnedArmError("label of a tool is no orientation", got=got, allowed=f"{_LARGEST_COSINE} or less")
        second = (second - cosine * first) / np.sqrt(1.0 - cosine**2)
        poses = np.zeros((*parts.shape[:2], 4, 4))
        for column, each in enumerate((first, second, np.cross(first, second), position)):
            poses[..., :3, column] = each
        poses[..., 3, 3] = 1.0
        return poses


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    odd = length[(length < _SHORTEST_COLUMN) | (length > _LONGEST_COLUMN)]
    if len(odd):
        allowed = f"[{_SHORTEST_COLUMN}, {_LONGEST_COLUMN}]"
        got = f"a column of length {float(odd[0]):.2g}"
        raise LearnedArmError("label of a tool is no orientation", got=got, allowed=allowed)
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
