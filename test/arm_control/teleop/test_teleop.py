"""What a person moves is what the arm is asked for: signs, scales, limits, and nothing that was not meant."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arm_control.teleop.gamepad import Gamepad
from arm_control.teleop.leader import Leader
from arm_control.teleop.mapping import GamepadMapping, LeaderMapping, load_mapping, parse_mapping
from learned_arm.cdr_write import joint_state, joint_trajectory
from learned_arm.errors import LearnedArmError
from learned_arm.robot import load_robot
from learned_arm.tool import Tool

UR = load_robot("ur5e_sim")
HOME = np.array(UR.home_rad)
LEADER = {
    "teleop": "leader",
    "topic": "/leader/joint_states",
    "joints": {
        "elbow_joint": {"leader": "b", "scale": -2.0, "offset_rad": 0.5},
        "shoulder_pan_joint": {"leader": "a"},
    },
}
GAMEPAD = {
    "teleop": "gamepad",
    "held_button": 5,
    "axes": [{"axis": 0, "joint": "shoulder_pan_joint", "speed_rad_s": 0.5}],
    "buttons": [{"button": 1, "joint": "elbow_joint", "speed_rad_s": -0.4}],
}
JAW = "robotiq_85_left_knuckle_joint"
PAN, ELBOW = UR.joints.index("shoulder_pan_joint"), UR.joints.index("elbow_joint")
SHIPPED = dict.fromkeys(("ur5e_gamepad", "ur5e_tool", "ur5e_spacenav", "ur5e_servo"), "ur5e_robotiq") | {
    "so101_leader": "so101"
}
TELEOP = Path(__file__).parents[3] / "learned_arm/config/teleop"


def told(**positions: float) -> bytes:
    """What a leader says."""
    return joint_state(0, list(positions), np.array(list(positions.values())))


def leader(**changes: Any) -> Leader:
    mapping = parse_mapping(LEADER | changes, "leader.yaml", UR)
    assert isinstance(mapping, LeaderMapping)
    return Leader(mapping, UR)


def gamepad() -> Gamepad:
    mapping = parse_mapping(GAMEPAD, "gamepad.yaml", UR)
    assert isinstance(mapping, GamepadMapping)
    return Gamepad(mapping, UR)


def asked(pad: Gamepad, axes: list[float], *buttons: int) -> np.ndarray:
    """Speeds at home after one message."""
    pad.held(buttons)
    return pad.speed_rad_s(axes, HOME)


def test_each_joint_follows_its_own_by_scale_sign_and_offset_and_the_rest_keeps_its_place() -> None:
    target = leader().target(told(b=0.2, other=9.0, a=-0.3), HOME)
    expected = HOME.copy()
    expected[PAN], expected[ELBOW] = -0.3, 0.1
    np.testing.assert_allclose(target, expected)


@given(a=st.floats(-1e6, 1e6), b=st.floats(-1e6, 1e6))
def test_a_leader_never_asks_for_more_than_the_limits(a: float, b: float) -> None:
    low, high = UR.limit("position_rad").T
    target = leader().target(told(a=a, b=b), HOME)
    assert (target >= low).all() and (target <= high).all()


@pytest.mark.parametrize("broken", [told(a=0.0), told(a=math.nan, b=0.0)])
def test_a_leader_that_lacks_a_joint_or_tells_nothing_of_it_is_refused(broken: bytes) -> None:
    with pytest.raises(LearnedArmError, match=r"missing joint b|not finite"):
        leader().target(broken, HOME)


def test_of_a_trajectory_its_last_point_is_followed_and_one_without_a_point_refused() -> None:
    """As MoveIt Servo tells where it would have the joints, from jazzy on with several points."""
    follows = leader(message="trajectory")
    points = np.array([[9.0, 9.0], [0.2, -0.3]])
    path = joint_trajectory(0, ["b", "a"], np.array([10_000_000, 20_000_000]), points)
    np.testing.assert_allclose(follows.target(path, HOME), leader().target(told(b=0.2, a=-0.3), HOME))
    with pytest.raises(LearnedArmError, match="trajectory without a point"):
        follows.target(joint_trajectory(0, ["b", "a"], np.empty(0, np.int64), np.empty((0, 2))), HOME)
    with pytest.raises(LearnedArmError):
        follows.target(told(b=0.2, a=-0.3), HOME)


def test_a_joint_that_is_far_from_its_leader_is_named() -> None:
    follows = leader()
    target = follows.target(told(a=0.25, b=0.25), HOME)
    measured = target.copy()
    assert follows.apart(target, measured) == ""
    measured[PAN] += 0.21
    assert follows.apart(target, measured) == "shoulder_pan_joint is 0.210 rad from its leader, allowed 0.2 rad"
    assert follows.drift(target, measured) == ""
    # What follows nothing cannot trail.
    measured = target.copy()
    measured[-1] += 5.0
    assert follows.apart(target, measured) == ""


@pytest.mark.parametrize(
    ("axis", "speed_rad_s"),
    [(0.0, 0.0), (0.05, 0.0), (1.0, 0.5), (-1.0, -0.5), (0.525, 0.25), (7.0, 0.5), (math.nan, 0.0)],
)
def test_an_axis_asks_for_speed_beyond_its_deadzone(axis: float, speed_rad_s: float) -> None:
    assert asked(gamepad(), [axis])[PAN] == pytest.approx(speed_rad_s)


def test_a_button_asks_for_its_speed_and_what_is_missing_for_none() -> None:
    assert asked(gamepad(), [0.0], 0, 1)[ELBOW] == -0.4
    assert not asked(gamepad(), []).any()
    assert gamepad().held([0, 0, 0, 0, 0, 1]) and not gamepad().held([1]) and not gamepad().held([])


def test_a_device_that_tells_changes_of_one_button_keeps_the_others() -> None:
    mapping = parse_mapping(GAMEPAD | {"held_button": 0, "button_events": True}, "spacenav.yaml", UR)
    assert isinstance(mapping, GamepadMapping)
    pad = Gamepad(mapping, UR)
    assert not pad.held([])
    assert pad.held([1])
    # The last one is the one that changed: the zero before it says nothing.
    assert pad.held([0, 1])
    assert pad.held([])
    assert pad.speed_rad_s([], HOME)[ELBOW] == -0.4
    assert pad.held([0, 0])
    assert pad.speed_rad_s([], HOME)[ELBOW] == 0.0
    assert not pad.held([0])
    assert pad.held([1])
    pad.forget()
    assert not pad.held([])


def with_tool(**tool: str) -> Gamepad:
    axes = [{"axis": 0, "tool": "z", "speed_m_s": 0.1}, {"axis": 1, "joint": JAW, "speed_rad_s": 1.0}]
    buttons = [{"button": 1, "tool": "yaw", "speed_rad_s": 0.5}]
    mapping = parse_mapping(GAMEPAD | {"axes": axes, "buttons": buttons, "tool": tool}, "gamepad.yaml", UR)
    assert isinstance(mapping, GamepadMapping)
    return Gamepad(mapping, UR)


def test_an_axis_moves_the_tool_along_a_line_and_another_the_gripper() -> None:
    assert UR.kinematics is not None
    tool = Tool(UR.kinematics, UR.joints, "tool0")
    speed = asked(with_tool(link="tool0"), [1.0, -1.0], 0, 1)
    np.testing.assert_allclose(tool.jacobian(HOME) @ speed, [0.0, 0.0, 0.1, 0.0, 0.0, 0.5], atol=1e-6)
    assert speed[UR.joints.index(JAW)] == -1.0
    ahead = asked(with_tool(link="tool0", frame="tool"), [1.0])
    np.testing.assert_allclose((tool.jacobian(HOME) @ ahead)[:3], 0.1 * tool.pose(HOME)[:3, 2], atol=1e-6)
    assert not asked(with_tool(link="tool0"), [0.0, 0.0]).any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"axes": [{"axis": 0, "tool": "z", "speed_m_s": 0.1}]}, "no tool to move"),
        ({"axes": [{"axis": 0, "tool": "up", "speed_m_s": 0.1}], "tool": {"link": "tool0"}}, "tool"),
        ({"axes": [{"axis": 0, "tool": "z", "speed_rad_s": 0.1}], "tool": {"link": "tool0"}}, "speed_m_s"),
        ({"tool": {"link": "hand"}}, "link"),
        ({"tool": {"link": "tool0", "frame": "world"}}, "frame"),
    ],
)
def test_a_tool_that_cannot_be_moved_like_this_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(LearnedArmError, match=words):
        parse_mapping(GAMEPAD | change, "gamepad.yaml", UR)


def test_an_arm_without_kinematics_has_no_tool_to_move() -> None:
    without = replace(load_robot("xarm7"), kinematics=None)
    axes = [{"axis": 0, "tool": "z", "speed_m_s": 0.1}]
    with pytest.raises(LearnedArmError, match="has no kinematics"):
        parse_mapping({**GAMEPAD, "axes": axes, "buttons": [], "tool": {"link": "tool0"}}, "gamepad.yaml", without)


@given(
    before=st.floats(-6.0, 6.0),
    measured=st.floats(-6.0, 6.0),
    speed=st.floats(-100.0, 100.0),
    seconds=st.floats(-1.0, 100.0),
)
def test_a_gamepad_never_asks_for_what_is_far_or_outside(
    before: float, measured: float, speed: float, seconds: float
) -> None:
    pad, leash = gamepad(), UR.limit("step_from_measured_rad")
    low, high = UR.limit("position_rad").T
    at = np.clip(np.full(UR.dof, measured), low, high)
    target = pad.target(np.clip(np.full(UR.dof, before), low, high), at, np.full(UR.dof, speed), seconds)
    assert (target >= low).all() and (target <= high).all()
    assert (np.abs(target - at) <= leash + 1e-12).all()


def test_a_late_message_moves_the_arm_no_further_than_one_in_time() -> None:
    pad, speed = gamepad(), np.full(UR.dof, 0.5)
    assert pad.target(HOME, HOME, speed, 60.0)[PAN] == pytest.approx(HOME[PAN] + 0.05)


@pytest.mark.parametrize(("name", "robot"), SHIPPED.items())
def test_the_shipped_files_are_for_the_shipped_arms(name: str, robot: str) -> None:
    load_mapping(name, load_robot(robot))
    assert {path.stem for path in TELEOP.glob("*.yaml")} == set(SHIPPED)


BAD: list[tuple[dict[str, Any], str]] = [
    ({**LEADER, "teleop": "spoon"}, "unknown value; got spoon"),
    ({**LEADER, "joints": {}}, "nothing follows the leader"),
    ({**LEADER, "joints": {"knee": {"leader": "a"}}}, r"no such joint; got \['knee'\]"),
    ({**LEADER, "joints": {"elbow_joint": {"leader": "a", "scale": 0}}}, "follows nothing"),
    (
        {**LEADER, "joints": {"elbow_joint": {"leader": "a"}, "wrist_1_joint": {"leader": "a"}}},
        "followed by two joints",
    ),
    ({**LEADER, "deadzone": 0.1}, r"unknown key; got \['deadzone'\]"),
    ({**GAMEPAD, "axes": [{"axis": 0, "joint": "knee", "speed_rad_s": 1}]}, r"no such joint; got \['knee'\]"),
    ({**GAMEPAD, "held_button": 1}, "a button that is held moves something"),
    ({"teleop": "gamepad", "held_button": 1}, "nothing moves anything"),
    ({**GAMEPAD, "deadzone": 1.0}, "deadzone: not a number in range"),
]


@pytest.mark.parametrize(("value", "said"), BAD)
def test_a_wrong_entry_is_named(value: dict[str, Any], said: str) -> None:
    with pytest.raises(LearnedArmError, match=said):
        parse_mapping(value, "teleop.yaml", UR)
