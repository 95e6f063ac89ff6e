"""The `kinematics` of a robot file, out of the facts about its URDF: joints of the arm, and what is fixed on the way.

A URDF holds more than an arm: fingers, housings, cameras, a table. Of it this takes the joints that are asked for and
whatever lies between the base, them and the tools.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import yaml

from learned_arm.errors import LearnedArmError
from learned_arm.kinematics import ForwardKinematics, Kinematics, parse_kinematics

_WHERE = "robot_description"
# What URDF calls a turning joint with and without an end is one kind here: limits stand elsewhere.
_KINDS = {"revolute": "revolute", "continuous": "revolute", "prismatic": "prismatic", "fixed": "fixed"}
_WORLD = "world"
_CONFIGURATIONS, _SEED = 200, 0
_AS_FAR = 0.999


def described_kinematics(
    joints: Mapping[str, Any], moved: Sequence[str], tools: Sequence[str] = (), base: str = ""
) -> Kinematics:
    """The tree from the base to the tools.

    Args:
        joints: By name, the `joints` of the part `kinematics` of `robot_description.describe`.
        moved: Joints of the arm.
        tools: Links that the tree reaches besides; by default it ends at the last joints.
        base: Where it begins; by default where the URDF does, without a link `world`.

    Raises:
        LearnedArmError: A joint or link is not there, moves without being one of `moved`, follows another one, or is of
            a kind that no arm has.
    """
    above = {each["child"]: name for name, each in joints.items()}
    links = {*above, *(each["parent"] for each in joints.values())}
    for name in moved:
        if name not in joints:
            raise LearnedArmError("no such joint", where=_WHERE, got=name, allowed=sorted(joints))
    for link in (*tools, *([base] if base else ())):
        if link not in links:
            raise LearnedArmError("no such link", where=_WHERE, got=link, allowed=sorted(links))
    found: dict[str, dict[str, Any]] = {}
    for tip in (*(joints[name]["child"] for name in moved), *tools):
        for name in _way_up(joints, above, tip, base):
            found[name] = _entry(name, joints[name], moved)
    children = {each["child"] for each in found.values()}
    (root, *others) = sorted({each["parent"] for each in found.values()} - children) or [base]
    if others:
        raise LearnedArmError("more than one base", where=_WHERE, got=[root, *others], allowed="links of one tree")
    if root == _WORLD and not base:
        on_world = [name for name, each in found.items() if each["parent"] == root]
        if [found[name]["kind"] for name in on_world] == ["fixed"]:
            root = found.pop(on_world[0])["child"]
    return parse_kinematics({"base": root, "joints": found}, _WHERE, moved)


def farthest_apart(
    ours: Kinematics, theirs: Kinematics, joints: Sequence[str], low: Sequence[float], high: Sequence[float]
) -> tuple[float, float, str]:
    """How far two trees disagree about the links that they share.

    Args:
        ours: One tree.
        theirs: The other one, with the same base.
        joints: Names of the joints of a configuration.
        low: Lowest position of each (rad, or m), shape (dof,).
        high: Highest position of each.

    Returns:
        The largest distance (m) and angle (rad) between places of a link in 200 configurations, and the first link that
        is so far off.
    """
    shared = [link for link in ours.links if link in theirs.links]
    configurations = np.random.default_rng(_SEED).uniform(low, high, (_CONFIGURATIONS, len(joints)))
    poses = []
    for each in (ours, theirs):
        forward = ForwardKinematics(each, joints)
        poses.append(forward.poses(configurations)[:, [forward.links.index(link) for link in shared]])
    one, other = poses
    away_m = np.linalg.norm(one[..., :3, 3] - other[..., :3, 3], axis=-1).max(axis=0)
    # |R1 - R2| is 2 sqrt(2) sin(angle / 2).
    chord = np.linalg.norm(one[..., :3, :3] - other[..., :3, :3], axis=(-2, -1)).max()
    angle_rad = 2.0 * np.arcsin(np.clip(chord / np.sqrt(8.0), 0.0, 1.0))
    # All that hangs on a link is as far off as it is.
    first = int((away_m >= _AS_FAR * away_m.max()).argmax())
    return float(away_m.max()), float(angle_rad), shared[first]


def as_section(kinematics: Kinematics) -> str:
    """The section `kinematics` of a robot file, a line a joint; what is as by default is left out."""
    lines = ["kinematics:", f"  {_line({'base': kinematics.base})}", "  joints:"]
    for joint in kinematics.joints:
        entry: dict[str, Any] = {"parent": joint.parent, "child": joint.child}
        if joint.kind != "revolute":
            entry = {"kind": joint.kind, **entry}
        if any(joint.xyz_m):
            entry["xyz_m"] = list(joint.xyz_m)
        if any(joint.rpy_rad):
            entry["rpy_rad"] = list(joint.rpy_rad)
        if joint.kind != "fixed" and joint.axis != (0.0, 0.0, 1.0):
            entry["axis"] = list(joint.axis)
        lines.append(f"    {_line({joint.name: entry})}")
    return "\n".join(lines)


def _line(content: dict[str, Any]) -> str:
    """`key: value` as YAML, without the braces around it."""
    return yaml.safe_dump(content, default_flow_style=True, sort_keys=False, width=math.inf).strip()[1:-1]


def _way_up(joints: Mapping[str, Any], above: Mapping[str, str], link: str, base: str) -> Iterator[str]:
    """Joints from a link up to the base."""
    passed = set()
    while link != base and link in above:
        if link in passed:
            raise LearnedArmError("links in a circle", where=_WHERE, got=link, allowed="a tree")
        passed.add(link)
        name = above[link]
        yield name
        link = joints[name]["parent"]
    if base and link != base:
        raise LearnedArmError("not below the base", where=_WHERE, got=sorted(passed), allowed=f"links below {base}")


def _entry(name: str, joint: Mapping[str, Any], moved: Sequence[str]) -> dict[str, Any]:
    kind = _KINDS.get(joint["type"], "")
    if not kind:
        raise LearnedArmError("a kind that no arm has", where=f"{_WHERE}: {name}", got=joint["type"], allowed=[*_KINDS])
    if kind != "fixed" and name not in moved:
        raise LearnedArmError("moves, and is no joint of the arm", where=_WHERE, got=name, allowed=list(moved))
    if "mimic" in joint:
        raise LearnedArmError("follows another joint", where=_WHERE, got=name, allowed="joints that move by themselves")
    return {
        "parent": joint["parent"],
        "child": joint["child"],
        "kind": kind,
        "xyz_m": joint["origin_xyz_m"],
        "rpy_rad": joint["origin_rpy_rad"],
        **({} if kind == "fixed" else {"axis": joint["axis"]}),
    }
