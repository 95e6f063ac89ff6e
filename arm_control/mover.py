"""Plans a joint move from here to there: jerk-limited by ruckig, all joints arriving together."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from ruckig import InputParameter, Result, Ruckig, Trajectory

from learned_arm.errors import LearnedArmError
from learned_arm.robot import Robot
from learned_arm.timeline import Timeline


class Mover(Protocol):
    """Plans a joint move; the door plays it."""

    def __call__(
        self,
        robot: Robot,
        start_rad: NDArray[np.float64],
        goal_rad: NDArray[np.float64],
        start_ns: int,
        *,
        speed_scale: float = 0.25,
    ) -> Timeline:
        """A way from here to there, see `plan_move`.

        Raises:
            LearnedArmError: There is none.
        """
        ...


def plan_move(
    robot: Robot,
    start_rad: NDArray[np.float64],
    goal_rad: NDArray[np.float64],
    start_ns: int,
    *,
    speed_scale: float = 0.25,
) -> Timeline:
    """Plan a move at rest on both ends.

    Args:
        robot: Its limits bound velocity, acceleration and jerk; its control rate sets the points.
        start_rad: Where the arm is, joint order, shape (dof,).
        goal_rad: Where it shall be, shape (dof,).
        start_ns: ROS time of the first point.
        speed_scale: Share of the velocity and acceleration limits to use, (0, 1].

    Raises:
        LearnedArmError: The goal lies outside the position limits, or no move exists.
    """
    limits = robot.limit("position_rad")
    for joint, value, (low, high) in zip(robot.joints, goal_rad, limits, strict=True):
        if not low <= value <= high:
            raise LearnedArmError(f"goal of {joint} outside its limits", got=float(value), allowed=f"[{low}, {high}]")
    request = InputParameter(robot.dof)
    request.current_position, request.target_position = start_rad.tolist(), goal_rad.tolist()
    request.max_velocity = (robot.limit("velocity_rad_s") * speed_scale).tolist()
    request.max_acceleration = (robot.limit("acceleration_rad_s2") * speed_scale).tolist()
    request.max_jerk = (robot.limit("jerk_rad_s3") * speed_scale).tolist()
    trajectory = Trajectory(robot.dof)
    result = Ruckig(robot.dof).calculate(request, trajectory)
    if result not in (Result.Working, Result.Finished):
        raise LearnedArmError("no jerk-limited move exists", got=str(result), allowed=goal_rad.tolist())
    count = max(int(np.ceil(trajectory.duration * robot.control_rate_hz)), 1)
    times_s = np.minimum(np.arange(1, count + 1) / robot.control_rate_hz, trajectory.duration)
    positions = np.array([trajectory.at_time(float(each))[0] for each in times_s])
    stamps = start_ns + np.arange(1, count + 1, dtype=np.int64) * robot.control_period_ns
    return Timeline(stamps, positions)
