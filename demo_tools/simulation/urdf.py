"""The robot_description of the simulated arm, from the same numbers as its physics."""

from __future__ import annotations

import numpy as np

from demo_tools.simulation.kinematics import BASE_MASS_KG, UR5E
from demo_tools.simulation.scene import FINGERS, GRIPPER_CLOSED_RAD, GRIPPER_JOINT, TCP_M


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
