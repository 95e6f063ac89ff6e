"""The numbers of a policy's state: the joints, then where tools are by the robot's kinematics, then what wrists feel.

A tool's orientation is the first two columns of its rotation matrix: unlike angles or quaternions they change smoothly
everywhere (Zhou et al. 2019, "On the Continuity of Rotation Representations in Neural Networks").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learned_arm.kinematics import ForwardKinematics, Kinematics

TOOL_PARTS = ("x_m", "y_m", "z_m", "r00", "r10", "r20", "r01", "r11", "r21")
"""Position in the robot's base frame, then the first and the second column of the rotation."""
WRENCH_PARTS = ("fx_n", "fy_n", "fz_n", "tx_nm", "ty_nm", "tz_nm")
"""Force and torque in the frame that the sensor's driver states."""


@dataclass(frozen=True)
class WrenchSpec:
    """A force-torque sensor of the observation.

    Attributes:
        topic: Of geometry_msgs/msg/WrenchStamped.
        max_age_s: Oldest message that may be used, against the tick.
        latency_s: Known delay between measurement and header stamp.
    """

    topic: str
    max_age_s: float
    latency_s: float

    def canonical(self) -> dict[str, Any]:
        """The content as plain data, in the form of the YAML file."""
        return {"topic": self.topic, "max_age_s": self.max_age_s, "latency_s": self.latency_s}


def tool_names(tools: Iterable[str]) -> tuple[str, ...]:
    """Names of the numbers that say where tools are, in their order."""
    return tuple(f"{tool}.{part}" for tool in tools for part in TOOL_PARTS)


def state_names(joints: Iterable[str], tools: Iterable[str], wrenches: Iterable[str]) -> tuple[str, ...]:
    """Names of the numbers of a state, in their order."""
    return (
        *joints,
        *tool_names(tools),
        *(f"{wrench}.{part}" for wrench in wrenches for part in WRENCH_PARTS),
    )


def pose_numbers(poses: NDArray[np.float64]) -> NDArray[np.float64]:
    """`TOOL_PARTS` of one tool after the other, shape (K, 9 * tools), of poses, shape (K, tools, 4, 4)."""
    parts = [poses[:, :, :3, column] for column in (3, 0, 1)]
    return np.concatenate(parts, axis=2).reshape(len(poses), -1)


class ToolPoses:
    """Where some links are.

    Args:
        kinematics: Of the robot.
        joints: Names of the robot's joints, in the order of a configuration.
        tools: Links.
    """

    def __init__(self, kinematics: Kinematics, joints: Sequence[str], tools: Sequence[str]) -> None:
        self._forward = ForwardKinematics(kinematics, joints)
        self._links = [self._forward.links.index(tool) for tool in tools]

    def at(self, position_rad: NDArray[np.float64]) -> NDArray[np.float64]:
        """`TOOL_PARTS` of one tool after the other, shape (K, 9 * tools), for configurations of shape (K, dof)."""
        return pose_numbers(self._forward.poses(position_rad)[:, self._links])
