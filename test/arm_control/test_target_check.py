"""Targets that lead into something are refused before the door takes them; nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arm_control.moveit_check import MOVEIT, NONE, STEP_RAD, TargetCheck, apart, target_check_of
from learned_arm.errors import LearnedArmError
from test.arm_control.driver import CONTRACT, DOF, HOME, JOINTS, TOPIC, Driver

ROBOT = CONTRACT.robot
WALL_RAD = HOME[0] + 0.3


def before_the_wall(position_rad: np.ndarray) -> bool:
    return bool(position_rad[0] < WALL_RAD)


def ramp(to_rad: float, count: int = 16) -> np.ndarray:
    """Targets that turn the first joint to an angle."""
    targets = np.repeat(HOME[None], count, axis=0)
    targets[:, 0] = np.linspace(HOME[0], to_rad, count)
    return targets


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.floats(-0.1, 0.1), min_size=DOF, max_size=DOF), min_size=1, max_size=30))
def test_every_target_is_near_one_that_was_looked_at_and_the_last_is_one(steps: list[list[float]]) -> None:
    targets = np.cumsum(np.array(steps), axis=0)
    looked = list(apart(targets, ROBOT.per_rad))
    assert np.array_equal(looked[0], targets[0]) and np.array_equal(looked[-1], targets[-1])
    for target in targets:
        assert min(np.abs((target - each) / ROBOT.per_rad).max() for each in looked) < STEP_RAD


def test_targets_that_collide_are_refused_whatever_the_order_of_their_joints() -> None:
    check = TargetCheck(ROBOT, before_the_wall)
    check.require_free(JOINTS, ramp(WALL_RAD - 0.01))
    backward, targets = JOINTS[::-1], ramp(WALL_RAD + 0.1)[:, ::-1]
    with pytest.raises(LearnedArmError, match="a target collides; got"):
        check.require_free(backward, targets)
    assert check.refused == 1
    check.require_free(JOINTS, np.empty((0, DOF)))


def test_what_could_not_be_looked_at_is_not_free() -> None:
    def breaks(_position_rad: np.ndarray) -> bool:
        raise RuntimeError("no scene")

    with pytest.raises(LearnedArmError, match="MoveIt: a target could not be looked at; got RuntimeError: no scene"):
        TargetCheck(ROBOT, breaks).require_free(JOINTS, ramp(WALL_RAD))


def test_a_check_that_cannot_be_had_is_refused_in_one_line() -> None:
    assert target_check_of(NONE, ROBOT) is None
    with pytest.raises(LearnedArmError, match="target_check: no such value; got magic"):
        target_check_of("magic", ROBOT)
    with pytest.raises(LearnedArmError, match="no MoveIt configuration"):
        target_check_of(MOVEIT, ROBOT)


WALLED = f"""
import sys
from arm_control.arm_node import ArmNode
from arm_control.moveit_check import TargetCheck
from learned_arm.ros.node import run

class Walled(ArmNode):
    def __init__(self):
        super().__init__()
        self._target_check = TargetCheck(self._contract.robot, lambda position_rad: position_rad[0] < {WALL_RAD})

raise SystemExit(run(Walled, sys.argv))
"""


@pytest.mark.ros
def test_the_arm_goes_where_it_is_free_and_not_into_the_wall(
    driver: Callable[..., Driver], write: Callable[..., Path]
) -> None:
    from std_msgs.msg import Float64MultiArray

    def furthest() -> float:
        return max((float(view.position[0]) for view in each.sent if view.names), default=HOME[0])

    each: Any = driver(write({"adapter": "forward_position", "topic": TOPIC}, None), Float64MultiArray, script=WALLED)
    each.drive()
    free, beyond = HOME.copy(), HOME.copy()
    free[0], beyond[0] = WALL_RAD - 0.1, WALL_RAD + 0.2
    each.lead(free, 0.5)
    each.wait(lambda: furthest() > WALL_RAD - 0.11)
    each.lead(beyond, 0.5)
    each.wait(lambda: int(each.values["colliding_targets"]) > 0)
    each.spin(1.0)
    assert furthest() < WALL_RAD - 0.09
