import numpy as np
import pytest

from demo_tools.simulation.judge import HELD_NS, Judge, Situation, picked, reached
from learned_arm.errors import LearnedArmError


def situation(
    cube_z_m: float = 0.08, tcp_offset_m: tuple[float, ...] = (0.0, 0.0, 0.0), touching: int = 2
) -> Situation:
    cube_m = np.array([0.5, 0.1, cube_z_m])
    tcp = np.eye(4)
    tcp[:3, 3] = cube_m + tcp_offset_m
    return Situation(tcp, 0.04, cube_m, touching)


def test_picked() -> None:
    assert picked(situation())
    assert not picked(situation(cube_z_m=0.06)), "lifted 4 cm only"
    assert not picked(situation(touching=1)), "balanced on one finger"
    assert not picked(situation(tcp_offset_m=(0.0, 0.0, 0.05))), "below the fingers"
    assert not picked(situation(tcp_offset_m=(0.03, 0.0, 0.0))), "beside the jaw"


def test_reached() -> None:
    assert reached(situation(0.02, (0.0, 0.0, 0.08)))
    assert reached(situation(0.02, (0.015, 0.0, 0.09)))
    assert not reached(situation(0.02, (0.0, 0.0, 0.101)))
    assert not reached(situation(0.02, (0.021, 0.0, 0.08)))


def test_a_state_counts_when_it_lasts() -> None:
    judge = Judge("pick_cube")
    judge.see(0, situation())
    judge.see(HELD_NS - 1, situation())
    assert not judge.now
    judge.see(HELD_NS, situation())
    assert judge.now and judge.ever


def test_an_interruption_starts_over_and_ever_is_latched() -> None:
    judge = Judge("pick_cube")
    judge.see(0, situation())
    judge.see(HELD_NS // 2, situation(touching=0))
    judge.see(HELD_NS, situation())
    assert not judge.ever
    judge.see(2 * HELD_NS, situation())
    judge.see(2 * HELD_NS + 1, situation(cube_z_m=0.02))
    assert judge.ever and not judge.now
    judge.reset()
    assert not judge.ever


def test_unknown_task_names_those_there_are() -> None:
    with pytest.raises(LearnedArmError, match=r"fold_towel.*pick_cube"):
        Judge("fold_towel")
