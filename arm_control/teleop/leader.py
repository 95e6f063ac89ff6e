"""A leader arm in a person's hand -> where the arm shall be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from arm_control.teleop.mapping import STATES, LeaderMapping
from learned_arm import cdr
from learned_arm.errors import LearnedArmError
from learned_arm.observation import JointOrder
from learned_arm.robot import Robot


class Leader:
    """Follows a leader.

    Args:
        mapping: Which joint follows which.
        robot: Its joint order and position limits.
    """

    def __init__(self, mapping: LeaderMapping, robot: Robot) -> None:
        self._mapping, self._joints = mapping, robot.joints
        followed = list(mapping.joints.values())
        self._order = JointOrder([each.leader for each in followed])
        self._places = np.array([robot.joints.index(joint) for joint in mapping.joints])
        self._scale = np.array([each.scale for each in followed])
        self._offset_rad = np.array([each.offset_rad for each in followed])
        low, high = robot.limit("position_rad").T
        self._low, self._high = low[self._places], high[self._places]

    def target(self, raw: bytes, kept_rad: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where the arm shall be, in joint order, shape (dof,); never outside its limits.

        Args:
            raw: The leader's joint state, or a trajectory, of which the last point counts.
            kept_rad: Where joints stay that follow nothing, shape (dof,).

        Raises:
            LearnedArmError: A joint of the leader is missing, named twice or not finite, or there is no point.
        """
        asked = self._scale * self._order.positions(*self._told(raw)) + self._offset_rad
        target = kept_rad.copy()
        target[self._places] = np.clip(asked, self._low, self._high)
        return target

    def _told(self, raw: bytes) -> tuple[tuple[str, ...], NDArray[np.float64]]:
        if self._mapping.message == STATES:
            state = cdr.read_joint_state(raw)
            return state.names, state.position
        path = cdr.read_joint_trajectory(raw)
        if not len(path.positions):
            raise LearnedArmError("trajectory without a point", where=self._mapping.topic, allowed="one or more")
        return path.names, path.positions[-1]

    def apart(self, target_rad: NDArray[np.float64], measured_rad: NDArray[np.float64]) -> str:
        """Which joint is too far from its leader to take the lease, in words; empty when none is."""
        return self._far(target_rad, measured_rad, self._mapping.align_rad)

    def drift(self, target_rad: NDArray[np.float64], measured_rad: NDArray[np.float64]) -> str:
        """Which joint trails its leader too far, in words; empty when none does."""
        return self._far(target_rad, measured_rad, self._mapping.drift_rad)

    def _far(self, target_rad: NDArray[np.float64], measured_rad: NDArray[np.float64], allowed_rad: float) -> str:
        distance = np.abs(target_rad - measured_rad)[self._places]
        worst = int(distance.argmax())
        if distance[worst] <= allowed_rad:
            return ""
        joint = self._joints[self._places[worst]]
        return f"{joint} is {distance[worst]:.3f} rad from its leader, allowed {allowed_rad} rad"
