"""The shipped arms: each file loads, and says of its arm what the driver says of it.

The table in `drivers` is not made from the files: joints, ranges and topics are those of the drivers' own sources.
"""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from learned_arm.command_spec import GripperSettings
from learned_arm.contract import Contract, load_contract
from learned_arm.kinematics import ForwardKinematics
from learned_arm.robot import Robot, load_robot, parse_robot
from test.kinds import ROBOTS

_SPEC = importlib.util.spec_from_file_location("drivers", Path(__file__).with_name("drivers.py"))
assert _SPEC is not None and _SPEC.loader is not None
_MODULE = importlib.util.module_from_spec(_SPEC)
# A dataclass looks its module up.
sys.modules[_SPEC.name] = _MODULE
_SPEC.loader.exec_module(_MODULE)
DRIVERS = _MODULE.DRIVERS
PI = math.pi


@pytest.mark.parametrize("name", ROBOTS)
def test_a_shipped_arm_loads_and_its_plain_form_is_the_same_arm(name: str) -> None:
    robot = load_robot(name)
    assert robot.name == name
    assert parse_robot(robot.canonical(), name) == robot


def test_every_arm_but_the_simulated_one_is_held_against_its_driver() -> None:
    assert {*DRIVERS, "ur5e_sim"} == set(ROBOTS)


@pytest.mark.parametrize("name", DRIVERS)
def test_joints_are_the_drivers_in_its_order(name: str) -> None:
    robot, driver = load_robot(name), DRIVERS[name]
    assert robot.joints == driver.joints
    assert tuple(source.topic for source in robot.joint_states) == driver.states
    assert robot.control_rate_hz <= driver.rate_hz


@pytest.mark.parametrize("name", DRIVERS)
def test_limits_are_inside_the_drivers(name: str) -> None:
    robot, driver = load_robot(name), DRIVERS[name]
    for joint, (low, high), (their_low, their_high) in zip(
        robot.joints, robot.limit("position_rad"), driver.ranges, strict=True
    ):
        assert their_low - 1e-9 <= low < high <= their_high + 1e-9, joint
    speeds = robot.limit("velocity_rad_s")[: len(driver.speeds)]
    assert (speeds <= np.array(driver.speeds)).all(), speeds
    # A joint that brakes from full speed must stop within its range.
    braking = robot.limit("velocity_rad_s") ** 2 / (2 * robot.limit("acceleration_rad_s2"))
    assert (braking < np.ptp(robot.limit("position_rad"), axis=1)).all()


@pytest.mark.parametrize("name", DRIVERS)
def test_commands_go_where_the_driver_listens(name: str) -> None:
    robot, driver = load_robot(name), DRIVERS[name]
    by_group = {group: each.endpoint for each in robot.controllers for group in each.groups}
    first = robot.groups[0].name
    assert by_group[first] == driver.command
    if driver.gripper:
        assert by_group[robot.groups[1].name] == driver.gripper
    else:
        assert len(robot.groups) == 1


@pytest.mark.parametrize("name", DRIVERS)
def test_the_driver_and_its_stand_in_are_started_by_their_own_launch_files(name: str) -> None:
    driver, theirs = load_robot(name).driver, DRIVERS[name]
    assert driver is not None and driver.mock is not None
    assert (driver.real.package, driver.real.launch) == (theirs.package, theirs.launch)
    assert driver.mock.launch == theirs.mock or theirs.mock in driver.mock.arguments
    assert driver.mock != driver.real or name == "panda_mock"
    assert driver.install


@pytest.mark.parametrize("name", DRIVERS)
def test_what_is_commanded_through_ros2_control_is_activated(name: str) -> None:
    """A robot file that names a controller of ros2_control, and does not say that it must be active, moves nothing."""
    robot = load_robot(name)
    assert robot.driver is not None
    switch = robot.driver.controllers
    if switch is None:
        assert all(each.command.adapter.startswith("joint_") for each in robot.controllers)
        return
    active = set(switch.activate)
    for each in robot.controllers:
        if not isinstance(each.command.settings, GripperSettings):
            assert each.endpoint.split("/")[-2] in active, each.endpoint


def tool(robot: Robot, position_rad: tuple[float, ...], link: str) -> np.ndarray:
    assert robot.kinematics is not None
    forward = ForwardKinematics(robot.kinematics, robot.joints)
    return forward.poses(np.array([position_rad]))[0, list(robot.kinematics.links).index(link)]


@pytest.mark.parametrize(
    ("name", "position_rad", "link", "place_m"),
    [
        ("ur5e", (0, 0, 0, 0, 0, 0), "tool0", (0.8172, 0.2329, 0.0628)),
        ("ur5e", (0, -PI / 2, 0, -PI / 2, 0, 0), "tool0", (0.0001, 0.2329, 1.0794)),
        ("ur5e", (0, -PI / 2, 0, 0, 0, 0), "tool0", (0.0998, 0.2329, 0.9797)),
        # The sum of the published lengths: 0.6127 + 0.57155 and 0.17415 + 0.11655.
        ("ur10e", (0, 0, 0, 0, 0, 0), "tool0", (1.18425, 0.2907, 0.06085)),
        ("fr3", (0, -PI / 4, 0, -3 * PI / 4, 0, PI / 2, PI / 4, 0), "fr3_link8", (0.3069, 0.0, 0.5903)),
        # Interbotix's own home configurations (mr_descriptions of interbotix_xs_modules), and those of a bimanual pair.
        ("vx300s", (0,) * 7, "vx300s/ee_gripper_link", (0.536494, 0.0, 0.42705)),
        ("wx250s", (0,) * 7, "wx250s/ee_gripper_link", (0.458325, 0.0, 0.36065)),
        ("aloha", (0,) * 14, "follower_left/ee_gripper_link", (0.536494 - 0.469, 0.0, 0.42705)),
        ("aloha", (0,) * 14, "follower_right/ee_gripper_link", (0.469 - 0.536494, 0.0, 0.42705)),
    ],
)
def test_the_tool_is_where_the_maker_says(
    name: str, position_rad: tuple[float, ...], link: str, place_m: tuple[float, float, float]
) -> None:
    np.testing.assert_allclose(tool(load_robot(name), position_rad, link)[:3, 3], place_m, atol=2e-4)


@pytest.mark.parametrize("name", ROBOTS)
def test_a_contract_may_be_for_any_arm(name: str) -> None:
    contract = load_contract("reach_cube").canonical()
    robot = load_robot(name).canonical()
    groups = list(robot["groups"])
    absolute = [group for group in groups if "gripper" in group]
    value = {**contract, "robot": robot, "action": {**contract["action"], "absolute_groups": absolute}}
    if 250 % contract["rate_hz"] or robot["control_rate_hz"] % contract["rate_hz"]:
        value["rate_hz"] = 10
    found = Contract.from_canonical(value)
    assert found.robot.joints == load_robot(name).joints
    assert Contract.from_canonical(found.canonical()).hash == found.hash


def test_a_sliding_finger_counts_by_its_stroke_and_a_turning_joint_by_the_radian() -> None:
    robot = load_robot("fr3")
    assert robot.per_rad[:7].tolist() == [1.0] * 7
    assert robot.per_rad[7] == pytest.approx(0.039 / 0.8)
    assert (load_robot("ur5e_sim").per_rad == 1.0).all()
