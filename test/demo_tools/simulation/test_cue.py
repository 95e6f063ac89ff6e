"""Once the cue is dark, nothing but memory tells which pad was meant; whoever restores the state sees the cue again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from demo_tools.simulation.arm import ArmSimulation, sample_start
from demo_tools.simulation.cameras import CameraRig
from demo_tools.simulation.cue import CUE_LAMP, CUE_NS, GO_NS, LAMPS, PADS, sample_cue
from demo_tools.simulation.expert import ScriptedExpert
from demo_tools.simulation.judge import HELD_NS, Judge, Situation
from demo_tools.simulation.things import Start
from learned_arm.contract import Contract, load_contract

SEEDS = (0, 7, 1_000_003)


@pytest.fixture(scope="module")
def cued() -> Contract:
    return load_contract("reach_cued")


@pytest.fixture(scope="module")
def stage(cued: Contract) -> Iterator[tuple[ArmSimulation, CameraRig]]:
    arm = ArmSimulation(cued)
    rig = CameraRig(arm)
    yield arm, rig
    rig.close()


def start_for(contract: Contract, seed: int, pad: int) -> Start:
    """The initial state of a seed, with another pad meant."""
    own = sample_start(contract, seed)
    return Start(own.position_rad, own.cube, sample_cue(seed, pad))


def command(arm: ArmSimulation) -> None:
    """Let the arm be commanded to stay where it is."""
    assert arm.set_position_targets("arm", arm.position_rad[:6].round(3))


def run_until(arm: ArmSimulation, since_ns: int, from_ns: int) -> None:
    while arm.now_ns < from_ns + since_ns:
        arm.step(arm.contract.robot.control_period_ns)


@pytest.mark.parametrize("seed", SEEDS)
def test_from_the_end_of_the_cue_on_images_and_joints_are_bit_equal_for_every_pad(
    cued: Contract, stage: tuple[ArmSimulation, CameraRig], seed: int
) -> None:
    arm, rig = stage
    seen: list[list[bytes]] = []
    lit: list[bytes] = []
    for pad in range(len(PADS)):
        arm.place(start_for(cued, seed, pad))
        command(arm)
        from_ns = arm.now_ns
        lit.append(rig.draw("front", arm.sight()).tobytes())
        dark: list[bytes] = []
        for since_ns in range(CUE_NS, GO_NS + 3 * cued.period_ns, cued.period_ns):
            run_until(arm, since_ns, from_ns)
            dark += [rig.draw("front", arm.sight()).tobytes(), arm.position_rad.tobytes(), arm.velocity_rad_s.tobytes()]
        seen.append(dark)
    assert len(set(lit)) == len(PADS), "the cue does not show"
    assert seen[0] == seen[1] == seen[2]
    assert len(set(seen[0][::3])) >= 2, "the lamp never said go"


def test_the_cue_lasts_from_the_reset_until_half_a_second_after_the_first_command(cued: Contract) -> None:
    arm = ArmSimulation(cued)
    arm.reset(4)
    colour = sample_cue(4).colour
    run_until(arm, 3_000_000_000, arm.now_ns)
    assert np.array_equal(arm.sight().colours[CUE_LAMP], colour), "it must wait for the first command"
    command(arm)
    from_ns, ticks = arm.now_ns, []
    for tick in range(40):
        run_until(arm, tick * cued.period_ns, from_ns)
        command(arm)
        cue, go = (arm.sight().colours[name] for name in LAMPS)
        ticks.append((bool(np.array_equal(cue, colour)), bool(go.min() > 0.5)))
    assert [lit for lit, _ in ticks] == [True] * 10 + [False] * 30
    assert [go for _, go in ticks] == [False] * 30 + [True] * 10


def test_no_chunk_that_sees_the_cue_reaches_into_the_motion(cued: Contract) -> None:
    reach_ticks = cued.action.horizon + cued.action.offset_ticks
    assert (GO_NS - CUE_NS) // cued.period_ns > reach_ticks
    start = sample_start(cued, 0)
    targets = ScriptedExpert(cued).start(0, start.position_rad, start.cube).targets_rad
    still = GO_NS // cued.period_ns
    assert (targets[:still] == targets[0]).all() and (targets[still + 8] != targets[0]).any()


def test_a_restored_state_shows_the_same_cue_and_the_judge_knows_the_pad(cued: Contract) -> None:
    arm, other = ArmSimulation(cued), ArmSimulation(cued)
    arm.reset(5)
    other.reset(6)
    for moment in ("at the reset", "with the cue half over", "with go lit"):
        kept = arm.state()
        other.restore(kept.tolist())
        assert np.array_equal(other.state(), kept), moment
        got, wanted = other.sight(), arm.sight()
        assert np.array_equal(got.qpos, wanted.qpos) and np.array_equal(got.mocap_pos, wanted.mocap_pos), moment
        assert all(np.array_equal(got.colours[name], wanted.colours[name]) for name in LAMPS), moment
        assert np.array_equal(other.cube.position_m, arm.cube.position_m)
        command(arm)
        run_until(arm, CUE_NS // 2 if moment == "at the reset" else GO_NS, arm.now_ns)


def test_every_pad_is_meant_equally_often_and_nothing_else_follows_from_it(cued: Contract) -> None:
    for first in (0, 1, 1_000_000):
        counts = Counter(sample_cue(seed).cued for seed in range(first, first + 60))
        assert counts == {0: 20, 1: 20, 2: 20}
    for seed in SEEDS:
        cues = [sample_cue(seed, pad) for pad in range(len(PADS))]
        assert all(np.array_equal(each.pads_m, cues[0].pads_m) for each in cues)
        own = sample_start(cued, seed)
        assert own.cue is not None and np.array_equal(own.cube.position_m, own.cue.pads_m[own.cue.cued])


@pytest.mark.parametrize("seed", [1000, 1001, 1002])
def test_the_expert_reaches_the_pad_that_is_meant_without_being_clamped(
    play: Callable, cued: Contract, seed: int
) -> None:
    arm, clamps = play(cued, seed)
    assert arm.judge.ever and arm.judge.now and not arm.judge.spoiled
    assert not clamps


def test_a_wrong_pad_spoils_the_task_for_good() -> None:
    pads = np.array([[0.5, 0.0, 0.0], [0.5, 0.15, 0.0], [0.5, 0.3, 0.0]])

    def above(pad: int) -> Situation:
        tcp = np.eye(4)
        tcp[:3, 3] = pads[pad] + [0.0, 0.0, 0.08]
        return Situation(tcp, 0.085, pads[0], 0, pads[1:])

    judge = Judge("reach_cued")
    judge.see(0, above(2))
    judge.see(HELD_NS - 1, above(2))
    judge.see(HELD_NS, above(0))
    assert not judge.spoiled, "passing over a pad is no choice"
    judge.see(2 * HELD_NS, above(0))
    assert judge.now and judge.ever
    judge.reset()
    for now_ns, pad in ((0, 1), (HELD_NS, 1), (HELD_NS + 1, 0), (3 * HELD_NS, 0)):
        judge.see(now_ns, above(pad))
    assert judge.spoiled and not judge.now and not judge.ever
    judge.reset()
    assert not judge.spoiled


def test_a_decoy_shows_another_cue_and_the_same_arm(cued: Contract, stage: tuple[ArmSimulation, CameraRig]) -> None:
    arm, rig = stage
    arm.reset(0)
    other = sample_start(cued, 1)
    shown, true = arm.sight(other), arm.sight()
    assert other.cue is not None and np.array_equal(shown.colours[CUE_LAMP], other.cue.colour)
    assert np.array_equal(shown.qpos, true.qpos) and np.array_equal(shown.mocap_pos, other.cue.pads_m)
    assert not np.array_equal(rig.draw("front", shown), rig.draw("front", true))
