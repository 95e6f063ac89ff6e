"""The shipped arms: each file loads, and says of its arm what the driver says of it.

The table below is not made from the files: joints, ranges and topics are those of the drivers' own sources.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from learned_arm import clearance
from learned_arm.command_spec import GripperSettings
from learned_arm.contract import Contract, load_contract
from learned_arm.kinematics import ForwardKinematics
from learned_arm.robot import Robot, load_robot, parse_robot

ROBOTS = sorted(path.stem for path in (Path(__file__).parents[2] / "learned_arm/config/robots").glob("*.yaml"))
PI, INFINITE = math.pi, math.inf
Ranges = tuple[tuple[float, float], ...]


def numbered(pattern: str, count: int, first: int = 1) -> tuple[str, ...]:
    return tuple(pattern.format(number) for number in range(first, first + count))


def around(*largest: float) -> Ranges:
    return tuple((-each, each) for each in largest)


def degrees(*ranges: tuple[float, float]) -> Ranges:
    return tuple((math.radians(low), math.radians(high)) for low, high in ranges)


@dataclass(frozen=True)
class Driver:
    """What a driver says of its arm.

    Attributes:
        joints: In the order of the arm, the gripper's last.
        ranges: Of each joint, rad or m; infinite where its own are placeholders.
        speeds: Largest of the arm's joints, rad/s; infinite where its own are placeholders.
        rate_hz: Of its controllers, or of its joint states.
        states: Topics of its joint states.
        command: Topic of the arm.
        gripper: Topic or action of the gripper; empty: none of its own.
        package: And launch file.
        mock: The launch argument that stands for no hardware, or the launch file.
    """

    joints: tuple[str, ...]
    ranges: Ranges
    speeds: tuple[float, ...]
    rate_hz: float
    states: tuple[str, ...]
    command: str
    gripper: str
    package: str
    launch: str
    mock: str


UR_JOINTS = (
    "shoulder_pan_joint",
    "shoulder_lift_joint",
    "elbow_joint",
    "wrist_1_joint",
    "wrist_2_joint",
    "wrist_3_joint",
)
UR_RANGES = around(2 * PI, 2 * PI, PI, 2 * PI, 2 * PI, 2 * PI)
XS_JOINTS = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate", "left_finger")
VIPER = degrees((-180, 180), (-106, 72), (-101, 92), (-180, 180), (-107, 128), (-180, 180))
OPENARM = ((-1.396, 3.491), *around(1.745, 1.571), (-0.1, 2.443), *around(1.571, 0.785, 1.571), (0.0, 0.044))
FORWARD, JTC = "/forward_position_controller/commands", "/joint_trajectory_controller/joint_trajectory"
ROBOTIQ = "/robotiq_gripper_controller/gripper_cmd"
OMX = "open_manipulator_bringup"
DRIVERS = {
    "ur5e": Driver(
        UR_JOINTS,
        UR_RANGES,
        (PI,) * 6,
        500,
        ("/joint_states",),
        FORWARD,
        "",
        "ur_robot_driver",
        "ur_control.launch.py",
        "use_mock_hardware",
    ),
    "ur5e_robotiq": Driver(
        (*UR_JOINTS, "robotiq_85_left_knuckle_joint"),
        (*UR_RANGES, (0.0, 0.8)),
        (PI,) * 6,
        500,
        ("/joint_states", "/gripper/joint_states"),
        FORWARD,
        f"/gripper{ROBOTIQ}",
        "ur_robot_driver",
        "ur_control.launch.py",
        "use_mock_hardware",
    ),
    "ur10e": Driver(
        UR_JOINTS,
        UR_RANGES,
        (math.radians(120),) * 2 + (PI,) * 4,
        500,
        ("/joint_states",),
        FORWARD,
        "",
        "ur_robot_driver",
        "ur_control.launch.py",
        "use_mock_hardware",
    ),
    "fr3": Driver(
        (*numbered("fr3_joint{}", 7), "fr3_finger_joint1"),
        (
            *around(2.7437, 1.7837, 2.9007),
            (-3.0421, -0.1518),
            (-2.8065, 2.8065),
            (0.5445, 4.5169),
            (-3.0159, 3.0159),
            (0.0, 0.04),
        ),
        (2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26),
        1000,
        ("/franka/joint_states", "/franka_gripper/joint_states"),
        "/fr3_arm_controller/joint_trajectory",
        "/franka_gripper/gripper_action",
        "franka_bringup",
        "franka.launch.py",
        "use_fake_hardware",
    ),
    "xarm6": Driver(
        (*numbered("joint{}", 6), "drive_joint"),
        (
            (-3.11, 3.11),
            (-2.059, 2.0944),
            (-3.11, 0.19198),
            (-3.11, 3.11),
            (-1.69297, 3.11),
            (-3.11, 3.11),
            (0.0, 0.85),
        ),
        (2.14,) * 6,
        150,
        ("/xarm/joint_states",),
        "/xarm6_traj_controller/joint_trajectory",
        "/xarm_gripper/gripper_action",
        "xarm_moveit_config",
        "xarm6_moveit_realmove.launch.py",
        "xarm6_moveit_fake.launch.py",
    ),
    "xarm7": Driver(
        (*numbered("joint{}", 7), "drive_joint"),
        (
            *around(3.11, 2.18, 3.11),
            (-0.11, 3.11),
            (-3.11, 3.11),
            (-1.75, 3.11),
            (-3.11, 3.11),
            (0.0, 0.85),
        ),
        (2.14,) * 7,
        150,
        ("/xarm/joint_states",),
        "/xarm7_traj_controller/joint_trajectory",
        "/xarm_gripper/gripper_action",
        "xarm_moveit_config",
        "xarm7_moveit_realmove.launch.py",
        "xarm7_moveit_fake.launch.py",
    ),
    "lite6": Driver(
        numbered("joint{}", 6),
        (*around(3.11, 2.61799), (-0.061087, 3.11), *around(3.11, 2.1642, 3.11)),
        (2.14,) * 6,
        150,
        ("/ufactory/joint_states",),
        "/lite6_traj_controller/joint_trajectory",
        "",
        "xarm_moveit_config",
        "lite6_moveit_realmove.launch.py",
        "lite6_moveit_fake.launch.py",
    ),
    "gen3": Driver(
        (*numbered("joint_{}", 7), "robotiq_85_left_knuckle_joint"),
        (*around(INFINITE, 2.24, INFINITE, 2.57, INFINITE, 2.09, INFINITE), (0.0, 0.8)),
        (1.3963,) * 4 + (1.2218,) * 3,
        1000,
        ("/joint_states",),
        JTC,
        ROBOTIQ,
        "kortex_bringup",
        "gen3.launch.py",
        "use_fake_hardware",
    ),
    "vx300s": Driver(
        XS_JOINTS,
        (*VIPER, (0.021, 0.057)),
        (PI,) * 6,
        100,
        ("/vx300s/joint_states",),
        "/vx300s/commands/joint_group",
        "/vx300s/commands/joint_single",
        "interbotix_xsarm_control",
        "xsarm_control.launch.py",
        "use_sim",
    ),
    "wx250s": Driver(
        XS_JOINTS,
        (*degrees((-180, 180), (-108, 114), (-123, 92), (-180, 180), (-100, 123), (-180, 180)), (0.015, 0.037)),
        (PI,) * 6,
        100,
        ("/wx250s/joint_states",),
        "/wx250s/commands/joint_group",
        "/wx250s/commands/joint_single",
        "interbotix_xsarm_control",
        "xsarm_control.launch.py",
        "use_sim",
    ),
    "aloha": Driver(
        tuple(f"{side}_{joint}" for side in ("left", "right") for joint in XS_JOINTS),
        (*VIPER, (0.018, 0.058)) * 2,
        ((PI,) * 6 + (INFINITE,)) * 2,
        100,
        ("/follower_left/joint_states", "/follower_right/joint_states"),
        "/follower_left/commands/joint_group",
        "/follower_left/commands/joint_single",
        "interbotix_xsarm_control",
        "xsarm_control.launch.py",
        "use_sim",
    ),
    "wxai": Driver(
        (*numbered("joint_{}", 6, 0), "left_carriage_joint"),
        (
            (-PI, PI),
            (0.0, PI),
            (0.0, 2.356),
            *around(1.571, 1.571, PI),
            (0.0, 0.04),
        ),
        (INFINITE,) * 6,
        100,
        ("/joint_states",),
        "/arm_controller/joint_trajectory",
        "/gripper_controller/gripper_cmd",
        "trossen_arm_bringup",
        "trossen_arm.launch.py",
        "ros2_control_hardware_type",
    ),
    "so101": Driver(
        ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper"),
        (*around(1.91986, 1.74533, 1.69, 1.65806, 2.79253), (-0.17453, 1.74533)),
        (3.14,) * 5,
        50,
        ("/follower/joint_states",),
        "/follower/forward_controller/commands",
        "/follower/forward_controller/commands",
        "so101_bringup",
        "follower.launch.py",
        "hardware_type",
    ),
    "open_manipulator_x": Driver(
        (*numbered("joint{}", 4), "gripper_left_joint"),
        (*around(PI, 1.5), (-1.5, 1.4), (-1.7, 1.97), (-0.011, 0.02)),
        (4.8,) * 4,
        100,
        ("/joint_states",),
        "/arm_controller/joint_trajectory",
        "/gripper_controller/gripper_cmd",
        OMX,
        "open_manipulator_x.launch.py",
        "use_mock_hardware",
    ),
    "omy_f3m": Driver(
        (*numbered("joint{}", 6), "rh_r1_joint"),
        (*around(*(2 * PI,) * 6), (0.0, 1.14)),
        (INFINITE,) * 6,
        400,
        ("/joint_states",),
        "/arm_controller/joint_trajectory",
        "/gripper_controller/gripper_cmd",
        OMX,
        "omy_f3m.launch.py",
        "use_mock_hardware",
    ),
    "openarm": Driver(
        (*numbered("openarm_joint{}", 7), "openarm_finger_joint1"),
        OPENARM,
        (INFINITE,) * 7,
        100,
        ("/joint_states",),
        FORWARD,
        "/gripper_controller/gripper_cmd",
        "openarm_bringup",
        "openarm.launch.py",
        "use_fake_hardware",
    ),
    "openarm_bimanual": Driver(
        tuple(
            name
            for side in ("left", "right")
            for name in (*numbered(f"openarm_{side}_joint{{}}", 7), f"openarm_{side}_finger_joint1")
        ),
        OPENARM * 2,
        (INFINITE,) * 16,
        100,
        ("/joint_states",),
        "/left_forward_position_controller/commands",
        "/left_gripper_controller/gripper_cmd",
        "openarm_bringup",
        "openarm.bimanual.launch.py",
        "use_fake_hardware",
    ),
    "panda_mock": Driver(
        (*numbered("panda_joint{}", 7), "panda_finger_joint1"),
        (
            *around(2.8973, 1.7628, 2.8973),
            (-3.0718, -0.0698),
            (-2.8973, 2.8973),
            (-0.0175, 3.7525),
            (-2.8973, 2.8973),
            (0.0, 0.04),
        ),
        (2.175,) * 4 + (2.61,) * 3,
        100,
        ("/joint_states",),
        "/panda_arm_controller/joint_trajectory",
        "/panda_hand_controller/gripper_cmd",
        "moveit_resources_panda_moveit_config",
        "demo.launch.py",
        "ros2_control_hardware_type",
    ),
}


@pytest.mark.parametrize("name", ROBOTS)
def test_a_shipped_arm_loads_and_its_plain_form_is_the_same_arm(name: str) -> None:
    robot = load_robot(name)
    assert robot.name == name
    assert parse_robot(robot.canonical(), name) == robot
    if robot.clearance is not None:
        assert isinstance(robot.clearance, clearance.ClearanceSpec)


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
