"""An arm put aside sees itself there, and its labels lead to the recorded targets."""

from __future__ import annotations

import numpy as np
import pytest

from demo_tools.training.aside import stand_aside
from learned_arm.action import ActionCodec, Reference
from learned_arm.contract import Contract, load_contract
from learned_arm.state import ToolPoses

COUNT, STD_RAD = 400, 0.02
GRIPPER = slice(6, 7)


def contract_with(representation: str, history: int = 2) -> Contract:
    value = load_contract("pick_cube").canonical()
    value["observation"]["history"] = history
    value["action"] |= {"representation": representation, "absolute_groups": ["gripper"], "horizon": 4}
    kinematics = load_contract("pick_cube").robot.kinematics
    assert kinematics is not None
    value["observation"]["state"]["tools"] = list(kinematics.tips)
    if representation.startswith("tool"):
        value["action"]["tools"] = list(kinematics.tips)
    return Contract.from_canonical(value)


def examples(contract: Contract) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets and what would be learned from them: states and labels."""
    rng = np.random.default_rng(1)
    codec, home = ActionCodec(contract), np.array(contract.robot.home_rad)
    measured = home + rng.normal(0.0, 0.1, (COUNT, contract.history, contract.robot.dof))
    targets = measured[:, -1:] + rng.normal(0.0, 0.05, (COUNT, 4, contract.robot.dof))
    state = np.zeros((COUNT, contract.history, len(contract.state_names)), np.float32)
    state[..., : contract.robot.dof] = measured
    pairs = zip(targets, state[:, -1, : contract.robot.dof].astype(float), strict=True)
    labels = np.stack([codec.encode(some, Reference(joints, joints)) for some, joints in pairs])
    return targets, state, labels


# Joints that lead to a pose are found by steps, which end when they are near.
@pytest.mark.parametrize(
    ("representation", "near_rad"), [("absolute", 1e-6), ("chunk_relative", 1e-6), ("tool_pose", 3e-3)]
)
def test_labels_lead_from_where_the_arm_is_put_to_the_recorded_targets(representation: str, near_rad: float) -> None:
    contract = contract_with(representation)
    targets, state, labels = examples(contract)
    moved, led = stand_aside(contract, state, labels, STD_RAD, np.random.default_rng(2))
    codec, dof = ActionCodec(contract), contract.robot.dof
    shift = (moved - state)[..., :dof]
    assert np.allclose(shift[:, 0], shift[:, 1], atol=1e-6), "an observation's history is displaced as one"
    assert np.abs(shift[..., :6].std() / STD_RAD - 1.0) < 0.05
    assert not shift[..., GRIPPER].any(), "no label leads a gripper back"
    for some, joints, label in zip(targets[:20], moved[:20, -1, :dof].astype(float), led[:20], strict=True):
        np.testing.assert_allclose(codec.decode(label, Reference(joints, joints)), some, atol=near_rad)


def test_the_tools_are_where_the_displaced_joints_put_them() -> None:
    contract = contract_with("chunk_relative")
    _, state, labels = examples(contract)
    moved, _ = stand_aside(contract, state, labels, STD_RAD, np.random.default_rng(2))
    robot = contract.robot
    assert robot.kinematics is not None
    poses = ToolPoses(robot.kinematics, robot.joints, contract.tools)
    for seen in moved[:20]:
        np.testing.assert_allclose(seen[:, robot.dof :], poses.at(seen[:, : robot.dof].astype(float)), atol=1e-5)


@pytest.mark.parametrize("representation", ["delta", "velocity", "tool_relative"])
def test_where_no_label_says_where_to_go_nothing_is_displaced(representation: str) -> None:
    contract = contract_with(representation)
    _, state, labels = examples(contract)
    moved, led = stand_aside(contract, state, labels, STD_RAD, np.random.default_rng(2))
    assert np.array_equal(moved, state) and np.array_equal(led, labels)


def test_what_is_given_stays_as_it_was() -> None:
    contract = contract_with("chunk_relative")
    _, state, labels = examples(contract)
    before = state.copy(), labels.copy()
    stand_aside(contract, state, labels, STD_RAD, np.random.default_rng(2))
    assert np.array_equal(state, before[0]) and np.array_equal(labels, before[1])
