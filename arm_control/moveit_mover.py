"""Plans a joint move with MoveIt, around what its planning scene knows; the door plays it as it plays any other.

Source of the calls: moveit_py of MoveIt 2.12 (Jazzy), its bindings of planning_component, robot_state and
robot_trajectory, and moveit_configs_utils. Never run with them: they are on no registry. It takes configurations as
MoveIt's setup assistant makes them. MoveIt plans here and executes nothing: it would be a second way to the arm.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from arm_control.moveit_session import module, place, started
from arm_control.mover import Mover, plan_move
from learned_arm.errors import LearnedArmError
from learned_arm.observation import JointOrder
from learned_arm.robot import Robot
from learned_arm.timeline import Timeline

RUCKIG, MOVEIT = "ruckig", "moveit"
MOVERS = (RUCKIG, MOVEIT)
_BEGINS_WITHIN_RAD = 0.02


class MoveItMover:
    """A `Mover` by moveit_py. Its planning takes seconds, in which the arm holds.

    Args:
        robot: With `moveit` in its file.

    Raises:
        LearnedArmError: The file names no MoveIt configuration, or MoveIt or that configuration is not installed.
    """

    def __init__(self, robot: Robot) -> None:
        self._moveit = started(robot)
        assert robot.moveit is not None
        self._group = robot.moveit.group
        self._parameters = module("moveit.planning").PlanRequestParameters
        self._state = module("moveit.core.robot_state").RobotState
        try:
            self._component = self._moveit.get_planning_component(self._group)
        except Exception as error:  # the bindings raise whatever they come upon
            words = " ".join(f"{type(error).__name__}: {error}".split())
            raise LearnedArmError("no such planning group", where=robot.moveit.package, got=words) from error

    def __call__(
        self,
        robot: Robot,
        start_rad: NDArray[np.float64],
        goal_rad: NDArray[np.float64],
        start_ns: int,
        *,
        speed_scale: float = 0.25,
    ) -> Timeline:
        """See `Mover`. Joints of no planning group of the arm, as a gripper's, move by `plan_move` meanwhile."""
        self._component.set_start_state(robot_state=self._at(robot, start_rad))
        self._component.set_goal_state(robot_state=self._at(robot, goal_rad))
        parameters = self._parameters(self._moveit, "")
        parameters.max_velocity_scaling_factor = parameters.max_acceleration_scaling_factor = speed_scale
        found = self._component.plan(single_plan_parameters=parameters)
        if not found or found.trajectory is None:
            got = str(getattr(found, "error_code", "no answer"))
            raise LearnedArmError("MoveIt finds no way", where=self._group, got=got, allowed=np.round(goal_rad, 3))
        path = found.trajectory.get_robot_trajectory_msg().joint_trajectory
        return followed(robot, path, start_rad, goal_rad, start_ns, speed_scale)

    def _at(self, robot: Robot, position_rad: NDArray[np.float64]) -> Any:
        """MoveIt's state with our joints where we say, as far as it has them."""
        state = self._state(self._moveit.get_robot_model())
        place(state, robot, position_rad)
        return state


def followed(
    robot: Robot,
    path: Any,
    start_rad: NDArray[np.float64],
    goal_rad: NDArray[np.float64],
    start_ns: int,
    speed_scale: float = 0.25,
) -> Timeline:
    """A planned trajectory as a timeline at the control rate, and the joints that it does not name beside it.

    Between its points the joints go along cubic curves that have its velocities at them.

    Args:
        robot: Whose joints, limits and rate these are.
        path: A trajectory_msgs/msg/JointTrajectory with positions and velocities at every point.
        start_rad: Where the arm is, shape (dof,).
        goal_rad: Where it shall be, shape (dof,).
        start_ns: ROS time at which it begins.
        speed_scale: For the joints that it does not name.

    Raises:
        LearnedArmError: It is empty, of another arm, not finite, runs backward, begins elsewhere or leaves our limits.
    """
    strange = sorted(set(path.joint_names) - set(robot.joints))
    if strange:
        raise LearnedArmError("the plan is of another arm", where=robot.name, got=strange, allowed=list(robot.joints))
    names, places = list(path.joint_names), [robot.joints.index(each) for each in path.joint_names]
    order = JointOrder(names)
    if not path.points:
        raise LearnedArmError("the plan is empty", where=robot.name, got=0, allowed="one point or more")
    at = np.stack([order.positions(tuple(names), np.array(each.positions)) for each in path.points])
    speed = np.stack([order.positions(tuple(names), np.array(each.velocities)) for each in path.points])
    times_s = np.array([each.time_from_start.sec + 1e-9 * each.time_from_start.nanosec for each in path.points])
    if (np.diff(times_s, prepend=times_s[0] - 1.0) <= 0.0).any() or times_s[0] < 0.0:
        raise LearnedArmError("the plan runs backward", where=robot.name, got=times_s[:4].tolist())
    off = np.abs(at[0] - start_rad[places]) > _BEGINS_WITHIN_RAD * robot.per_rad[places]
    if off.any():
        first = int(np.flatnonzero(off)[0])
        got, allowed = f"{at[0, first]:.3f}", f"{start_rad[places[first]]:.3f}, within {_BEGINS_WITHIN_RAD} rad"
        raise LearnedArmError("the plan begins elsewhere", where=names[first], got=got, allowed=allowed)
    count = max(int(np.ceil(times_s[-1] * robot.control_rate_hz)), 1)
    when_s = np.minimum(np.arange(1, count + 1) / robot.control_rate_hz, times_s[-1])
    goal = np.where(np.isin(np.arange(robot.dof), places), start_rad, goal_rad)
    beside = plan_move(robot, start_rad, goal, start_ns, speed_scale=speed_scale)
    stamps_ns = start_ns + np.arange(1, max(count, len(beside.stamps_ns)) + 1, dtype=np.int64) * robot.control_period_ns
    positions = _lengthened(beside.positions_rad, len(stamps_ns))
    positions[:, places] = _lengthened(_cubic(times_s, at, speed, when_s), len(stamps_ns))
    low, high = robot.limit("position_rad").T
    outside = (positions < low) | (positions > high)
    if outside.any():
        point, joint = (int(each) for each in np.argwhere(outside)[0])
        got, allowed = f"{positions[point, joint]:.3f}", f"{low[joint]:.3f} .. {high[joint]:.3f}"
        raise LearnedArmError("the plan leaves our limits", where=robot.joints[joint], got=got, allowed=allowed)
    return Timeline(stamps_ns, positions)


def _lengthened(rows: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The last row held until there are so many."""
    return np.concatenate([rows, np.repeat(rows[-1:], count - len(rows), axis=0)])


def _cubic(
    times_s: NDArray[np.float64], at: NDArray[np.float64], speed: NDArray[np.float64], when_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Cubic Hermite curves through points with given speeds, shape (len(when_s), joints)."""
    if len(times_s) == 1:
        return np.repeat(at, len(when_s), axis=0)
    piece = np.clip(np.searchsorted(times_s, when_s, side="right") - 1, 0, len(times_s) - 2)
    span = (times_s[piece + 1] - times_s[piece])[:, None]
    share = np.clip((when_s - times_s[piece])[:, None] / span, 0.0, 1.0)
    square, cube = share**2, share**3
    return (
        (2.0 * cube - 3.0 * square + 1.0) * at[piece]
        + (cube - 2.0 * square + share) * span * speed[piece]
        + (3.0 * square - 2.0 * cube) * at[piece + 1]
        + (cube - square) * span * speed[piece + 1]
    )


def mover_of(name: str, robot: Robot) -> Mover:
    """The mover of a name, one of `MOVERS`.

    Raises:
        LearnedArmError: No such name, or it is MoveIt's and that cannot be had.
    """
    if name not in MOVERS:
        raise LearnedArmError("no such value", where="mover", got=name, allowed=list(MOVERS))
    return MoveItMover(robot) if name == MOVEIT else plan_move
