"""What moved says whether names, signs and scales are right."""

from __future__ import annotations

import numpy as np
import pytest

from demo_tools.doctor.motion import SIZE_RAD, judge, small_steps
from learned_arm.robot import load_robot

UR5E, ALOHA = load_robot("ur5e"), load_robot("aloha")


def moved(**joints: float) -> np.ndarray:
    """How far joints moved, by their place in the order."""
    found = np.zeros(UR5E.dof)
    for name, value in joints.items():
        found[int(name[1:])] = value
    return found


@pytest.mark.parametrize(
    ("found", "check"),
    [
        (moved(j2=0.05), "motion.follows"),
        (moved(j2=0.04), "motion.follows"),
        (moved(j2=-0.05), "motion.sign"),
        (moved(j2=0.0), "motion.none"),
        (moved(j3=0.05), "motion.name"),
        (moved(j2=0.05, j3=0.05), "motion.alone"),
        (moved(j2=0.1), "motion.scale"),
        (moved(j2=0.02), "motion.scale"),
    ],
)
def test_a_motion_is_judged_by_what_moved(found: np.ndarray, check: str) -> None:
    said = judge(UR5E, 2, 0.05, found)
    assert said.check == check
    assert said.where == "elbow_joint"
    assert (said.level == "ok") is (check == "motion.follows") is (said.todo == "")


def test_joints_that_moved_instead_are_named() -> None:
    assert "wrist_1_joint +0.050" in judge(UR5E, 2, 0.05, moved(j3=0.05)).seen


@pytest.mark.parametrize("robot", [UR5E, ALOHA], ids=lambda robot: robot.name)
def test_a_small_step_stays_inside_the_limits(robot) -> None:
    low, high = robot.limit("position_rad").T
    margin = robot.limit("position_margin_rad")
    for at in (low + margin, high - margin, (low + high) / 2, np.array(robot.home_rad)):
        step = small_steps(robot, at)
        assert np.all(at + step >= low + margin - 1e-12)
        assert np.all(at + step <= high - margin + 1e-12)
        assert np.all(np.abs(step) <= SIZE_RAD * robot.per_rad + 1e-12)
        assert np.all(step != 0.0)


def test_without_room_there_is_no_step() -> None:
    # A joint outside its limits on one side only has room on the other.
    at = UR5E.limit("position_rad")[:, 1] + 0.1
    assert np.all(small_steps(UR5E, at) < 0.0)
