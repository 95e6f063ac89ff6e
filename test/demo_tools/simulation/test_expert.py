from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from demo_tools.simulation.arm import ArmSimulation, sample_start
from demo_tools.simulation.expert import ScriptedExpert
from learned_arm.contract import Contract, load_contract
from learned_arm.errors import LearnedArmError


@pytest.mark.parametrize("seed", range(1000, 1008))
def test_picks_without_being_clamped(play: Callable, pick: Contract, seed: int) -> None:
    arm, clamps = play(pick, seed)
    assert arm.judge.ever and arm.judge.now
    assert not clamps


@pytest.mark.parametrize("seed", range(1000, 1004))
def test_reaches_without_being_clamped(play: Callable, seed: int) -> None:
    arm, clamps = play(load_contract("reach_cube"), seed)
    assert arm.judge.ever and arm.judge.now
    assert not clamps


@pytest.mark.parametrize("task", ["insert_peg", "pick_moving"])
@pytest.mark.parametrize("seed", range(1000, 1003))
def test_tasks_that_forgive_little_are_solved_without_being_clamped(play: Callable, task: str, seed: int) -> None:
    arm, clamps = play(load_contract(task), seed)
    assert arm.judge.ever and arm.judge.now
    assert not clamps


@pytest.mark.prove
@pytest.mark.limit_s(600)
@pytest.mark.parametrize("task", ["pick_cube", "reach_cube", "insert_peg", "pick_moving"])
def test_fifty_initial_states_are_solved_without_being_clamped(play: Callable, task: str) -> None:
    contract = load_contract(task)
    failed = []
    for seed in range(2000, 2050):
        arm, clamps = play(contract, seed)
        if not (arm.judge.ever and arm.judge.now) or clamps:
            failed.append(seed)
    print(f"{task}: {50 - len(failed)} of 50 solved, not solved or clamped: {failed}")
    assert len(failed) <= 1


def test_plans_begin_at_the_measured_joints_and_are_short(pick: Contract) -> None:
    expert = ScriptedExpert(pick)
    for seed in range(10):
        start = sample_start(pick, seed)
        targets = expert.start(0, start.position_rad, start.cube).targets_rad
        assert np.abs(targets[0] - start.position_rad).max() < 0.01
        assert np.abs(np.diff(targets[:, :6], axis=0)).max() / 0.05 < np.pi / 2
        assert 70 <= len(targets) <= 110


def test_a_tick_has_one_answer_and_the_last_is_kept(pick: Contract) -> None:
    expert, start = ScriptedExpert(pick), sample_start(pick, 0)
    period_ns, first_ns = pick.period_ns, 40 * pick.period_ns
    plan = expert.start(first_ns, start.position_rad, start.cube).targets_rad
    assert np.array_equal(expert.step(first_ns), plan[0])
    assert np.array_equal(expert.step(first_ns + 3 * period_ns), plan[3])
    assert np.array_equal(expert.step(first_ns), plan[0])
    end_ns = first_ns + len(plan) * period_ns
    assert expert.done(end_ns) and not expert.done(end_ns - period_ns)
    assert np.array_equal(expert.step(end_ns + 9 * period_ns), plan[-1])


def test_variation_follows_the_seed_and_the_cube_alone(pick: Contract) -> None:
    start, other = sample_start(pick, 0), sample_start(pick, 1)
    expert = ScriptedExpert(pick, seed=1)
    first = expert.start(0, start.position_rad, start.cube).targets_rad
    expert.start(0, other.position_rad, other.cube)
    assert np.array_equal(first, expert.start(0, start.position_rad, start.cube).targets_rad)
    varied = ScriptedExpert(pick, seed=2).start(0, start.position_rad, start.cube).targets_rad
    assert not np.array_equal(first[:20], varied[:20])


def test_unknown_tasks_and_far_cubes_are_refused(pick: Contract) -> None:
    with pytest.raises(LearnedArmError, match=r"fold_towel.*pick_cube"):
        ScriptedExpert(replace(pick, task="fold_towel"))
    start = sample_start(pick, 0)
    far = replace(start.cube, position_m=np.array([2.0, 0.0, 0.02]))
    with pytest.raises(LearnedArmError, match="out of reach"):
        ScriptedExpert(pick).start(0, start.position_rad, far)
    assert ArmSimulation(pick).judge.ever is False
