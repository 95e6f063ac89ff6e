"""What the description of a robot, wherever it is kept, says about where its links are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from demo_tools.doctor.subject import bare_contract
from demo_tools.provenance.sides import LIVE, live_side, load_side
from learned_arm.described_arm import as_section, described_kinematics
from learned_arm.errors import LearnedArmError
from learned_arm.robot import Robot
from learned_arm.robot_description import describe

_URDF_BEGINS = b"<"


def kinematics_section(
    source: str, robot: Robot, tools: Sequence[str] = (), base: str = "", groups: Sequence[str] = ()
) -> str:
    """The section `kinematics` of a robot file.

    Args:
        source: `live`, or the path of a URDF, an episode or a snapshot.
        robot: Whose joints they are.
        tools: Links to reach besides.
        base: Where it begins; empty: where the URDF does.
        groups: Groups of joints that belong to it; empty: those of more than one joint, for a gripper has one.

    Raises:
        LearnedArmError: There is no description, or it does not have what is asked for.
    """
    known = {group.name: group for group in robot.groups}
    for name in groups:
        if name not in known:
            raise LearnedArmError("no such group", where=robot.name, got=name, allowed=list(known))
    arms = [known[name] for name in groups] or [each for each in robot.groups if len(each.joints) > 1]
    moved = [joint for group in arms for joint in group.joints]
    return as_section(described_kinematics(_described(source, robot), moved, tools, base))


def _described(source: str, robot: Robot) -> Mapping[str, Any]:
    """The joints of the description."""
    path = Path(source)
    if source == LIVE:
        told = live_side(bare_contract(robot))["robot_description"]
    elif not path.exists():
        allowed = f"a URDF file, an episode folder, a snapshot file, or {LIVE}"
        raise LearnedArmError("no robot description", where="learned-arm kinematics", got=source, allowed=allowed)
    elif path.is_file() and (content := path.read_bytes()).lstrip().startswith(_URDF_BEGINS):
        # What is not UTF-8 is refused with the rest of what is no XML.
        told = describe(content.decode("utf-8", "surrogateescape"))
    else:
        told = load_side(path).get("robot_description", {"unreachable": "not captured"})
    if "unreachable" in told:
        raise LearnedArmError("no robot description", where=source, got=told["unreachable"], allowed="a URDF")
    return told["kinematics"]["facts"]["joints"]
