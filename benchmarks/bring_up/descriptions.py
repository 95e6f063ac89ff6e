"""Robot descriptions made of a robot file."""

from __future__ import annotations

from collections.abc import Sequence

from learned_arm.contract import Contract

_LINK = '<link name="{}"/>'
_JOINT = (
    '<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>'
    '<origin xyz="{xyz}" rpy="{rpy}"/><axis xyz="{axis}"/>{limit}</joint>'
)
_LIMIT = '<limit lower="{}" upper="{}" velocity="{}" effort="1"/>'
_BENT_M = 0.003


def urdf(contract: Contract, *, narrow: str = "", without: str = "", bent: str = "") -> str:
    """A description whose limits and links are the robot file's.

    Args:
        contract: Of the robot.
        narrow: The joint whose limits are half as wide.
        without: The joint that is not there.
        bent: The joint that lies 3 mm further along, as one does that was calibrated.
    """
    robot = contract.robot
    kinematics = robot.kinematics
    base = "base" if kinematics is None else kinematics.base
    strokes, speeds = robot.limit("position_rad"), robot.limit("velocity_rad_s")
    frames = {} if kinematics is None else {each.name: each for each in kinematics.joints}
    found = [_LINK.format(base)]
    for name in dict.fromkeys([*robot.joints, *frames]):
        if name == without:
            continue
        frame, limit = frames.get(name), ""
        if name in robot.joints:
            place = robot.joints.index(name)
            share = 0.5 if name == narrow else 1.0
            limit = _LIMIT.format(*(share * strokes[place]), speeds[place])
        child = f"{name}_link" if frame is None else frame.child
        x, y, z = (0.0, 0.0, 0.0) if frame is None else frame.xyz_m
        joint = _JOINT.format(
            name=name,
            kind="revolute" if frame is None else frame.kind,
            parent=base if frame is None else frame.parent,
            child=child,
            xyz=_words((x, y, z + (_BENT_M if name == bent else 0.0))),
            rpy=_words((0.0, 0.0, 0.0) if frame is None else frame.rpy_rad),
            axis=_words((0.0, 0.0, 1.0) if frame is None else frame.axis),
            limit=limit,
        )
        found += [_LINK.format(child), joint]
    return f'<robot name="fake">{"".join(found)}</robot>'


def _words(values: Sequence[float]) -> str:
    return " ".join(map(str, values))
