"""Robot descriptions made of a robot file."""

from __future__ import annotations

from learned_arm.contract import Contract

_LINK = '<link name="{}"/>'
_JOINT = (
    '<joint name="{0}" type="revolute"><parent link="base"/><child link="{0}_link"/>'
    '<limit lower="{1}" upper="{2}" velocity="{3}" effort="1"/></joint>'
)


def urdf(contract: Contract, *, narrow: str = "", without: str = "") -> str:
    """A description whose limits are the robot file's; of joint `narrow` they are half as wide."""
    robot = contract.robot
    found = [_LINK.format("base")]
    for joint, (low, high), speed in zip(
        robot.joints, robot.limit("position_rad"), robot.limit("velocity_rad_s"), strict=True
    ):
        if joint != without:
            share = 0.5 if joint == narrow else 1.0
            found += [_LINK.format(f"{joint}_link"), _JOINT.format(joint, share * low, share * high, speed)]
    return f'<robot name="fake">{"".join(found)}</robot>'
