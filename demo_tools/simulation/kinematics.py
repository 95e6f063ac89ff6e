"""Kinematics of the UR5e from its published Denavit-Hartenberg parameters, in numpy alone.

Standard DH: the step over joint i is Rz(theta_i) Tz(d_i) Tx(a_i) Rx(alpha_i). ROS's `base_link` is the
maker's base frame turned by Rz(pi); `tool0` is the last DH frame. Parameters, masses, centres of mass, limits
and efforts: Universal Robots, "DH parameters for calculations of kinematics and dynamics", and
ur_description.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np
from numpy.typing import NDArray

from learned_arm.errors import LearnedArmError

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Joint:
    """A revolute joint and the link it moves.

    Attributes:
        name: ROS name of the joint.
        link: ROS name of the link.
        a_m, d_m, alpha_rad: DH parameters.
        mass_kg: Mass of the link.
        com_m: Centre of mass in the DH frame at the link's end.
        effort_nm: Largest torque.
        position_rad: Largest absolute position.
        velocity_rad_s: Largest speed.
    """

    name: str
    link: str
    a_m: float
    d_m: float
    alpha_rad: float
    mass_kg: float
    com_m: tuple[float, float, float]
    effort_nm: float
    position_rad: float = 2 * pi
    velocity_rad_s: float = pi

    @property
    def to_next(self) -> Matrix:
        """Fixed transform from the joint's frame (z its axis) to the next: Tz(d) Tx(a) Rx(alpha), 4 x 4."""
        c, s = cos(self.alpha_rad), sin(self.alpha_rad)
        return np.array([[1, 0, 0, self.a_m], [0, c, -s, 0], [0, s, c, self.d_m], [0, 0, 0, 1.0]])

    @property
    def com_in_joint_m(self) -> Matrix:
        """Centre of mass in the joint's own frame, shape (3,)."""
        return (self.to_next @ np.array([*self.com_m, 1.0]))[:3]


UR5E: tuple[Joint, ...] = (
    Joint("shoulder_pan_joint", "shoulder_link", 0.0, 0.1625, pi / 2, 3.761, (0.0, -0.02561, 0.00193), 150.0),
    Joint("shoulder_lift_joint", "upper_arm_link", -0.425, 0.0, 0.0, 8.058, (0.2125, 0.0, 0.11336), 150.0),
    Joint("elbow_joint", "forearm_link", -0.3922, 0.0, 0.0, 2.846, (0.15, 0.0, 0.0265), 150.0, position_rad=pi),
    Joint("wrist_1_joint", "wrist_1_link", 0.0, 0.1333, pi / 2, 1.37, (0.0, -0.0018, 0.01634), 28.0),
    Joint("wrist_2_joint", "wrist_2_link", 0.0, 0.0997, -pi / 2, 1.3, (0.0, 0.0018, 0.01634), 28.0),
    Joint("wrist_3_joint", "wrist_3_link", 0.0, 0.0996, 0.0, 0.365, (0.0, 0.0, -0.001159), 28.0),
)
BASE_MASS_KG = 4.0
ARM_JOINTS = tuple(joint.name for joint in UR5E)
BASE: Matrix = np.diag([-1.0, -1.0, 1.0, 1.0])
"""base_link -> the maker's base frame: Rz(pi)."""


def rotation_z(angle_rad: float) -> Matrix:
    """Homogeneous rotation about z, 4 x 4."""
    c, s = cos(angle_rad), sin(angle_rad)
    return np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])


def joint_frames(position_rad: Matrix) -> list[Matrix]:
    """Frames of the six joints in base_link with each joint's own turn, then tool0: seven 4 x 4 transforms.

    Args:
        position_rad: Joint positions, shape (6,).
    """
    if np.shape(position_rad) != (6,):
        raise LearnedArmError("wrong length", where="position_rad", got=np.shape(position_rad), allowed="(6,)")
    frames, at = [], BASE
    for joint, angle_rad in zip(UR5E, position_rad, strict=True):
        at = at @ rotation_z(angle_rad)
        frames.append(at)
        at = at @ joint.to_next
    return [*frames, at]


def tool0_in_base(position_rad: Matrix) -> Matrix:
    """Forward kinematics base_link -> tool0, 4 x 4."""
    return joint_frames(position_rad)[-1]


def jacobian(position_rad: Matrix) -> Matrix:
    """Geometric Jacobian of tool0 in base_link: linear rows, then angular ones, shape (6, 6)."""
    *joints, tool = joint_frames(position_rad)
    axes = [frame[:3, 2] for frame in joints]
    arms = [tool[:3, 3] - frame[:3, 3] for frame in joints]
    return np.vstack([np.cross(axes, arms).T, np.transpose(axes)])


def rotation_vector(rotation: Matrix) -> Matrix:
    """Axis times angle of a 3 x 3 rotation of less than half a turn, shape (3,)."""
    sine = np.array([rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]])
    length = float(np.linalg.norm(sine))
    if length < 1e-12:
        return sine / 2
    return sine / length * np.arctan2(length, np.trace(rotation) - 1.0)


def inverse(target: Matrix, start_rad: Matrix, tolerance: float = 1e-9, most_steps: int = 100) -> Matrix:
    """Joint positions near `start_rad` that bring tool0 to `target`, by damped least squares.

    Args:
        target: base_link -> tool0, 4 x 4.
        start_rad: Where to start from, shape (6,).

    Raises:
        LearnedArmError: The target is out of reach from there.
    """
    position_rad = np.array(start_rad, dtype=np.float64)
    for _ in range(most_steps):
        at = tool0_in_base(position_rad)
        error = np.concatenate([target[:3, 3] - at[:3, 3], rotation_vector(target[:3, :3] @ at[:3, :3].T)])
        if np.linalg.norm(error) < tolerance:
            return position_rad
        matrix = jacobian(position_rad)
        step = matrix.T @ np.linalg.solve(matrix @ matrix.T + 1e-8 * np.eye(6), error)
        position_rad = position_rad + np.clip(step, -0.3, 0.3)
    raise LearnedArmError("tool pose out of reach", where="inverse", got=np.round(target[:3, 3], 4).tolist())
