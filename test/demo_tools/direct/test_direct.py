"""The arm and its door in one process: what a person shows is replayed, and what would not be is told."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
import pytest

from demo_tools.dataset.ticks import EpisodeTicks
from demo_tools.direct.arm import DirectArm
from demo_tools.direct.replay import replay_direct
from demo_tools.replay.player import Manner
from demo_tools.simulation.expert import ScriptedExpert
from learned_arm.contract import Contract, load_contract
from learned_arm.episode import Episode, InitialState
from learned_arm.errors import LearnedArmError
from learned_arm.timeline import at_point

SETTLE, REST = 3, 8


@dataclass(frozen=True)
class Shown:
    """A demonstration that was never a bag."""

    episode: Episode
    ticks: EpisodeTicks


def show(arm: DirectArm, seed: int) -> Shown:
    """The scripted expert shows the task once."""
    contract = arm.contract
    arm.reset(seed)
    state, positions = arm.simulation.state(), arm.position_rad
    for _ in range(SETTLE):
        arm.advance()
    expert = ScriptedExpert(contract)
    arm.engage("teleop")
    expert.start(arm.now_ns, arm.position_rad, arm.simulation.cube)
    ticks, measured, rest = [], [], 0
    while rest < REST:
        ticks.append(arm.now_ns)
        measured.append(arm.position_rad)
        rest += expert.done(arm.now_ns)
        arm.advance("teleop", at_point(arm.now_ns + contract.period_ns, expert.step(arm.now_ns)))
    assert arm.simulation.judge.now
    sent = {command.stamp_ns: command.sent_rad for command in arm.commands}
    targets = [sent.get(tick_ns + contract.period_ns, arm.commands[-1].sent_rad) for tick_ns in ticks]
    commanded = [sent[tick_ns] for tick_ns in ticks]
    initial = InitialState(0, dict(zip(contract.robot.joints, positions.tolist(), strict=True)), tuple(state.tolist()))
    episode = Episode(
        id="0" * 32,
        name="20260101T000000Z-00000000",
        task=contract.task,
        contract_hash=contract.hash,
        contract=contract.canonical(),
        outcome="success",
        operator="",
        reason="",
        notes="",
        policy=None,
        initial_state=initial,
        streams={},
        start_ns=0,
        end_ns=1,
        messages_hash="a" * 64,
    )
    count = len(ticks)
    found = EpisodeTicks(
        ticks_ns=np.array(ticks, np.int64),
        measured=np.stack(measured),
        commanded=np.array(commanded),
        targets=np.array(targets),
        sources=np.zeros(count, np.int64),
        images={},
        stamps_ns={},
        trimmed={},
        messages_hash="a" * 64,
    )
    return Shown(episode, found)


@pytest.fixture(scope="module")
def contract() -> Contract:
    return load_contract("pick_cube")


@pytest.fixture(scope="module")
def arm(contract: Contract) -> DirectArm:
    return DirectArm(contract)


@pytest.fixture(scope="module")
def shown(arm: DirectArm) -> Shown:
    return show(arm, 1)


def test_a_demonstration_replays_along_the_recorded_motion(arm: DirectArm, shown: Shown) -> None:
    verdict = replay_direct(arm, shown.episode, shown.ticks)
    assert (verdict.verdict, verdict.reason) == ("passed", "the recorded outcome was reproduced")
    assert max(each["max_rad"] for each in verdict.tracking["joints"].values()) < 1e-3
    assert verdict.contract_hash == arm.contract.hash


@pytest.mark.parametrize("adapter", ["joint_trajectory", "forward_velocity"])
def test_other_controllers_are_driven_as_the_door_drives_them(contract: Contract, adapter: str) -> None:
    value = copy.deepcopy(contract.canonical())
    value["robot"]["groups"]["arm"]["command"] = {"adapter": adapter, "topic": "/arm_controller/commands"}
    arm = DirectArm(Contract.from_canonical(value))
    shown = show(arm, 1)
    verdict = replay_direct(arm, shown.episode, shown.ticks)
    assert (verdict.verdict, verdict.reason) == ("passed", "the recorded outcome was reproduced")


def test_the_same_replay_twice_is_the_same_to_the_bit(arm: DirectArm, shown: Shown) -> None:
    once, again = (replay_direct(arm, shown.episode, shown.ticks) for _ in range(2))
    assert once.tracking == again.tracking


@pytest.mark.parametrize("joint", ["shoulder_pan_joint", "wrist_1_joint"])
def test_labels_of_the_wrong_sign_fail(arm: DirectArm, shown: Shown, joint: str) -> None:
    at = arm.contract.robot.joints.index(joint)
    targets = shown.ticks.targets.copy()
    targets[:, at] = 2 * targets[0, at] - targets[:, at]
    verdict = replay_direct(arm, shown.episode, replace(shown.ticks, targets=targets))
    assert verdict.verdict == "failed"
    assert verdict.tracking["first_divergence"]["joint"] == joint


def test_a_jaw_that_is_told_what_was_measured_squeezes_nothing(arm: DirectArm, shown: Shown) -> None:
    """The label that holds on paper: the next measured state. Its motion is right, its grip is not."""
    following = np.concatenate([shown.ticks.measured[1:], shown.ticks.measured[-1:]])
    verdict = replay_direct(arm, shown.episode, replace(shown.ticks, targets=following))
    assert (verdict.verdict, verdict.reason) == ("failed", "recorded success, replayed failure")


def test_errors_of_a_learner_are_drawn_from_their_seed(arm: DirectArm, shown: Shown) -> None:
    plain, *spoilt = (
        replay_direct(arm, shown.episode, shown.ticks, Manner(error_share=share, seed=seed)).tracking
        for share, seed in ((0.0, 0), (0.1, 1), (0.1, 1), (0.1, 2))
    )
    assert spoilt[0] == spoilt[1] != spoilt[2]
    assert plain != spoilt[0]


def test_an_episode_of_a_real_arm_is_refused(arm: DirectArm, shown: Shown) -> None:
    with pytest.raises(LearnedArmError, match="no state of the simulation"):
        replay_direct(arm, replace(shown.episode, initial_state=None), shown.ticks)


def test_a_tick_between_control_ticks_is_refused(contract: Contract) -> None:
    value = contract.canonical()
    value["rate_hz"] = 30
    with pytest.raises(LearnedArmError, match="every tick is a control tick"):
        DirectArm(Contract.from_canonical(value))
