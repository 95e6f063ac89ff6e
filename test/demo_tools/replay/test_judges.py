"""Judges that see no simulator: each says yes to what was solved and no to what was not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from demo_tools.replay.judge import FinalPose, FinalPoseJudge, GoalImageJudge, Look
from learned_arm.contract import load_contract
from learned_arm.errors import LearnedArmError
from learned_arm.robot import load_robot

ROBOT = load_contract("pick_cube").robot
HOME = np.array(ROBOT.home_rad)
JAW = ROBOT.dof - 1


def pose(measured: dict[int, float] | None = None, sent_jaw: float = 0.6, jaw: float = 0.42) -> FinalPose:
    """At home, a jaw told 0.6 that something keeps at 0.42, but for what is changed."""
    rad = HOME.copy()
    rad[JAW] = jaw
    for place, by_rad in (measured or {}).items():
        rad[place] += by_rad
    sent = rad.copy()
    sent[JAW] = sent_jaw
    return FinalPose(rad, sent)


def said(now: FinalPose, then: FinalPose | None = None, robot=ROBOT) -> bool:
    judge = FinalPoseJudge(robot, [JAW], then or pose(), 0.05)
    judge.observe(now)
    return judge.judge().success


@pytest.mark.parametrize(
    ("now", "solved"),
    [
        (pose(), True),
        (pose({0: 0.03, 3: 0.05}), True),
        (pose({0: 0.3}), False),
        (pose({5: 0.5}), False),
        # Wider or narrower than it was, and still kept apart.
        (pose(jaw=0.27), True),
        (pose(jaw=0.48), True),
        # Closed on nothing; not told to squeeze; opened.
        (pose(jaw=0.6), False),
        (pose(sent_jaw=0.42), False),
        (pose(sent_jaw=0.0, jaw=0.0), False),
    ],
)
def test_the_tool_is_where_it_was_and_the_jaw_holds_as_it_held(now: FinalPose, solved: bool) -> None:
    assert said(now) is solved


def test_a_jaw_that_held_nothing_must_be_where_it_was() -> None:
    opened = pose(sent_jaw=0.0, jaw=0.0)
    assert said(opened, opened)
    assert not said(pose(sent_jaw=0.3, jaw=0.3), opened)


@pytest.mark.parametrize(
    ("measured_m", "sent_m", "solved"),
    [
        (0.012, 0.0, True),  # as it was: kept apart by what is held
        (0.011, 0.0, True),
        (0.0, 0.0, False),  # the object is gone
        (0.039, 0.039, False),  # wide open
        (0.012, 0.012, False),  # there, but nothing is pressed
    ],
)
def test_fingers_that_slide_hold_as_they_held(measured_m: float, sent_m: float, solved: bool) -> None:
    robot = load_robot("fr3")
    home = np.array(robot.home_rad)

    def end(measured_m: float, sent_m: float) -> FinalPose:
        return FinalPose(np.array([*home[:7], measured_m]), np.array([*home[:7], sent_m]))

    judge = FinalPoseJudge(robot, (7,), end(0.012, 0.0), 0.05)
    judge.observe(end(measured_m, sent_m))
    assert judge.judge().success is solved


def test_without_kinematics_every_joint_counts() -> None:
    unknown = replace(ROBOT, kinematics=None, clearance=None)
    assert said(pose({0: 0.1, 1: -0.1}), robot=unknown)
    assert not said(pose({4: 0.2}), robot=unknown)


def test_nothing_seen_is_nothing_solved() -> None:
    assert not FinalPoseJudge(ROBOT, [JAW], pose(), 0.05).judge().success


def picture(seed: int, held: bool) -> dict[str, np.ndarray]:
    """A noisy table, somewhere an arm, and in one place an object or not."""
    rng = np.random.default_rng(seed)
    image = rng.integers(150, 180, (96, 96, 3), dtype=np.uint8)
    at = rng.integers(0, 70)
    image[5:30, at : at + 20] = 60
    if held:
        image[60:80, 40:60] = (200, 30, 20)
    return {"wrist": image}


def test_a_last_image_with_the_object_passes_and_one_without_fails() -> None:
    look = Look([picture(seed, True) for seed in range(12)], [picture(seed, False) for seed in range(20, 32)])
    for seed in range(40, 60):
        for held in (True, False):
            judge = GoalImageJudge(look, picture(99, True))
            assert not judge.judge().success, "nothing seen yet"
            judge.observe(picture(seed, held))
            assert judge.judge().success is held


def test_the_end_of_a_failure_is_nothing_to_aim_at() -> None:
    solved, unsolved = ([picture(seed, there) for seed in range(6)] for there in (True, False))
    look = Look(solved, unsolved)
    for seed in range(6):
        judge = GoalImageJudge(look, None)
        judge.observe(picture(50 + seed, False))
        assert not judge.judge().success
        judge.observe(picture(50 + seed, True))
        assert judge.judge().success


def test_a_goal_image_needs_successes_and_failures() -> None:
    with pytest.raises(LearnedArmError, match="cannot be calibrated"):
        Look([picture(1, True)], [])
