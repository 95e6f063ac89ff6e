"""A robot is checked whole: what is good comes back as it was, what is bad is one line that names it."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learned_arm.canonical import canonical_json, hash_of
from learned_arm.errors import LearnedArmError
from learned_arm.robot import load_robot, parse_robot

SHIPPED = load_robot("ur5e_sim").canonical()
ARM, GRIPPER = ("groups", "arm"), ("groups", "gripper")
LIMITS = (*ARM, "limits")
DRIVER = {"package": "a_driver", "launch": "a.launch.py", "install": "ros-jazzy-a-driver"}


def put(*path_and_value: Any) -> Callable[[dict[str, Any]], None]:
    """Writes a value at a path of keys."""
    *path, key, value = path_and_value

    def change(robot: dict[str, Any]) -> None:
        for step in path:
            robot = robot[step]
        robot[key] = value

    return change


def drop(*path: Any) -> Callable[[dict[str, Any]], None]:
    """Deletes a key at a path of keys."""

    def change(robot: dict[str, Any]) -> None:
        for step in path[:-1]:
            robot = robot[step]
        del robot[path[-1]]

    return change


# What is changed, and what the error must say: what is wrong, where, got, allowed.
BAD: dict[str, tuple[Callable[[dict[str, Any]], None], tuple[str, ...]]] = {
    "unknown key": (put("colour", "blue"), ("robot.yaml: unknown key", "'colour'", "'home_rad'")),
    "unknown limit": (
        put(*LIMITS, "torque_nm", [1.0]),
        ("groups.arm.limits: unknown key", "torque_nm", "jerk_rad_s3"),
    ),
    "missing key": (drop("home_rad"), ("robot.yaml: missing key 'home_rad'",)),
    "missing limit": (drop(*LIMITS, "jerk_rad_s3"), ("groups.arm.limits: missing key 'jerk_rad_s3'",)),
    "not a mapping": (put("groups", [1]), ("robot.yaml.groups: not a mapping", "got [1]", "key: value")),
    "no group": (put("groups", {}), ("robot.yaml.groups: no joint group", "at least one")),
    "wrong length": (
        put(*LIMITS, "velocity_rad_s", [1.0]),
        ("velocity_rad_s: wrong length", "got 1", "6, one a joint"),
    ),
    "wrong length of home": (
        put("home_rad", "gripper", [0.0, 0.0]),
        ("home_rad.gripper: wrong length", "got 2"),
    ),
    "home outside": (
        put("home_rad", "gripper", [0.9]),
        ("robotiq_85_left_knuckle_joint outside", "0.9", "[0.0, 0.8]"),
    ),
    "duplicate joint": (
        put(*GRIPPER, "joints", ["elbow_joint"]),
        ("groups: duplicate joint", "elbow_joint", "each once"),
    ),
    "NaN": (
        put(*LIMITS, "velocity_rad_s", 0, math.nan),
        ("velocity_rad_s[0]: not a number in range", "nan", "(0.0,"),
    ),
    "infinite": (
        put(*LIMITS, "position_rad", 0, 1, math.inf),
        ("position_rad[0][1]: not a number in range", "inf"),
    ),
    "huge": (
        put(*LIMITS, "velocity_rad_s", 0, 10**400),
        ("velocity_rad_s[0]: not a number in range", "1000"),
    ),
    "zero speed": (
        put(*LIMITS, "velocity_rad_s", 0, 0.0),
        ("velocity_rad_s[0]", "got 0.0", "(0.0, 1000000.0]"),
    ),
    "text for a number": (put(*LIMITS, "velocity_rad_s", 0, "fast"), ("velocity_rad_s[0]", "got fast")),
    "reversed": (
        put(*LIMITS, "position_rad", 0, [2.0, 1.0]),
        ("position_rad[0]: not an interval", "[2.0, 1.0]", "low < high"),
    ),
    "three limits": (put(*LIMITS, "position_rad", 0, [1, 2, 3]), ("position_rad[0]: not an interval",)),
    "unknown adapter": (
        put(*ARM, "command", "adapter", "telepathy"),
        ("adapter: unknown value", "telepathy", "forward_position"),
    ),
    "relative topic": (
        put(*ARM, "command", "topic", "x/y"),
        ("command.topic: not an absolute topic", "x/y", "/name"),
    ),
    "topic with a space": (put("joint_states", 0, "topic", "/a b"), ("joint_states[0].topic", "/a b")),
    "no joint states": (put("joint_states", []), ("joint_states: not a list", "1 or more")),
    "joint states twice": (
        lambda robot: robot["joint_states"].append(robot["joint_states"][0]),
        ("joint_states: two joint states on one topic", "/joint_states", "each once"),
    ),
    "one topic for two groups": (
        put(*GRIPPER, "command", "topic", "/forward_position_controller/commands"),
        ("groups: two groups commanded on one topic", "/forward_position_controller/commands"),
    ),
    "group left out of the order": (
        put("group_order", ["arm"]),
        ("group_order: not every group once", "gripper"),
    ),
    "group unknown to the order": (
        put("group_order", ["arm", "leg"]),
        ("group_order[1]: unknown value", "leg", "gripper"),
    ),
    "rate of zero": (
        put("control_rate_hz", 0),
        ("control_rate_hz: not an integer in range", "got 0", "[1, 2000]"),
    ),
    "rate of a half": (put("control_rate_hz", 0.5), ("control_rate_hz: not an integer", "got 0.5")),
    "rate of true": (put("control_rate_hz", True), ("control_rate_hz: not an integer", "got True")),
    "name with a path": (put("robot", "../arm"), ("robot: not a name", "../arm")),
    "driver without a package": (put("driver", {"launch": "a.launch.py"}), ("driver: missing key 'package'",)),
    "driver with another key": (put("driver", {**DRIVER, "port": "1"}), ("driver: unknown key", "port")),
    "driver with an argument that is no text": (
        put("driver", {**DRIVER, "arguments": {"mock": True}}),
        ("driver.arguments.mock", "True"),
    ),
    "driver with NaN": (put("driver", {**DRIVER, "arguments": {"a": math.nan}}), ("driver.arguments", "nan")),
    "driver with a number as key": (put("driver", {**DRIVER, "arguments": {1: "2"}}), ("driver.arguments", "got 1")),
    "controller on and off": (
        put("driver", {**DRIVER, "controllers": {"activate": ["a"], "deactivate": ["a"]}}),
        ("driver.controllers: controller named twice", "a"),
    ),
    "manager that is no node": (
        put("driver", {**DRIVER, "controllers": {"manager": "controller_manager"}}),
        ("driver.controllers.manager",),
    ),
    "MoveIt without a group": (put("moveit", {"package": "a"}), ("moveit: missing key 'group'",)),
    "unit that is none": (put(*GRIPPER, "unit", "mm"), ("groups.gripper.unit", "mm", "rad")),
    "metres in radians": (put(*GRIPPER, "unit", "m"), ("groups.gripper.limits: missing key 'position_m'",)),
}


@pytest.mark.parametrize("name", BAD)
def test_every_bad_entry_is_one_line_that_says_what_where_got_and_allowed(name: str) -> None:
    change, words = BAD[name]
    robot = copy.deepcopy(SHIPPED)
    change(robot)
    with pytest.raises(LearnedArmError) as caught:
        parse_robot(robot, "robot.yaml")
    text = str(caught.value)
    assert "\n" not in text and text.startswith("robot.yaml")
    assert [word for word in words if word not in text] == [], text


def test_a_mock_takes_over_what_it_does_not_say_otherwise() -> None:
    real = {**DRIVER, "arguments": {"kind": "a", "hardware": "real"}, "address": "ip"}
    for mock, package, launch, arguments in (
        ({"arguments": {"hardware": "mock"}}, "a_driver", "a.launch.py", {"kind": "a", "hardware": "mock"}),
        ({"launch": "b.launch.py"}, "a_driver", "b.launch.py", {}),
        ({"package": "b", "arguments": {"x": "1"}}, "b", "a.launch.py", {"x": "1"}),
    ):
        robot = parse_robot({**SHIPPED, "driver": {**real, "mock": mock}}, "robot.yaml")
        found = robot.driver
        assert found is not None and found.mock is not None
        assert (found.mock.package, found.mock.launch, found.mock.arguments) == (package, launch, arguments)
        assert parse_robot(json.loads(canonical_json(robot.canonical())), "again") == robot


def test_joints_that_slide_have_their_limits_in_metres() -> None:
    robot = copy.deepcopy(SHIPPED)
    robot["groups"]["gripper"] = {
        "unit": "m",
        "joints": ["finger"],
        "limits": {
            "position_m": [[0.0, 0.04]],
            "position_margin_m": [0.001],
            "velocity_m_s": [0.1],
            "acceleration_m_s2": [1.0],
            "jerk_m_s3": [50.0],
            "step_from_measured_m": [0.04],
        },
        "command": robot["groups"]["gripper"]["command"],
    }
    robot["home_m"] = {"gripper": [0.02]}
    del robot["home_rad"]["gripper"]
    found = parse_robot(robot, "robot.yaml")
    assert found.home_rad[-1] == 0.02 and found.limit("velocity_rad_s")[-1] == 0.1
    assert found.canonical()["groups"]["gripper"]["limits"] == robot["groups"]["gripper"]["limits"]
    assert parse_robot(json.loads(canonical_json(found.canonical())), "again") == found


def test_the_canonical_form_gives_the_same_robot_and_hash() -> None:
    robot = load_robot("ur5e_sim")
    read_back = parse_robot(json.loads(canonical_json(robot.canonical())), "again")
    assert read_back == robot
    assert hash_of(read_back.canonical()) == hash_of(robot.canonical())


@given(st.permutations(["arm", "gripper"]), st.permutations(range(6)))
def test_the_joint_order_survives_canonical_json(groups: list[str], order: list[int]) -> None:
    robot = copy.deepcopy(SHIPPED)
    arm = robot["groups"]["arm"]
    arm["joints"] = [arm["joints"][index] for index in order]
    robot["group_order"] = groups
    # Home goes by place, so that another order is another pose.
    del robot["clearance"]
    made = parse_robot(robot, "made")
    assert made.joints == tuple(joint for group in groups for joint in robot["groups"][group]["joints"])
    assert parse_robot(json.loads(canonical_json(made.canonical())), "again").joints == made.joints


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to every number of a robot."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if isinstance(value, int | float):
        return [path]
    return [leaf for key, each in children for leaf in leaves(each, (*path, key))]


@given(st.sampled_from(leaves(SHIPPED)))
def test_any_other_number_is_another_hash(path: tuple[Any, ...]) -> None:
    robot = copy.deepcopy(SHIPPED)
    value: Any = robot
    for step in path[:-1]:
        value = value[step]
    low_end = path[-2:-1] == ("gripper",) or (path[-1] == 0 and "position_rad" in path)
    value[path[-1]] += 1 if path == ("control_rate_hz",) else (-1e-9 if low_end and "home_rad" not in path else 1e-9)
    assert hash_of(parse_robot(robot, "other").canonical()) != hash_of(SHIPPED)


def test_slices_and_limits_follow_the_joint_order() -> None:
    robot = load_robot("ur5e_sim")
    for group in robot.groups:
        assert robot.joints[robot.slices[group.name]] == group.joints
        np.testing.assert_array_equal(
            robot.limit("velocity_rad_s")[robot.slices[group.name]], group.limits.velocity_rad_s
        )
    assert robot.limit("position_rad").shape == (robot.dof, 2)


@pytest.mark.parametrize(
    "content",
    [
        "a: [",
        "a: 2020-13-45",
        "\x00",
        "[" * 3000,
        "{? {a: b} : c}",
        "robot: a\nrobot: b",
        "- 1",
        "",
        "!!python/object:os.system {}",
    ],
)
def test_a_file_that_is_no_robot_is_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    with pytest.raises(LearnedArmError) as caught:
        load_robot(path)
    assert "bad.yaml" in str(caught.value) and "\n" not in str(caught.value)


def test_files_that_are_missing_or_too_large_say_so(tmp_path: Path) -> None:
    with pytest.raises(LearnedArmError, match=r"no such entry in robots; got nobody; allowed: .*'ur5e_sim'"):
        load_robot("nobody")
    with pytest.raises(LearnedArmError, match=r"nobody.yaml: cannot be read"):
        load_robot(tmp_path / "nobody.yaml")
    (tmp_path / "large.yaml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(LearnedArmError, match="file too large; got 1000001"):
        load_robot(tmp_path / "large.yaml")
