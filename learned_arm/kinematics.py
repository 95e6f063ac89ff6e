"""Forward kinematics of an arm from the joint frames of its robot file, which are those of its URDF; numpy alone.

A joint's frame lies at `xyz_m`, `rpy_rad` in its parent link (fixed axes, roll then pitch then yaw, as in URDF). A
revolute joint turns about `axis` in that frame, a prismatic one moves along it, a fixed one does neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learned_arm import checked
from learned_arm.errors import LearnedArmError

KINDS = ("revolute", "prismatic", "fixed")
_METRES = checked.number(-100.0, 100.0)
_ANGLE = checked.number(-1e3, 1e3)
_SHORTEST_AXIS = 1e-6
# Further than any point of an arm is from any of its joints.
_FAR_M = 1e6


@dataclass(frozen=True)
class Joint:
    """A joint and the two links it joins; see the module."""

    name: str
    parent: str
    child: str
    kind: str
    xyz_m: tuple[float, float, float]
    rpy_rad: tuple[float, float, float]
    axis: tuple[float, float, float]


@dataclass(frozen=True)
class Kinematics:
    """A tree of links. `joints` are sorted so that a parent link comes before its children."""

    base: str
    joints: tuple[Joint, ...]

    @property
    def links(self) -> tuple[str, ...]:
        """Names of all links, the base first."""
        return (self.base, *(joint.child for joint in self.joints))

    @property
    def tips(self) -> tuple[str, ...]:
        """Links that carry no other: the tools, one an arm."""
        parents = {joint.parent for joint in self.joints}
        return tuple(link for link in self.links if link not in parents)

    def canonical(self) -> dict[str, Any]:
        """The content as plain data, in the form of the YAML file."""
        joints = {
            joint.name: {
                "parent": joint.parent,
                "child": joint.child,
                "kind": joint.kind,
                "xyz_m": list(joint.xyz_m),
                "rpy_rad": list(joint.rpy_rad),
                "axis": list(joint.axis),
            }
            for joint in self.joints
        }
        return {"base": self.base, "joints": joints}


class ForwardKinematics:
    """Poses of the links for many configurations at once.

    Args:
        kinematics: The tree.
        joints: Names of the robot's joints, in the order of a configuration.
    """

    def __init__(self, kinematics: Kinematics, joints: Sequence[str]) -> None:
        self.links = kinematics.links
        self._joint_above = {joint.child: joint for joint in kinematics.joints}
        self._joints = list(joints)
        at = {link: index for index, link in enumerate(self.links)}
        self._parents = [at[joint.parent] for joint in kinematics.joints]
        # A fixed joint takes the value of any other: its transform does not depend on it.
        columns = [self._joints.index(joint.name) if joint.kind != "fixed" else 0 for joint in kinematics.joints]
        self._columns = np.array(columns, dtype=np.intp)
        self._slides = np.array([joint.kind == "prismatic" for joint in kinematics.joints], dtype=bool)
        parts = np.array([_parts(joint) for joint in kinematics.joints]).reshape(-1, 3, 4, 4)
        self._fixed, self._along, self._about = parts[:, 0], parts[:, 1], parts[:, 2]

    def poses(self, position_rad: NDArray[np.float64]) -> NDArray[np.float64]:
        """Transforms base -> link.

        Args:
            position_rad: Configurations (rad, or m where a joint is prismatic), shape (K, dof).

        Returns:
            Shape (K, links, 4, 4), links in the order of `links`.
        """
        value = position_rad[:, self._columns]
        # The Rodrigues formula multiplied out: fixed, sine and versine part of every joint.
        along = np.where(self._slides, value, np.sin(value))[:, :, None, None]
        steps = self._fixed + along * self._along + (1.0 - np.cos(value))[:, :, None, None] * self._about
        found = np.empty((len(position_rad), len(self.links), 4, 4))
        found[:, 0] = np.eye(4)
        for child, parent in enumerate(self._parents, start=1):
            np.matmul(found[:, parent], steps[:, child - 1], out=found[:, child])
        return found

    def levers_m(self, link: str, point_m: Sequence[float]) -> NDArray[np.float64]:
        """How far a point moves at most for every radian (or metre) that a joint moves, in any configuration.

        Args:
            link: What the point is fixed to.
            point_m: Its place in the link's frame.

        Returns:
            Metres by unit of each joint, zero where a joint does not move it, shape (dof,).
        """
        levers = np.zeros(len(self._joints))
        # A joint is no further from the point than all offsets between them, one after the other.
        away_m = float(np.linalg.norm(point_m))
        while (joint := self._joint_above.get(link)) is not None:
            if joint.kind == "revolute":
                levers[self._joints.index(joint.name)] = away_m
            elif joint.kind == "prismatic":
                levers[self._joints.index(joint.name)] = 1.0
                away_m += _FAR_M
            away_m += float(np.linalg.norm(joint.xyz_m))
            link = joint.parent
        return levers


def _parts(joint: Joint) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Fixed, sine (of a prismatic joint: way) and versine part of the transform over a joint, each 4 x 4."""
    fixed, along, about = _frame(joint.xyz_m, joint.rpy_rad), np.zeros((4, 4)), np.zeros((4, 4))
    x, y, z = np.array(joint.axis) / np.linalg.norm(joint.axis)
    if joint.kind == "prismatic":
        along[:3, 3] = x, y, z
    elif joint.kind == "revolute":
        along[:3, :3] = [[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]]
        about = along @ along
    return fixed, fixed @ along, fixed @ about


def parse_kinematics(value: Any, where: str, joints: Sequence[str]) -> Kinematics:
    """Check a robot file's `kinematics` whole.

    Raises:
        LearnedArmError: A joint is unknown, a link hangs on nothing or on two joints, or an entry is wrong.
    """
    top = checked.Section(value, where)
    base = top.take("base", checked.text)
    section = top.section("joints")
    found = [_joint(name, each, f"{section.where}.{name}", joints) for name, each in sorted(section.items())]
    top.done()
    checked.unlike([base, *(joint.child for joint in found)], "two joints carry one link", section.where)
    return Kinematics(base, _sorted(found, base, section.where))


def _joint(name: str, value: Any, where: str, joints: Sequence[str]) -> Joint:
    section = checked.Section(value, where)
    joint = Joint(
        name=name,
        parent=section.take("parent", checked.text),
        child=section.take("child", checked.text),
        kind=section.take("kind", checked.choice(*KINDS), default="revolute"),
        xyz_m=section.take("xyz_m", triple, default=(0.0, 0.0, 0.0)),
        rpy_rad=section.take("rpy_rad", _angles, default=(0.0, 0.0, 0.0)),
        axis=section.take("axis", _axis, default=(0.0, 0.0, 1.0)),
    )
    section.done()
    if joint.kind != "fixed" and name not in joints:
        raise LearnedArmError(
            "not a joint of the robot", where=where, got=name, allowed=f"kind fixed, or one of {list(joints)}"
        )
    return joint


def _sorted(joints: Sequence[Joint], base: str, where: str) -> tuple[Joint, ...]:
    """Parents first, by name among those that may come next."""
    reached, left, found = {base}, list(joints), []
    while left:
        ready = next((joint for joint in left if joint.parent in reached), None)
        if ready is None:
            got = [f"{joint.name} on {joint.parent}" for joint in left]
            raise LearnedArmError("joints hang on no link", where=where, got=got, allowed=sorted(reached))
        found.append(ready)
        left.remove(ready)
        reached.add(ready.child)
    return tuple(found)


def triple(value: Any, where: str) -> tuple[float, float, float]:
    """Three lengths in metres."""
    return _three(checked.list_of(_METRES)(value, where), where)


def _angles(value: Any, where: str) -> tuple[float, float, float]:
    return _three(checked.list_of(_ANGLE)(value, where), where)


def _axis(value: Any, where: str) -> tuple[float, float, float]:
    axis = triple(value, where)
    if not np.linalg.norm(axis) > _SHORTEST_AXIS:
        raise LearnedArmError("not a direction", where=where, got=list(axis), allowed="a vector that is not zero")
    return axis


def _three(values: Sequence[float], where: str) -> tuple[float, float, float]:
    if len(values) != 3:
        raise LearnedArmError("wrong length", where=where, got=len(values), allowed="3 numbers")
    x, y, z = values
    return x, y, z


def _frame(xyz_m: Sequence[float], rpy_rad: Sequence[float]) -> NDArray[np.float64]:
    """Rz(yaw) Ry(pitch) Rx(roll) and a translation, 4 x 4."""
    (cr, cp, cy), (sr, sp, sy) = np.cos(rpy_rad), np.sin(rpy_rad)
    frame = np.eye(4)
    frame[:3, :3] = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
    frame[:3, 3] = xyz_m
    return frame
