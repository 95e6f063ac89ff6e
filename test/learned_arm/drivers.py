"""What the drivers of the shipped arms say of them: from their own sources, and not from our robot files."""

from __future__ import annotations

import math
from dataclasses import dataclass

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
        joints=UR_JOINTS,
        ranges=UR_RANGES,
        speeds=(PI,) * 6,
        rate_hz=500,
        states=("/joint_states",),
        command=FORWARD,
        gripper="",
        package="ur_robot_driver",
        launch="ur_control.launch.py",
        mock="use_mock_hardware",
    ),
    "ur5e_robotiq": Driver(
        joints=(*UR_JOINTS, "robotiq_85_left_knuckle_joint"),
        ranges=(*UR_RANGES, (0.0, 0.8)),
        speeds=(PI,) * 6,
        rate_hz=500,
        states=("/joint_states", "/gripper/joint_states"),
        command=FORWARD,
        gripper=f"/gripper{ROBOTIQ}",
        package="ur_robot_driver",
        launch="ur_control.launch.py",
        mock="use_mock_hardware",
    ),
    "ur10e": Driver(
        joints=UR_JOINTS,
        ranges=UR_RANGES,
        speeds=(math.radians(120),) * 2 + (PI,) * 4,
        rate_hz=500,
        states=("/joint_states",),
        command=FORWARD,
        gripper="",
        package="ur_robot_driver",
        launch="ur_control.launch.py",
        mock="use_mock_hardware",
    ),
    "fr3": Driver(
        joints=(*numbered("fr3_joint{}", 7), "fr3_finger_joint1"),
        ranges=(
            *around(2.7437, 1.7837, 2.9007),
            (-3.0421, -0.1518),
            (-2.8065, 2.8065),
            (0.5445, 4.5169),
            (-3.0159, 3.0159),
            (0.0, 0.04),
        ),
        speeds=(2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26),
        rate_hz=1000,
        states=("/franka/joint_states", "/franka_gripper/joint_states"),
        command="/fr3_arm_controller/joint_trajectory",
        gripper="/franka_gripper/gripper_action",
        package="franka_bringup",
        launch="franka.launch.py",
        mock="use_fake_hardware",
    ),
    "xarm6": Driver(
        joints=(*numbered("joint{}", 6), "drive_joint"),
        ranges=(
            (-3.11, 3.11),
            (-2.059, 2.0944),
            (-3.11, 0.19198),
            (-3.11, 3.11),
            (-1.69297, 3.11),
            (-3.11, 3.11),
            (0.0, 0.85),
        ),
        speeds=(2.14,) * 6,
        rate_hz=150,
        states=("/xarm/joint_states",),
        command="/xarm6_traj_controller/joint_trajectory",
        gripper="/xarm_gripper/gripper_action",
        package="xarm_moveit_config",
        launch="xarm6_moveit_realmove.launch.py",
        mock="xarm6_moveit_fake.launch.py",
    ),
    "xarm7": Driver(
        joints=(*numbered("joint{}", 7), "drive_joint"),
        ranges=(
            *around(3.11, 2.18, 3.11),
            (-0.11, 3.11),
            (-3.11, 3.11),
            (-1.75, 3.11),
            (-3.11, 3.11),
            (0.0, 0.85),
        ),
        speeds=(2.14,) * 7,
        rate_hz=150,
        states=("/xarm/joint_states",),
        command="/xarm7_traj_controller/joint_trajectory",
        gripper="/xarm_gripper/gripper_action",
        package="xarm_moveit_config",
        launch="xarm7_moveit_realmove.launch.py",
        mock="xarm7_moveit_fake.launch.py",
    ),
    "lite6": Driver(
        joints=numbered("joint{}", 6),
        ranges=(*around(3.11, 2.61799), (-0.061087, 3.11), *around(3.11, 2.1642, 3.11)),
        speeds=(2.14,) * 6,
        rate_hz=150,
        states=("/ufactory/joint_states",),
        command="/lite6_traj_controller/joint_trajectory",
        gripper="",
        package="xarm_moveit_config",
        launch="lite6_moveit_realmove.launch.py",
        mock="lite6_moveit_fake.launch.py",
    ),
    "gen3": Driver(
        joints=(*numbered("joint_{}", 7), "robotiq_85_left_knuckle_joint"),
        ranges=(*around(INFINITE, 2.24, INFINITE, 2.57, INFINITE, 2.09, INFINITE), (0.0, 0.8)),
        speeds=(1.3963,) * 4 + (1.2218,) * 3,
        rate_hz=1000,
        states=("/joint_states",),
        command=JTC,
        gripper=ROBOTIQ,
        package="kortex_bringup",
        launch="gen3.launch.py",
        mock="use_fake_hardware",
    ),
    "vx300s": Driver(
        joints=XS_JOINTS,
        ranges=(*VIPER, (0.021, 0.057)),
        speeds=(PI,) * 6,
        rate_hz=100,
        states=("/vx300s/joint_states",),
        command="/vx300s/commands/joint_group",
        gripper="/vx300s/commands/joint_single",
        package="interbotix_xsarm_control",
        launch="xsarm_control.launch.py",
        mock="use_sim",
    ),
    "wx250s": Driver(
        joints=XS_JOINTS,
        ranges=(*degrees((-180, 180), (-108, 114), (-123, 92), (-180, 180), (-100, 123), (-180, 180)), (0.015, 0.037)),
        speeds=(PI,) * 6,
        rate_hz=100,
        states=("/wx250s/joint_states",),
        command="/wx250s/commands/joint_group",
        gripper="/wx250s/commands/joint_single",
        package="interbotix_xsarm_control",
        launch="xsarm_control.launch.py",
        mock="use_sim",
    ),
    "aloha": Driver(
        joints=tuple(f"{side}_{joint}" for side in ("left", "right") for joint in XS_JOINTS),
        ranges=(*VIPER, (0.018, 0.058)) * 2,
        speeds=((PI,) * 6 + (INFINITE,)) * 2,
        rate_hz=100,
        states=("/follower_left/joint_states", "/follower_right/joint_states"),
        command="/follower_left/commands/joint_group",
        gripper="/follower_left/commands/joint_single",
        package="interbotix_xsarm_control",
        launch="xsarm_control.launch.py",
        mock="use_sim",
    ),
    "wxai": Driver(
        joints=(*numbered("joint_{}", 6, 0), "left_carriage_joint"),
        ranges=(
            (-PI, PI),
            (0.0, PI),
            (0.0, 2.356),
            *around(1.571, 1.571, PI),
            (0.0, 0.04),
        ),
        speeds=(INFINITE,) * 6,
        rate_hz=100,
        states=("/joint_states",),
        command="/arm_controller/joint_trajectory",
        gripper="/gripper_controller/gripper_cmd",
        package="trossen_arm_bringup",
        launch="trossen_arm.launch.py",
        mock="ros2_control_hardware_type",
    ),
    "so101": Driver(
        joints=("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper"),
        ranges=(*around(1.91986, 1.74533, 1.69, 1.65806, 2.79253), (-0.17453, 1.74533)),
        speeds=(3.14,) * 5,
        rate_hz=50,
        states=("/follower/joint_states",),
        command="/follower/forward_controller/commands",
        gripper="/follower/forward_controller/commands",
        package="so101_bringup",
        launch="follower.launch.py",
        mock="hardware_type",
    ),
    "open_manipulator_x": Driver(
        joints=(*numbered("joint{}", 4), "gripper_left_joint"),
        ranges=(*around(PI, 1.5), (-1.5, 1.4), (-1.7, 1.97), (-0.011, 0.02)),
        speeds=(4.8,) * 4,
        rate_hz=100,
        states=("/joint_states",),
        command="/arm_controller/joint_trajectory",
        gripper="/gripper_controller/gripper_cmd",
        package=OMX,
        launch="open_manipulator_x.launch.py",
        mock="use_mock_hardware",
    ),
    "omy_f3m": Driver(
        joints=(*numbered("joint{}", 6), "rh_r1_joint"),
        ranges=(*around(*(2 * PI,) * 6), (0.0, 1.14)),
        speeds=(INFINITE,) * 6,
        rate_hz=400,
        states=("/joint_states",),
        command="/arm_controller/joint_trajectory",
        gripper="/gripper_controller/gripper_cmd",
        package=OMX,
        launch="omy_f3m.launch.py",
        mock="use_mock_hardware",
    ),
    "openarm": Driver(
        joints=(*numbered("openarm_joint{}", 7), "openarm_finger_joint1"),
        ranges=OPENARM,
        speeds=(INFINITE,) * 7,
        rate_hz=100,
        states=("/joint_states",),
        command=FORWARD,
        gripper="/gripper_controller/gripper_cmd",
        package="openarm_bringup",
        launch="openarm.launch.py",
        mock="use_fake_hardware",
    ),
    "openarm_bimanual": Driver(
        joints=tuple(
            name
            for side in ("left", "right")
            for name in (*numbered(f"openarm_{side}_joint{{}}", 7), f"openarm_{side}_finger_joint1")
        ),
        ranges=OPENARM * 2,
        speeds=(INFINITE,) * 16,
        rate_hz=100,
        states=("/joint_states",),
        command="/left_forward_position_controller/commands",
        gripper="/left_gripper_controller/gripper_cmd",
        package="openarm_bringup",
        launch="openarm.bimanual.launch.py",
        mock="use_fake_hardware",
    ),
    "panda_mock": Driver(
        joints=(*numbered("panda_joint{}", 7), "panda_finger_joint1"),
        ranges=(
            *around(2.8973, 1.7628, 2.8973),
            (-3.0718, -0.0698),
            (-2.8973, 2.8973),
            (-0.0175, 3.7525),
            (-2.8973, 2.8973),
            (0.0, 0.04),
        ),
        speeds=(2.175,) * 4 + (2.61,) * 3,
        rate_hz=100,
        states=("/joint_states",),
        command="/panda_arm_controller/joint_trajectory",
        gripper="/panda_hand_controller/gripper_cmd",
        package="moveit_resources_panda_moveit_config",
        launch="demo.launch.py",
        mock="ros2_control_hardware_type",
    ),
}
