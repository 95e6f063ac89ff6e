"""The tool moves as it is asked to, within every joint's limits; where it cannot, it moves less, never elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from arm_control.teleop.tool import ToolMotion
from learned_arm.errors import LearnedArmError
from learned_arm.kinematics import parse_kinematics
from learned_arm.robot import load_robot
from learned_arm.tool import Tool

ROBOT = load_robot("ur5e")
LIMITS, SPEEDS = ROBOT.limit("position_rad"), ROBOT.limit("velocity_rad_s")
STEP_S = 1e-5


def motion(link: str = "tool0", limits: np.ndarray = LIMITS) -> ToolMotion:
    assert ROBOT.kinematics is not None
    return ToolMotion(ROBOT.kinematics, ROBOT.joints, link, limits, SPEEDS)


TOOL = motion()
assert ROBOT.kinematics is not None
LINK = Tool(ROBOT.kinematics, ROBOT.joints, "tool0")
poses = st.tuples(*(st.floats(max(low, -2.8), min(high, 2.8)) for low, high in LIMITS)).map(np.array)
twists = st.tuples(*[st.floats(-0.1, 0.1)] * 3, *[st.floats(-0.5, 0.5)] * 3).map(np.array)


def moved(at: np.ndarray, speed: np.ndarray) -> np.ndarray:
    """The tool's velocity by differences, in the base frame."""
    before, after = LINK.pose(at), LINK.pose(at + STEP_S * speed)
    turn = after[:3, :3] @ before[:3, :3].T
    spin = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]]) / 2
    return np.concatenate([after[:3, 3] - before[:3, 3], spin]) / STEP_S


@given(poses, st.tuples(*[st.floats(-1.0, 1.0)] * 6).map(np.array))
def test_the_jacobian_is_what_the_tool_does(at: np.ndarray, speed: np.ndarray) -> None:
    assert LINK.jacobian(at) @ speed == pytest.approx(moved(at, speed), abs=1e-3)


@given(st.tuples(*[st.floats(-0.4, 0.4)] * 6).map(lambda off: np.array(ROBOT.home_rad) + off), twists)
def test_away_from_singular_poses_and_limits_the_tool_moves_in_the_direction_asked_for(
    at: np.ndarray, twist: np.ndarray
) -> None:
    assume(np.linalg.svd(LINK.jacobian(at))[1][-1] > 0.08 and np.linalg.norm(twist) > 0.01)
    speed = TOOL.speeds(at, twist, "base")
    done = LINK.jacobian(at) @ speed
    # In the direction asked for, as far as no joint is too fast for it.
    share = float(done @ twist / (twist @ twist))
    assert 0.0 < share <= 1.0 + 1e-9
    assert done == pytest.approx(share * twist, abs=1e-9)
    if share < 1.0 - 1e-9:
        assert np.max(np.abs(speed) / SPEEDS) == pytest.approx(1.0)


@given(poses, twists)
def test_no_joint_is_ever_faster_than_it_may_be(at: np.ndarray, twist: np.ndarray) -> None:
    for frame in ("base", "tool"):
        speed = TOOL.speeds(at, twist * 100.0, frame)
        assert np.all(np.isfinite(speed))
        assert np.all(np.abs(speed) <= SPEEDS * (1 + 1e-9))


@given(poses, twists, st.integers(0, 5), st.booleans())
def test_a_joint_at_its_limit_is_not_asked_to_leave_it(
    at: np.ndarray, twist: np.ndarray, joint: int, upper: bool
) -> None:
    at = at.copy()
    at[joint] = LIMITS[joint, int(upper)]
    outward = TOOL.speeds(at, twist, "base")[joint] * (1 if upper else -1)
    assert outward <= 0.0


def test_a_stretched_arm_is_not_asked_to_stretch_further() -> None:
    at = np.array([0.0, -np.pi / 2, 0.0, -np.pi / 2, 0.0, 0.0])
    up = np.array([0.0, 0.0, 0.1, 0.0, 0.0, 0.0])
    assert np.abs(TOOL.speeds(at, up, "base")).max() < 0.5


def test_a_twist_can_be_along_the_axes_of_the_tool() -> None:
    at = np.array(ROBOT.home_rad)
    ahead = np.array([0.0, 0.0, 0.05, 0.0, 0.0, 0.0])
    done = LINK.jacobian(at) @ TOOL.speeds(at, ahead, "tool")
    assert done[:3] == pytest.approx(LINK.pose(at)[:3, 2] * 0.05, abs=1e-6)
    assert done[3:] == pytest.approx(np.zeros(3), abs=1e-6)


def test_what_cannot_be_moved_is_said() -> None:
    with pytest.raises(LearnedArmError, match="no such link"):
        motion("gripper")
    with pytest.raises(LearnedArmError, match="no joint moves it"):
        motion("base_link")


def test_a_sliding_joint_moves_the_tool_along_its_axis() -> None:
    joints = {"lift": {"parent": "base", "child": "carriage", "kind": "prismatic", "axis": [0.0, 0.0, 2.0]}}
    kinematics = parse_kinematics({"base": "base", "joints": joints}, "here", ["lift"])
    tool = ToolMotion(kinematics, ["lift"], "carriage", np.array([[0.0, 1.0]]), np.array([0.5]))
    speed = tool.speeds(np.array([0.5]), np.array([0.0, 0.0, 0.2, 0.0, 0.0, 0.0]), "base")
    assert speed == pytest.approx([0.2])
