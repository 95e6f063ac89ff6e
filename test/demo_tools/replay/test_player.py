"""Labels that are played live go through the dataset's precision and the policy's decoding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from demo_tools.dataset.ticks import EpisodeTicks
from demo_tools.replay.player import LabelPlayer, SentPlayer
from learned_arm.action import Reference
from learned_arm.contract import REPRESENTATIONS, TOOL_REPRESENTATIONS, Contract, load_contract
from learned_arm.timeline import Timeline

COUNT = 41


def contract_with(representation: str) -> Contract:
    contract = load_contract("pick_cube")
    tools = ("tool0",) if representation in TOOL_REPRESENTATIONS else ()
    return replace(contract, action=replace(contract.action, representation=representation, tools=tools))


def episode(contract: Contract) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A smooth motion: targets, measured (lagging) and commanded, each (COUNT, dof)."""
    steps = np.arange(COUNT + 1)[:, None] * 0.01
    commanded = np.sin(steps + np.arange(contract.robot.dof)) * 0.3 + 0.4
    return commanded[1:], commanded[:-1] - 0.005, commanded[:-1]


@pytest.mark.parametrize("representation", REPRESENTATIONS)
def test_a_robot_that_does_as_recorded_is_told_what_was_recorded(representation: str) -> None:
    contract = contract_with(representation)
    targets, measured, commanded = episode(contract)
    player = LabelPlayer(contract, targets, measured, commanded)
    for index in range(len(player)):
        timeline = player.step(index, index * contract.period_ns, Reference(measured[index], commanded[index]))
        # Where joints move a tool little, they are not moved for what is left of it.
        atol = 1e-2 if representation in TOOL_REPRESENTATIONS else 2e-6
        np.testing.assert_allclose(timeline.positions_rad[0], targets[index], atol=atol)
        assert timeline.stamps_ns[0] == (index + contract.action.offset_ticks) * contract.period_ns


def test_labels_relative_to_the_measured_joints_follow_the_robot_that_is_there() -> None:
    contract = contract_with("chunk_relative")
    targets, measured, commanded = episode(contract)
    offset = np.full(contract.robot.dof, 0.1)
    player = LabelPlayer(contract, targets, measured, commanded)
    played = player.step(0, 0, Reference(measured[0] + offset, commanded[0])).positions_rad[0]
    np.testing.assert_allclose(played[:6], targets[0][:6] + 0.1, atol=2e-6)
    np.testing.assert_allclose(played[6:], targets[0][6:], atol=2e-6)


def test_absolute_labels_do_not() -> None:
    contract = contract_with("absolute")
    targets, measured, commanded = episode(contract)
    player = LabelPlayer(contract, targets, measured, commanded)
    played = player.step(0, 0, Reference(measured[0] + 0.1, commanded[0])).positions_rad[0]
    np.testing.assert_allclose(played, targets[0], atol=2e-6)


def test_what_was_sent_comes_as_often_as_it_was_sent_and_its_end_is_held() -> None:
    contract = contract_with("absolute")
    targets, measured, commanded = episode(contract)
    period_ns, control_ns = contract.period_ns, contract.robot.control_period_ns
    ticks_ns = np.arange(COUNT) * period_ns + 1_000 * period_ns
    stamps_ns = np.arange(ticks_ns[0], ticks_ns[-1] + 1, control_ns)
    sent = Timeline(stamps_ns, np.outer(np.arange(len(stamps_ns)), np.ones(contract.robot.dof)))
    ticks = EpisodeTicks(
        ticks_ns, measured, measured, commanded, targets, np.zeros(COUNT, np.int64), {}, {}, {}, "", sent
    )
    player, later_ns = SentPlayer(contract, ticks), 7 * period_ns
    assert len(player) == COUNT
    for index in (0, 5, COUNT - 2):
        tick_ns = int(ticks_ns[index]) + later_ns
        timeline = player.step(index, tick_ns, Reference(measured[0], commanded[0]))
        for now_ns in range(tick_ns, tick_ns + period_ns + 1, control_ns):
            then = (now_ns - later_ns - ticks_ns[0]) // control_ns
            found = timeline.at(now_ns)
            assert found is not None and np.array_equal(found, sent.positions_rad[then])
        assert np.array_equal(player.told(index), targets[index])
    last_ns = int(ticks_ns[-1])
    held = player.step(COUNT - 1, last_ns, Reference(measured[0], commanded[0]))
    beyond = replace(ticks, ticks_ns=ticks_ns + 10 * period_ns)
    for each in (held, SentPlayer(contract, beyond).step(COUNT - 1, last_ns, Reference(measured[0], commanded[0]))):
        assert each.end_ns >= last_ns
    end = held.at(last_ns + period_ns)
    assert end is not None and np.array_equal(end, sent.positions_rad[-1])


def test_a_chunk_is_decoded_once_and_then_played_on() -> None:
    contract = contract_with("chunk_relative")
    targets, measured, commanded = episode(contract)
    player = LabelPlayer(contract, targets, measured, commanded)
    first = player.step(0, 0, Reference(measured[0], commanded[0]))
    later = player.step(1, contract.period_ns, Reference(measured[1] + 0.3, commanded[1]))
    np.testing.assert_array_equal(later.positions_rad[0], first.positions_rad[1])
