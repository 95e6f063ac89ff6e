"""Demonstrations without ROS: the scripted expert shows the task to an arm and its door in one process."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from demo_tools.dataset.ticks import EpisodeTicks
from demo_tools.direct.arm import DirectArm
from demo_tools.simulation.expert import ScriptedExpert
from learned_arm.canonical import hash_of
from learned_arm.contract import Contract
from learned_arm.episode import Episode, InitialState
from learned_arm.errors import LearnedArmError
from learned_arm.state import ToolPoses
from learned_arm.timeline import Timeline, at_point

# The arm settles before a person begins, and rests when the task is done.
_SETTLE_TICKS, _REST_TICKS = 3, 8


@dataclass(frozen=True)
class Demonstration:
    """An episode that was never a bag.

    Attributes:
        episode: What `episode.json` would say.
        ticks: Its ticks, targets from what the door sent; no images.
        requested_rad: What the expert asked for instead, rad, shape (N, dof).
    """

    episode: Episode
    ticks: EpisodeTicks
    requested_rad: NDArray[np.float64]


def demonstrate(
    arm: DirectArm, seed: int, expert_seed: int = 0, aside_m: NDArray[np.float64] | None = None
) -> Demonstration:
    """Show the task once.

    Args:
        arm: Arm and door; what a tick and a label are is its contract's.
        seed: Of the initial state.
        expert_seed: Of the hand.
        aside_m: How far beside the object the hand goes, in base_link, shape (3,): a person who misses.

    Raises:
        LearnedArmError: The expert does not know the task, or it is out of reach.
    """
    contract = arm.contract
    arm.reset(seed)
    state, positions = arm.simulation.state(), arm.position_rad
    for _ in range(_SETTLE_TICKS):
        arm.advance()
    expert = ScriptedExpert(contract, expert_seed)
    arm.engage("teleop")
    seen = arm.simulation.cube
    if aside_m is not None:
        seen = replace(seen, position_m=seen.position_m + aside_m)
    expert.start(arm.now_ns, arm.position_rad, seen)
    ticks: list[int] = []
    measured: list[NDArray[np.float64]] = []
    requested: list[NDArray[np.float64]] = []
    rest = 0
    while rest < _REST_TICKS:
        ticks.append(arm.now_ns)
        measured.append(arm.position_rad)
        requested.append(expert.step(arm.now_ns))
        rest += expert.done(arm.now_ns)
        arm.advance("teleop", at_point(arm.now_ns + contract.period_ns, requested[-1]))
    sent = {each.stamp_ns: each.sent_rad for each in arm.commands if each.sent_rad is not None}
    last = arm.commands[-1].sent_rad
    offset_ns = contract.action.offset_ticks * contract.period_ns
    identity = hash_of([contract.hash, seed, expert_seed])
    initial = InitialState(0, dict(zip(contract.robot.joints, positions.tolist(), strict=True)), tuple(state.tolist()))
    episode = Episode(
        id=identity[:32],
        name=f"20260101T000000Z-{identity[:8]}",
        task=contract.task,
        contract_hash=contract.hash,
        contract=contract.canonical(),
        outcome="success" if arm.simulation.judge.now else "failure",
        operator="scripted_expert",
        reason="",
        notes="",
        policy=None,
        initial_state=initial,
        streams={},
        start_ns=ticks[0],
        end_ns=ticks[-1] + 1,
        messages_hash=identity,
    )
    found = EpisodeTicks(
        ticks_ns=np.array(ticks, np.int64),
        measured=np.stack(measured),
        state=_states(arm.contract, np.stack(measured)),
        commanded=np.array([sent[tick_ns] for tick_ns in ticks]),
        targets=np.array([sent.get(tick_ns + offset_ns, last) for tick_ns in ticks]),
        sources=np.zeros(len(ticks), np.int64),
        images={},
        stamps_ns={},
        trimmed={},
        messages_hash=identity,
        sent=Timeline(
            np.array([stamp_ns for stamp_ns in sent if stamp_ns >= ticks[0]], np.int64),
            np.stack([each for stamp_ns, each in sent.items() if stamp_ns >= ticks[0]]),
        ),
    )
    return Demonstration(episode, found, np.stack(requested))


def _states(contract: Contract, measured: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a policy's state would have been, shape (N, numbers). Nothing is felt here.

    Raises:
        LearnedArmError: The contract asks for wrenches.
    """
    if contract.wrenches:
        raise LearnedArmError("no wrench in one process", where="demonstration", got=sorted(contract.wrenches))
    kinematics = contract.robot.kinematics
    if not contract.tools or kinematics is None:
        return measured
    return np.concatenate([measured, ToolPoses(kinematics, contract.robot.joints, contract.tools).at(measured)], axis=1)
