"""Every adapter of a robot file: its plain form comes back as it was, its wrong keys are named, its joints add up."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learned_arm.canonical import canonical_json, hash_of
from learned_arm.command_spec import ADAPTERS, timeout_warnings
from learned_arm.errors import LearnedArmError
from learned_arm.robot import Robot, load_robot, parse_robot

SHIPPED = load_robot("ur5e_sim").canonical()
ARM, JAW = SHIPPED["groups"]["arm"]["joints"], SHIPPED["groups"]["gripper"]["joints"]
TOPIC, ACTION = "/forward_controller/commands", "/gripper_controller/gripper_cmd"
# A sample of each adapter: as short as it may be, what its defaults make of it, and with every key.
SAMPLES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "forward_position": ({"topic": TOPIC}, {"topic": TOPIC}, {"topic": TOPIC, "joints": JAW}),
    "forward_velocity": (
        {"topic": TOPIC},
        {"topic": TOPIC, "gain_per_s": 5.0, "correction_rad_s": 0.2},
        {"topic": TOPIC, "joints": JAW, "gain_per_s": 0, "correction_rad_s": 1.5},
    ),
    "joint_trajectory": (
        {"topic": TOPIC},
        {"topic": TOPIC, "time_from_start_s": 0.02, "velocities": False},
        {"topic": TOPIC, "joints": JAW, "time_from_start_s": 0.1, "velocities": True},
    ),
    "in_vector": ({"of": "arm"}, {"of": "arm"}, {"of": "arm"}),
    "gripper_command": (
        {"action": ACTION, "max_effort": 40},
        {"action": ACTION, "max_effort": 40.0, "deadband_rad": 0.008, "goal_rate_hz": 10.0},
        {"action": ACTION, "max_effort": 40.0, "deadband_rad": 0.0, "goal_rate_hz": 2.5},
    ),
    "parallel_gripper_command": (
        {"action": ACTION},
        {"action": ACTION, "deadband_rad": 0.008, "goal_rate_hz": 10.0},
        {"action": ACTION, "max_effort": 40.0, "deadband_rad": 0.02, "goal_rate_hz": 50.0},
    ),
    "franka_gripper": (
        {"action": "/franka_gripper", "max_effort": 30},
        {
            "action": "/franka_gripper",
            "max_effort": 30.0,
            "deadband_rad": 0.008,
            "goal_rate_hz": 2.0,
            "speed_m_s": 0.1,
            "turn_rad": 0.1 * 0.8,
        },
        {
            "action": "/franka_gripper",
            "max_effort": 30.0,
            "deadband_rad": 0.0,
            "goal_rate_hz": 1.0,
            "speed_m_s": 0.05,
            "turn_rad": 0.3,
        },
    ),
    "joint_group_command": (
        {"topic": TOPIC, "name": "arm"},
        {"topic": TOPIC, "name": "arm", "scale": 1.0},
        {"topic": TOPIC, "joints": JAW, "name": "arm", "scale": 0.5},
    ),
    "joint_single_command": (
        {"topic": TOPIC, "name": "gripper"},
        {"topic": TOPIC, "name": "gripper", "scale": 1.0},
        {"topic": TOPIC, "name": "gripper", "scale": 2.0},
    ),
}


def robot_with(gripper: dict[str, Any], arm: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """The shipped robot's plain data with other commands."""
    robot = copy.deepcopy(SHIPPED)
    robot["groups"]["gripper"]["command"] = gripper
    if arm is not None:
        robot["groups"]["arm"]["command"] = arm
    return {**robot, **more}


def read_back(robot: Robot) -> Robot:
    return parse_robot(json.loads(canonical_json(robot.canonical())), "again")


def test_every_adapter_has_its_sample() -> None:
    assert set(SAMPLES) == set(ADAPTERS)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_the_plain_form_writes_defaults_out_and_comes_back_with_its_hash(adapter: str) -> None:
    short, full, every = ({"adapter": adapter, **keys} for keys in SAMPLES[adapter])
    for given_keys in (short, full, every):
        robot = parse_robot(robot_with(given_keys), "robot.yaml")
        again = read_back(robot)
        assert again == robot and hash_of(again.canonical()) == hash_of(robot.canonical())
    written = parse_robot(robot_with(short), "robot.yaml")
    assert written.canonical()["groups"]["gripper"]["command"] == full
    assert written == parse_robot(robot_with(full), "robot.yaml")


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_key_that_is_none_of_the_adapter_is_named(adapter: str) -> None:
    for key in sorted({key for samples in SAMPLES.values() for key in samples[2]} - set(SAMPLES[adapter][2])):
        value = next(samples[2][key] for samples in SAMPLES.values() if key in samples[2])
        command = {"adapter": adapter, **SAMPLES[adapter][0], key: value}
        with pytest.raises(LearnedArmError, match=r"robot.yaml.groups.gripper.command: unknown key; got \['" + key):
            parse_robot(robot_with(command), "robot.yaml")


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_key_that_is_missing_is_named(adapter: str) -> None:
    for key in SAMPLES[adapter][0]:
        command = {"adapter": adapter, **SAMPLES[adapter][0]}
        del command[key]
        with pytest.raises(LearnedArmError, match=rf"robot.yaml.groups.gripper.command: missing key '{key}'"):
            parse_robot(robot_with(command), "robot.yaml")


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("forward_velocity", {"gain_per_s": 21.0}, "gain_per_s: not a number in range; got 21.0; allowed: [0.0, 20.0]"),
    ("forward_velocity", {"correction_rad_s": 0.0}, "correction_rad_s: not a number in range; got 0.0"),
    ("joint_trajectory", {"time_from_start_s": 0.6}, "time_from_start_s: not a number in range; got 0.6"),
    ("joint_trajectory", {"time_from_start_s": 0.005}, "time_from_start_s: not a number in range; got 0.005"),
    ("joint_trajectory", {"velocities": 1}, "velocities: not true or false; got 1"),
    ("joint_trajectory", {"joints": ["elbow_joint"]}, "joints: not every joint once; got ['elbow_joint']"),
    ("forward_position", {"joints": JAW * 2}, "joints: not every joint once"),
    ("in_vector", {"of": "leg"}, "command.of: no group with a vector; got leg; allowed: ['arm']"),
    ("in_vector", {"of": "gripper"}, "command.of: no group with a vector; got gripper; allowed: ['arm']"),
    ("franka_gripper", {"speed_m_s": 0.0}, "speed_m_s: not a number in range; got 0.0"),
    ("franka_gripper", {"turn_rad": -0.1}, "turn_rad: not a number in range; got -0.1"),
    ("joint_group_command", {"joints": ["elbow_joint"]}, "joints: not every joint once; got ['elbow_joint']"),
    ("joint_single_command", {"name": ""}, "command.name: "),
    ("gripper_command", {"max_effort": 0.0}, "max_effort: not a number in range; got 0.0; allowed: (0.0,"),
    ("gripper_command", {"max_effort": -5.0}, "max_effort: not a number in range; got -5.0"),
    ("gripper_command", {"max_effort": float("nan")}, "max_effort: not a number in range; got nan"),
    ("parallel_gripper_command", {"max_effort": 0}, "max_effort: not a number in range; got 0"),
    ("gripper_command", {"action": "gripper_cmd"}, "action: not an absolute topic name"),
    ("gripper_command", {"deadband_rad": 0.5}, "deadband_rad: not a number in range; got 0.5; allowed: [0.0, 0.4]"),
    ("gripper_command", {"goal_rate_hz": 0}, "goal_rate_hz: not a number in range; got 0; allowed: (0.0, 50.0]"),
]


@pytest.mark.parametrize(("adapter", "keys", "words"), BAD)
def test_a_value_out_of_range_is_one_line(adapter: str, keys: dict[str, Any], words: str) -> None:
    with pytest.raises(LearnedArmError) as caught:
        parse_robot(robot_with({"adapter": adapter, **SAMPLES[adapter][0], **keys}), "robot.yaml")
    text = str(caught.value)
    assert words in text and text.startswith("robot.yaml.groups.gripper.command") and "\n" not in text


def test_an_action_moves_one_joint_and_a_controller_belongs_to_one_owner() -> None:
    arm = {"adapter": "gripper_command", "action": ACTION, "max_effort": 1.0}
    with pytest.raises(LearnedArmError, match=r"groups.arm.command: a gripper's action moves one joint; got 6"):
        parse_robot(robot_with(SHIPPED["groups"]["gripper"]["command"], arm), "robot.yaml")
    chain = {"adapter": "in_vector", "of": "gripper"}
    with pytest.raises(LearnedArmError, match=r"command.of: no group with a vector; got gripper; allowed: \[\]"):
        parse_robot(robot_with({"adapter": "in_vector", "of": "arm"}, chain), "robot.yaml")
    same = {"adapter": "forward_position", "topic": TOPIC}
    with pytest.raises(LearnedArmError, match=f"two groups commanded on one topic; got \\['{TOPIC}'\\]"):
        parse_robot(robot_with(same, same), "robot.yaml")


def test_by_default_each_group_has_its_controller() -> None:
    robot = load_robot("ur5e_sim")
    assert [each.groups for each in robot.controllers] == [("arm",), ("gripper",)]
    assert [each.places for each in robot.controllers] == [tuple(range(6)), (6,)]
    assert [each.endpoint for each in robot.controllers] == [group.command.topic for group in robot.groups]


@pytest.mark.parametrize("adapter", ["forward_position", "forward_velocity", "joint_trajectory"])
@given(order=st.permutations([*ARM, *JAW]), groups=st.permutations(["arm", "gripper"]))
def test_a_group_in_the_vector_of_another_travels_in_the_controllers_order(
    adapter: str, order: list[str], groups: list[str]
) -> None:
    rider = {"adapter": "in_vector", "of": "arm"}
    owner = {"adapter": adapter, "topic": TOPIC, "joints": order}
    robot = parse_robot(robot_with(rider, owner, group_order=groups), "robot.yaml")
    (controller,) = robot.controllers
    assert controller.groups == ("arm", "gripper") and controller.joints == tuple(order)
    assert [robot.joints[place] for place in controller.places] == order
    assert read_back(robot) == robot


def test_without_an_order_riders_follow_the_joints_of_the_owner_and_the_plain_form_says_so() -> None:
    rider = {"adapter": "in_vector", "of": "arm"}
    robot = parse_robot(robot_with(rider, {"adapter": "forward_position", "topic": TOPIC}), "robot.yaml")
    assert robot.controllers[0].joints == (*ARM, *JAW)
    assert robot.canonical()["groups"]["arm"]["command"]["joints"] == [*ARM, *JAW]
    for wrong in (ARM, [*ARM, *ARM[:1]], [*ARM, *JAW, "tail"]):
        owner = {"adapter": "forward_position", "topic": TOPIC, "joints": wrong}
        with pytest.raises(LearnedArmError, match=r"groups.arm.command.joints: not every joint once"):
            parse_robot(robot_with(rider, owner), "robot.yaml")


def test_what_has_no_timeout_is_warned_of_by_group_and_controller() -> None:
    rider = {"adapter": "in_vector", "of": "arm"}
    said = {}
    for adapter in ("forward_position", "forward_velocity", "joint_trajectory"):
        robot = parse_robot(robot_with(rider, {"adapter": adapter, "topic": TOPIC}), "robot.yaml")
        said[adapter] = timeout_warnings(robot.controllers)
    assert [len(each) for each in said.values()] == [1, 1, 0]
    for adapter in ("forward_position", "forward_velocity"):
        assert said[adapter][0].startswith(f"arm, gripper at {TOPIC}: ") and adapter in said[adapter][0]
    assert "RUNS ON AT ITS LAST SPEED" in said["forward_velocity"][0]
