"""A plan of MoveIt becomes a way like any other: from where the arm is, within our limits, gripper and all."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Duration
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from arm_control.moveit_mover import MOVEIT, RUCKIG, MoveItMover, followed, mover_of
from arm_control.mover import plan_move
from learned_arm.errors import LearnedArmError
from learned_arm.robot import load_robot

ROBOT = load_robot("ur5e_robotiq")
ARM, JAW = list(ROBOT.groups[0].joints), ROBOT.dof - 1
HOME = np.array(ROBOT.home_rad)
GOAL = HOME + np.array([0.3, -0.2, 0.2, 0.1, 0.0, -0.4, 0.5])
START_NS, DURATION_S = 7_000_000_000, 2.0


def path(count: int = 11, reverse: bool = True) -> Any:
    """A smooth plan of the arm's joints in an order of its own, as a planner times it."""
    order = ARM[::-1] if reverse else ARM
    places = [ROBOT.joints.index(joint) for joint in order]
    found: Any = JointTrajectory(joint_names=order)
    for at_s in np.linspace(0.0, DURATION_S, count):
        share = at_s / DURATION_S
        smooth, speed = share**2 * (3.0 - 2.0 * share), 6.0 * share * (1.0 - share) / DURATION_S
        way = (GOAL - HOME)[places]
        nanoseconds = round(at_s * 1e9)
        found.points.append(
            JointTrajectoryPoint(
                positions=(HOME[places] + smooth * way).tolist(),
                velocities=(speed * way).tolist(),
                time_from_start=Duration(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9),
            )
        )
    return found


def test_a_plan_is_played_at_the_control_rate_and_the_gripper_moves_meanwhile() -> None:
    move = followed(ROBOT, path(), HOME, GOAL, START_NS)
    assert (np.diff(move.stamps_ns) == ROBOT.control_period_ns).all()
    assert move.stamps_ns[0] == START_NS + ROBOT.control_period_ns
    np.testing.assert_allclose(move.positions_rad[-1], GOAL, atol=1e-9)
    # The plan is a cubic here, which comes back between its points.
    share = np.clip((move.stamps_ns - START_NS) / 1e9 / DURATION_S, 0.0, 1.0)
    smooth = (share**2 * (3.0 - 2.0 * share))[:, None]
    expected = HOME + smooth * (GOAL - HOME)
    np.testing.assert_allclose(move.positions_rad[:, :JAW], expected[:, :JAW], atol=1e-9)
    alone = plan_move(ROBOT, HOME, np.append(HOME[:JAW], GOAL[JAW]), START_NS)
    np.testing.assert_allclose(move.positions_rad[: len(alone.stamps_ns), JAW], alone.positions_rad[:, JAW])


def test_a_plan_of_one_point_is_where_the_arm_is() -> None:
    move = followed(ROBOT, path(count=1), HOME, HOME, START_NS)
    np.testing.assert_allclose(move.positions_rad, np.repeat(HOME[None], len(move.stamps_ns), axis=0))


def test_a_plan_that_cannot_be_meant_is_refused() -> None:
    def refused(plan: Any, words: str) -> None:
        with pytest.raises(LearnedArmError, match=words):
            followed(ROBOT, plan, HOME, GOAL, START_NS)

    refused(JointTrajectory(joint_names=ARM), "the plan is empty")
    refused(JointTrajectory(joint_names=["wheel"], points=path().points), "the plan is of another arm; got")
    backward = path()
    backward.points[3].time_from_start = Duration(sec=0, nanosec=0)
    refused(backward, "the plan runs backward")
    elsewhere = path()
    elsewhere.points[0].positions[0] += 0.5
    refused(elsewhere, "wrist_3_joint: the plan begins elsewhere")
    broken = path()
    broken.points[4].positions[2] = float("nan")
    refused(broken, "not finite")
    outside = path()
    outside.points[5].positions[3] = 10.0
    refused(outside, "elbow_joint: the plan leaves our limits")


def test_movers_are_known_by_name() -> None:
    assert mover_of(RUCKIG, ROBOT) is plan_move
    with pytest.raises(LearnedArmError, match="mover: no such value; got curobo"):
        mover_of("curobo", ROBOT)
    with pytest.raises(LearnedArmError, match="no MoveIt configuration"):
        mover_of(MOVEIT, replace(ROBOT, moveit=None))


@pytest.mark.skipif(importlib.util.find_spec("moveit") is not None, reason="MoveIt is installed")
def test_without_moveit_one_is_told_what_to_install() -> None:
    with pytest.raises(LearnedArmError, match=r"MoveIt is not installed.*apt install ros-jazzy-moveit-py"):
        MoveItMover(ROBOT)


@pytest.mark.skipif(importlib.util.find_spec("moveit") is None, reason="moveit_py is on no registry: source ROS 2")
def test_moveit_plans_from_here_to_there() -> None:
    panda = load_robot("panda_mock")
    home = np.array(panda.home_rad)
    goal = home + np.where(np.arange(panda.dof) < 6, 0.2, 0.0)
    move = MoveItMover(panda)(panda, home, goal, START_NS)
    np.testing.assert_allclose(move.positions_rad[-1], goal, atol=2e-3)
