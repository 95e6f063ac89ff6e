"""The arm that a URDF describes: the same links in the same places, and nothing that does not belong to it."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.bring_up.descriptions import urdf
from demo_tools.description import kinematics_section
from demo_tools.doctor.subject import bare_contract
from demo_tools.simulation.urdf import robot_description
from learned_arm.described_arm import as_section, described_kinematics, farthest_apart
from learned_arm.errors import LearnedArmError
from learned_arm.kinematics import ForwardKinematics, Kinematics, parse_kinematics
from learned_arm.robot import load_robot
from learned_arm.robot_description import describe
from test.kinds import ROBOTS

FRAME = st.lists(st.floats(-1.0, 1.0), min_size=3, max_size=3)


def joints_of(text: str) -> dict[str, Any]:
    return describe(text)["kinematics"]["facts"]["joints"]


def moved(kinematics: Kinematics) -> list[str]:
    return [joint.name for joint in kinematics.joints if joint.kind != "fixed"]


@pytest.mark.parametrize("name", ROBOTS)
def test_every_shipped_robot_has_links_and_is_found_again_in_its_description(name: str) -> None:
    ours = load_robot(name).kinematics
    assert ours is not None
    described = joints_of(urdf(bare_contract(load_robot(name))))
    theirs = described_kinematics(described, moved(ours), ours.tips, ours.base)
    assert theirs == ours
    assert parse_kinematics(yaml.safe_load(as_section(theirs))["kinematics"], "section", moved(ours)) == ours


def test_links_lie_where_another_library_puts_them() -> None:
    mujoco: Any = importlib.import_module("mujoco")

    text = robot_description()
    robot = load_robot("ur5e_sim")
    kinematics = described_kinematics(joints_of(text), robot.groups[0].joints, ["tool0"])
    forward = ForwardKinematics(kinematics, robot.groups[0].joints)
    model: Any = mujoco.MjModel.from_xml_string(text)
    data: Any = mujoco.MjData(model)
    for configuration in np.random.default_rng(0).uniform(-3.0, 3.0, (20, 6)):
        data.qpos[:6] = configuration
        mujoco.mj_forward(model, data)
        poses = forward.poses(configuration[None])[0]
        for link in ("upper_arm_link", "forearm_link", "wrist_1_link", "wrist_3_link"):
            found, place = poses[forward.links.index(link)], data.body(link)
            np.testing.assert_allclose(found[:3, 3], place.xpos, atol=1e-9)
            np.testing.assert_allclose(found[:3, :3], place.xmat.reshape(3, 3), atol=1e-9)


@st.composite
def descriptions(draw: st.DrawFn) -> tuple[dict[str, Any], list[str]]:
    """A chain of joints, moving and fixed, on a table, with things on its links that are not the arm's."""
    kinds = draw(st.lists(st.sampled_from(["revolute", "continuous", "prismatic", "fixed"]), min_size=1, max_size=6))
    kinds.append("revolute")
    joints: dict[str, Any] = {}

    def hang(name: str, kind: str, parent: str, child: str) -> None:
        axis = draw(FRAME.filter(lambda each: math.hypot(*each) > 0.1))
        place = {"origin_xyz_m": draw(FRAME), "origin_rpy_rad": draw(FRAME), "axis": axis}
        joints[name] = {"type": kind, "parent": parent, "child": child, **place}

    hang("on_the_table", "fixed", "world", "l0")
    for index, kind in enumerate(kinds):
        hang(f"j{index}", kind, f"l{index}", f"l{index + 1}")
        if draw(st.booleans()):
            hang(f"side{index}", draw(st.sampled_from(["fixed", "revolute", "floating"])), f"l{index}", f"thing{index}")
    return joints, [f"j{index}" for index, kind in enumerate(kinds) if kind != "fixed"]


@given(descriptions(), st.randoms(use_true_random=False))
def test_of_a_description_the_arm_is_taken_and_nothing_else(described: Any, random: Any) -> None:
    joints, arm = described
    found = described_kinematics(joints, arm)
    assert found.base == "l0" and found.links == tuple(f"l{index}" for index in range(len(found.links)))
    assert moved(found) == arm
    begin = random.choice(found.links[: found.links.index(joints[arm[0]]["parent"]) + 1])
    shorter = described_kinematics(joints, arm, base=begin)
    configuration = np.array([[random.uniform(-1.0, 1.0) for _ in arm]])
    whole, part = (ForwardKinematics(each, arm).poses(configuration)[0] for each in (found, shorter))
    # Seen from a link further up, everything lies where it lay.
    seen = np.linalg.inv(whole[found.links.index(begin)]) @ whole[-1]
    np.testing.assert_allclose(part[-1], seen, atol=1e-9)


def test_a_tool_that_another_joint_carries_and_a_joint_that_follows_are_refused() -> None:
    robot = load_robot("ur5e_sim")
    joints, arm = joints_of(robot_description()), list(robot.groups[0].joints)
    assert described_kinematics(joints, arm, ["tcp"]).tips == ("tcp",)
    finger = joints[robot.groups[1].joints[0]]["child"]
    follows = {**joints, "elbow_joint": {**joints["elbow_joint"], "mimic": {"joint": "shoulder_pan_joint"}}}
    floats = {**joints, "elbow_joint": {**joints["elbow_joint"], "type": "floating"}}
    circle = {**joints, "shoulder_pan_joint": {**joints["shoulder_pan_joint"], "parent": "tcp"}}
    apart = {**joints, "elbow_joint": {**joints["elbow_joint"], "parent": "table"}}
    for described, asked, words in (
        (joints, {"moved": [*arm, "joint_7"]}, "no such joint; got joint_7"),
        (joints, {"tools": ["hand"]}, "no such link; got hand"),
        (joints, {"base": "floor"}, "no such link; got floor"),
        (joints, {"base": "forearm_link"}, "not below the base"),
        (joints, {"tools": [finger]}, "moves, and is no joint of the arm"),
        (follows, {}, "follows another joint; got elbow_joint"),
        (floats, {}, "a kind that no arm has; got floating"),
        (circle, {}, "links in a circle"),
        (apart, {}, "more than one base"),
    ):
        with pytest.raises(LearnedArmError, match=words):
            described_kinematics(described, **{"moved": arm, **asked})


def test_how_far_two_disagree_is_told_with_the_link() -> None:
    robot = load_robot("ur5e")
    ours = robot.kinematics
    assert ours is not None
    low, high = robot.limit("position_rad").T
    bent = joints_of(urdf(bare_contract(robot), bent="elbow_joint"))
    theirs = described_kinematics(bent, moved(ours), ours.tips, ours.base)
    away_m, angle_rad, link = farthest_apart(ours, theirs, robot.joints, low, high)
    assert link == "forearm_link" and away_m == pytest.approx(0.003) and angle_rad == pytest.approx(0.0, abs=1e-7)
    turned = {name: {**each} for name, each in bent.items()}
    turned["wrist_1_joint"]["origin_rpy_rad"] = [0.02, 0.0, 0.0]
    theirs = described_kinematics(turned, moved(ours), ours.tips, ours.base)
    assert farthest_apart(ours, theirs, robot.joints, low, high)[1] == pytest.approx(0.02, rel=1e-6)


def test_a_section_comes_from_a_file_for_the_arms_of_a_robot(tmp_path: Any) -> None:
    path = tmp_path / "arm.urdf"
    path.write_text(robot_description())
    robot = load_robot("ur5e_sim")
    section = yaml.safe_load(kinematics_section(str(path), robot, ["tcp"]))["kinematics"]
    assert section["base"] == "base_link"
    assert set(robot.groups[0].joints) < set(section["joints"])
    assert {each["child"] for each in section["joints"].values()} >= {"tool0", "tcp"}
    with pytest.raises(LearnedArmError, match="no such group; got legs"):
        kinematics_section(str(path), robot, groups=["legs"])
    for wrong in (b"<robot", b'<robot name="x">\xff</robot>'):
        path.write_bytes(wrong)
        with pytest.raises(LearnedArmError, match="robot_description"):
            kinematics_section(str(path), robot)
    with pytest.raises(LearnedArmError, match=r"no robot description; got .*absent\.urdf; allowed: a URDF file"):
        kinematics_section(str(tmp_path / "absent.urdf"), robot)
