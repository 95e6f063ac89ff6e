"""A planned move starts at rest where the arm is, ends at rest at the goal, and keeps every limit between."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arm_control.mover import plan_move
from learned_arm.errors import LearnedArmError
from learned_arm.robot import load_robot

ROBOT = load_robot("ur5e_sim")
HOME = np.array(ROBOT.home_rad)
START_NS = 7_000_000_000
offsets = st.lists(st.floats(-1.0, 1.0), min_size=ROBOT.dof, max_size=ROBOT.dof).map(np.array)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(offset=offsets, speed_scale=st.floats(0.05, 1.0))
def test_limits_hold_at_every_point(offset: np.ndarray, speed_scale: float) -> None:
    low, high = ROBOT.limit("position_rad").T
    goal = np.clip(HOME + offset, low, high)
    move = plan_move(ROBOT, HOME, goal, START_NS, speed_scale=speed_scale)
    dt_s = ROBOT.control_period_ns / 1e9
    points = np.vstack([HOME, move.positions_rad])
    velocity = np.diff(points, axis=0) / dt_s
    assert (np.abs(velocity) <= ROBOT.limit("velocity_rad_s") * speed_scale * (1 + 1e-6) + 1e-9).all()
    acceleration = np.diff(velocity, axis=0, prepend=0.0) / dt_s
    assert (np.abs(acceleration) <= ROBOT.limit("acceleration_rad_s2") * speed_scale * (1 + 1e-6) + 1e-6).all()
    np.testing.assert_allclose(points[-1], goal, atol=1e-9)
    assert move.stamps_ns[0] == START_NS + ROBOT.control_period_ns


def test_a_goal_outside_the_limits_is_refused_by_name() -> None:
    goal = HOME.copy()
    goal[2] = 4.0
    with pytest.raises(LearnedArmError, match=r"elbow_joint outside its limits; got 4\.0; allowed"):
        plan_move(ROBOT, HOME, goal, START_NS)
