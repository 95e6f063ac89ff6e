"""The robot_description of a simulated arm, from the same numbers as its motion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from demo_tools.simulation.kinematics import BASE_MASS_KG, UR5E
from demo_tools.simulation.posed_scene import jaw_name, jaws_of
from demo_tools.simulation.scene import FINGERS, GRIPPER_CLOSED_RAD, GRIPPER_JOINT, TCP_M
from learned_arm.robot import Robot


def robot_description() -> str:
    """URDF: base_link .. wrist_3_link as ur_description names them, tool0, the gripper's knuckle and tcp."""
    parts = [
        '<?xml version="1.0"?>',
        '<robot name="ur5e_sim">',
        _link("base_link", BASE_MASS_KG, (0.0, 0.0, 0.05), 0.1),
    ]
    parent, place = "base_link", 'xyz="0 0 0" rpy="0 0 3.141592653589793"'
    for joint in UR5E:
        length_m = float(np.linalg.norm(joint.to_next[:3, 3]))
        parts.append(_link(joint.link, joint.mass_kg, joint.com_in_joint_m, length_m))
        parts.append(
            f'<joint name="{joint.name}" type="revolute"><parent link="{parent}"/>'
            f'<child link="{joint.link}"/><origin {place}/><axis xyz="0 0 1"/>'
            f'<limit lower="{-joint.position_rad}" upper="{joint.position_rad}" '
            f'effort="{joint.effort_nm}" velocity="{joint.velocity_rad_s}"/></joint>'
        )
        x, y, z = joint.to_next[:3, 3]
        parent, place = joint.link, f'xyz="{x} {y} {z}" rpy="{joint.alpha_rad} 0 0"'
    parts.append(_fixed("tool0", parent, place))
    parts.append(_link(FINGERS[0], 0.05, (0.0, 0.0, 0.035), 0.07))
    parts.append(
        f'<joint name="{GRIPPER_JOINT}" type="revolute"><parent link="tool0"/><child link="{FINGERS[0]}"/>'
        f'<origin xyz="0 0 0.09" rpy="0 0 0"/><axis xyz="0 1 0"/>'
        f'<limit lower="0" upper="{GRIPPER_CLOSED_RAD}" effort="60" velocity="3"/></joint>'
    )
    parts.append(_fixed("tcp", "tool0", f'xyz="0 0 {TCP_M}" rpy="0 0 0"'))
    return "\n".join([*parts, "</robot>"])


def _link(name: str, mass_kg: float, com_m: object, length_m: float) -> str:
    x, y, z = np.asarray(com_m, dtype=float)
    inertia = mass_kg * (3 * 0.06**2 + length_m**2) / 12
    return (
        f'<link name="{name}"><inertial><origin xyz="{x} {y} {z}" rpy="0 0 0"/><mass value="{mass_kg}"/>'
        f'<inertia ixx="{inertia}" ixy="0" ixz="0" '
        f'iyy="{inertia}" iyz="0" izz="{inertia}"/></inertial></link>'
    )


def _fixed(name: str, parent: str, place: str) -> str:
    return (
        f'<link name="{name}"/>\n<joint name="{name}_fixed" type="fixed"><parent link="{parent}"/>'
        f'<child link="{name}"/><origin {place}/></joint>'
    )


def description_of(robot: Robot) -> str:
    """URDF of a robot file with kinematics: its links and joints, its limits, and the jaws of its grippers."""
    kinematics = robot.kinematics
    assert kinematics is not None
    strokes, speeds = robot.limit("position_rad"), robot.limit("velocity_rad_s")
    limits = {joint: (*strokes[place], speeds[place]) for place, joint in enumerate(robot.joints)}
    parts = ['<?xml version="1.0"?>', f'<robot name="{robot.name}">', f'<link name="{kinematics.base}"/>']
    for joint in kinematics.joints:
        place = f'xyz="{_words(joint.xyz_m)}" rpy="{_words(joint.rpy_rad)}"'
        if joint.kind == "fixed":
            parts.append(_fixed(joint.child, joint.parent, place))
        else:
            axis = f'<axis xyz="{_words(joint.axis)}"/>'
            parts.append(_moving(joint.name, joint.kind, joint.parent, joint.child, place + "/>" + axis, limits))
    for name, tool in jaws_of(robot).items():
        place = 'xyz="0 0 0" rpy="0 0 0"/><axis xyz="0 1 0"/>'
        parts.append(_moving(name, _kind(robot, name), tool, jaw_name(name), place, limits))
    return "\n".join([*parts, "</robot>"])


def _kind(robot: Robot, joint: str) -> str:
    group = next(each for each in robot.groups if joint in each.joints)
    return "prismatic" if group.unit == "m" else "revolute"


def _moving(name: str, kind: str, parent: str, child: str, origin: str, limits: Mapping[str, Any]) -> str:
    low, high, fastest = limits[name]
    return (
        f'<link name="{child}"/>\n<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>'
        f'<origin {origin}<limit lower="{low}" upper="{high}" effort="100" velocity="{fastest}"/></joint>'
    )


def _words(values: Iterable[float]) -> str:
    return " ".join(str(value) for value in values)
