"""Labels that say where tools shall be: decoded by the kinematics, they bring the tools there, or are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learned_arm.action import ActionCodec, Reference
from learned_arm.contract import TOOL_REPRESENTATIONS, Contract
from learned_arm.errors import LearnedArmError
from learned_arm.tool import Tool, reach, way
from test.kinds import reaching

ROBOTS = ("ur5e", "fr3", "so101", "aloha")
SEEDS = st.integers(0, 2**32 - 1)


def contract(name: str, representation: str = "tool_pose", **action: Any) -> Contract:
    base = reaching(name)
    assert base.robot.kinematics is not None
    content = base.canonical()
    tools = list(base.robot.kinematics.tips)
    content["action"] |= {"representation": representation, "tools": tools, **action}
    return Contract.from_canonical(content)


CONTRACTS = {(name, each): contract(name, each) for name in ROBOTS for each in TOOL_REPRESENTATIONS}
CODECS = {key: ActionCodec(each) for key, each in CONTRACTS.items()}
TOOLS = {
    name: [Tool(each.robot.kinematics, each.robot.joints, tool) for tool in each.action.tools]
    for (name, representation), each in CONTRACTS.items()
    if representation == "tool_pose" and each.robot.kinematics is not None
}


def walk(each: Contract, seed: int, count: int = 12) -> np.ndarray:
    """Commands of an arm that leaves home in some direction, well within its limits."""
    rng, robot = np.random.default_rng(seed), each.robot
    limits, margin = robot.limit("position_rad"), robot.limit("position_margin_rad")
    step = rng.uniform(-0.02, 0.02, robot.dof) * robot.per_rad
    path = np.array(robot.home_rad) + np.arange(1, count + 1)[:, None] * step
    return np.clip(path, limits[:, 0] + margin, limits[:, 1] - margin)


def require_near(tool: Tool, found: np.ndarray, expected: np.ndarray) -> None:
    """A tool may stay behind where joints move it little: by half a millimetre and 5 mrad at most."""
    left = np.abs(way(tool.poses(found), tool.poses(expected)))
    assert left[:, :3].max() < 5e-4 and left[:, 3:].max() < 5e-3


@pytest.mark.parametrize(("name", "representation"), CODECS)
@settings(max_examples=15)
@given(seed=SEEDS)
def test_what_was_encoded_brings_every_tool_back_to_where_it_was(name: str, representation: str, seed: int) -> None:
    each, codec = CONTRACTS[name, representation], CODECS[name, representation]
    path = walk(each, seed)
    reference = Reference(path[0] - 0.005 * each.robot.per_rad, path[0])
    labels = codec.encode(path[1:], reference)
    assert labels.shape == (len(path) - 1, len(each.label_names)) and labels.dtype == np.float32
    found = codec.decode(labels, reference)
    for tool in TOOLS[name]:
        require_near(tool, found, path[1:])
    free = [joint in each.label_names for joint in each.robot.joints]
    np.testing.assert_allclose(found[:, free], path[1:, free], atol=1e-6)
    if name == "ur5e":
        # Six joints have nothing to choose next to where they are: the joints come back as well.
        np.testing.assert_allclose(found, path[1:], atol=2e-2)


@settings(max_examples=5)
@given(seed=SEEDS)
def test_the_same_labels_give_the_same_joints_to_the_bit(seed: int) -> None:
    codec, path = CODECS["fr3", "tool_pose"], walk(CONTRACTS["fr3", "tool_pose"], seed)
    reference = Reference(path[0], path[0])
    labels = codec.encode(path[1:], reference)
    assert codec.decode(labels, reference).tobytes() == codec.decode(labels.copy(), reference).tobytes()


def test_a_relative_pose_follows_the_tool_that_is_there_and_an_absolute_one_does_not() -> None:
    for representation in TOOL_REPRESENTATIONS:
        each, codec = CONTRACTS["ur5e", representation], CODECS["ur5e", representation]
        (tool,) = TOOLS["ur5e"]
        path = walk(each, 1)
        labels = codec.encode(path[1:], Reference(path[0], path[0]))
        elsewhere = path[0].copy()
        # About the base's own axis: the whole way is turned with it.
        elsewhere[0] += 0.3
        found = codec.decode(labels, Reference(elsewhere, elsewhere))
        turned = path[1:] + (elsewhere - path[0] if representation == "tool_relative" else 0.0)
        require_near(tool, found, turned)


def test_labels_next_to_each_other_never_ask_for_another_posture() -> None:
    """Solved one by one from where the arm is, two of them may lie in two postures of the arm."""
    each, codec = CONTRACTS["ur5e", "tool_pose"], CODECS["ur5e", "tool_pose"]
    rng, limits = np.random.default_rng(7), each.robot.limit("position_rad")
    margin, largest = each.robot.limit("position_margin_rad"), 0.0
    for _ in range(60):
        start = rng.uniform(limits[:, 0] + margin + 0.6, limits[:, 1] - margin - 0.6)
        path = start + np.arange(13)[:, None] * rng.uniform(-0.04, 0.04, each.robot.dof)
        reference = Reference(path[0], path[0])
        try:
            found = codec.decode(codec.encode(path[1:], reference), reference)
        except LearnedArmError:
            continue
        largest = max(largest, float(np.abs(np.diff(found, axis=0, prepend=path[:1])).max()))
    assert 0.0 < largest < 0.5


@pytest.mark.parametrize("name", ["aloha", "fr3"])
def test_at_a_singular_pose_labels_that_tremble_do_not_throw_the_joints_about(name: str) -> None:
    """ALOHA's home has two axes in line: exactly solved, a hundredth of a radian would take 0.8 rad of them."""
    each, codec = CONTRACTS[name, "tool_relative"], CODECS[name, "tool_relative"]
    home, rng = np.array(each.robot.home_rad), np.random.default_rng(0)
    still = codec.encode(np.repeat(home[None], 16, axis=0), Reference(home, home))
    for _ in range(20):
        found = codec.decode(still + rng.uniform(-0.01, 0.01, still.shape).astype(np.float32), Reference(home, home))
        assert np.abs(np.diff(found, axis=0, prepend=home[None])).max() < 0.5


def test_half_a_turn_is_no_small_one() -> None:
    turned = np.diag([-1.0, -1.0, 1.0, 1.0])
    np.testing.assert_allclose(np.abs(way(np.eye(4)[None], turned[None]))[0], [0, 0, 0, 0, 0, np.pi])
    for axis in np.random.default_rng(0).normal(size=(20, 3)):
        unit = axis / np.linalg.norm(axis)
        half = np.eye(4)
        half[:3, :3] = 2.0 * np.outer(unit, unit) - np.eye(3)
        found = way(np.eye(4)[None], half[None])[0, 3:]
        np.testing.assert_allclose(np.abs(found @ unit), np.pi, atol=1e-6)


def test_targets_keep_the_margins_that_the_door_keeps() -> None:
    each, codec = CONTRACTS["fr3", "tool_pose"], CODECS["fr3", "tool_pose"]
    limits, margin = each.robot.limit("position_rad"), each.robot.limit("position_margin_rad")
    home = np.array(each.robot.home_rad)
    for seed in range(20):
        path = walk(each, seed, 30)
        found = codec.decode(codec.encode(path[1:], Reference(home, home)), Reference(home, home))
        assert (found >= limits[:, 0] + margin - 1e-9).all() and (found <= limits[:, 1] - margin + 1e-9).all()


def test_a_pose_out_of_reach_is_refused() -> None:
    codec, home = CODECS["ur5e", "tool_pose"], np.array(CONTRACTS["ur5e", "tool_pose"].robot.home_rad)
    labels = codec.encode(home[None], Reference(home, home))
    labels[0, :3] = [3.0, 0.0, 0.5]
    with pytest.raises(LearnedArmError, match="step 0: tool cannot be where its label says"):
        codec.decode(labels, Reference(home, home))


@pytest.mark.parametrize(
    "columns",
    [(0, 0, 0, 0, 1, 0), (1, 0, 0, 0, 0, 0), (0.1, 0, 0, 0, 1, 0), (1, 0, 0, 0, 9, 0), (1, 0, 0, 0.9, 0.1, 0)],
)
def test_what_is_no_orientation_is_refused(columns: tuple[float, ...]) -> None:
    """Between two opposite orientations a regressor gives columns of no length, or of one direction."""
    codec, home = CODECS["ur5e", "tool_pose"], np.array(CONTRACTS["ur5e", "tool_pose"].robot.home_rad)
    labels = codec.encode(home[None], Reference(home, home))
    labels[0, 3:9] = columns
    with pytest.raises(LearnedArmError, match="no orientation"):
        codec.decode(labels, Reference(home, home))


@settings(max_examples=50)
@given(seed=SEEDS)
def test_no_joint_is_told_to_leave_its_limits(seed: int) -> None:
    each, (tool,) = CONTRACTS["ur5e", "tool_pose"], TOOLS["ur5e"]
    rng, limits = np.random.default_rng(seed), each.robot.limit("position_rad")
    goal = tool.pose(rng.uniform(limits[:, 0], limits[:, 1]))
    goal[:3, 3] *= rng.uniform(0.5, 2.0)
    found = reach([tool], goal[None], np.array(each.robot.home_rad), limits)
    assert (found >= limits[:, 0]).all() and (found <= limits[:, 1]).all() and np.isfinite(found).all()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tools": ["tail"]}, "unknown value"),
        ({"tools": []}, "tools: not a list"),
        ({"tools": ["tool0", "tool0"]}, "a tool named twice"),
        ({"absolute_groups": ["arm"]}, "tools decide about it.*arm: shoulder_pan_joint"),
    ],
)
def test_tools_that_cannot_be_meant_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(LearnedArmError, match=words):
        contract("ur5e", **changes)
