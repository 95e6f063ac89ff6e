"""The arm and its door in one process: what a person shows is replayed, and what would not be is told."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from demo_tools.direct.arm import DirectArm
from demo_tools.direct.demonstrate import Demonstration, demonstrate
from demo_tools.direct.replay import replay_direct
from demo_tools.replay.player import Manner
from demo_tools.replay.verdict import Verdict
from learned_arm.contract import Contract, load_contract
from learned_arm.errors import LearnedArmError


@pytest.fixture(scope="module")
def contract() -> Contract:
    return load_contract("pick_cube")


@pytest.fixture(scope="module")
def arm(contract: Contract) -> DirectArm:
    return DirectArm(contract)


@pytest.fixture(scope="module")
def shown(arm: DirectArm) -> Demonstration:
    return demonstrate(arm, 1)


def test_a_demonstration_replays_along_the_recorded_motion(arm: DirectArm, shown: Demonstration) -> None:
    verdict = replay_direct(arm, shown.episode, shown.ticks)
    assert (verdict.verdict, verdict.reason) == ("passed", "the recorded outcome was reproduced")
    assert max(each["max_rad"] for each in verdict.tracking["joints"].values()) < 1e-3
    assert verdict.contract_hash == arm.contract.hash


@pytest.mark.parametrize("adapter", ["joint_trajectory", "forward_velocity"])
def test_other_controllers_are_driven_as_the_door_drives_them(contract: Contract, adapter: str) -> None:
    value = copy.deepcopy(contract.canonical())
    value["robot"]["groups"]["arm"]["command"] = {"adapter": adapter, "topic": "/arm_controller/commands"}
    arm = DirectArm(Contract.from_canonical(value))
    shown = demonstrate(arm, 1)
    verdict = replay_direct(arm, shown.episode, shown.ticks)
    assert (verdict.verdict, verdict.reason) == ("passed", "the recorded outcome was reproduced")


def test_the_same_replay_twice_is_the_same_to_the_bit(arm: DirectArm, shown: Demonstration) -> None:
    once, again = (replay_direct(arm, shown.episode, shown.ticks) for _ in range(2))
    assert once.tracking == again.tracking


def test_what_was_sent_is_played_at_its_own_rate_whatever_the_labels_say(arm: DirectArm, shown: Demonstration) -> None:
    """The baseline: a replay of what the arm was told is exact, where labels at the tick's rate are not its equal."""
    spoilt = replace(shown.ticks, targets=shown.ticks.targets + 0.1)
    verdict = replay_direct(arm, shown.episode, spoilt, stream="sent")
    assert verdict.verdict == "passed" and verdict.labels["stream"] == "sent"
    assert max(each["max_rad"] for each in verdict.tracking["joints"].values()) < 1e-6
    with pytest.raises(LearnedArmError, match="what was sent is not known"):
        replay_direct(arm, shown.episode, replace(shown.ticks, sent=None), stream="sent")
    with pytest.raises(LearnedArmError, match=r"no such stream.*labels"):
        replay_direct(arm, shown.episode, shown.ticks, stream="requested")


def test_the_verdict_on_what_was_sent_is_no_proof_of_the_labels(
    arm: DirectArm, shown: Demonstration, tmp_path: Path
) -> None:
    replay_direct(arm, shown.episode, shown.ticks, stream="sent").save(tmp_path)
    assert Verdict.load(tmp_path) is None
    found = Verdict.load(tmp_path, "sent")
    assert found is not None and found.verdict == "passed"


@pytest.mark.parametrize("joint", ["shoulder_pan_joint", "wrist_1_joint"])
def test_labels_of_the_wrong_sign_fail(arm: DirectArm, shown: Demonstration, joint: str) -> None:
    at = arm.contract.robot.joints.index(joint)
    targets = shown.ticks.targets.copy()
    targets[:, at] = 2 * targets[0, at] - targets[:, at]
    verdict = replay_direct(arm, shown.episode, replace(shown.ticks, targets=targets))
    assert verdict.verdict == "failed"
    assert verdict.tracking["first_divergence"]["joint"] == joint


def test_a_jaw_that_is_told_what_was_measured_squeezes_nothing(arm: DirectArm, shown: Demonstration) -> None:
    """The label that holds on paper: the next measured state. Its motion is right, its grip is not."""
    following = np.concatenate([shown.ticks.measured[1:], shown.ticks.measured[-1:]])
    verdict = replay_direct(arm, shown.episode, replace(shown.ticks, targets=following))
    assert (verdict.verdict, verdict.reason) == ("failed", "recorded success, replayed failure")


def test_errors_of_a_learner_are_drawn_from_their_seed(arm: DirectArm, shown: Demonstration) -> None:
    plain, *spoilt = (
        replay_direct(arm, shown.episode, shown.ticks, Manner(error_share=share, seed=seed)).tracking
        for share, seed in ((0.0, 0), (0.1, 1), (0.1, 1), (0.1, 2))
    )
    assert spoilt[0] == spoilt[1] != spoilt[2]
    assert plain != spoilt[0]


def test_an_episode_of_a_real_arm_is_refused(arm: DirectArm, shown: Demonstration) -> None:
    with pytest.raises(LearnedArmError, match="no state of the simulation"):
        replay_direct(arm, replace(shown.episode, initial_state=None), shown.ticks)


def test_a_tick_between_control_ticks_is_refused(contract: Contract) -> None:
    value = contract.canonical()
    value["rate_hz"] = 30
    with pytest.raises(LearnedArmError, match="every tick is a control tick"):
        DirectArm(Contract.from_canonical(value))
