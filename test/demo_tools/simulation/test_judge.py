import numpy as np
import pytest

from demo_tools.simulation.judge import HELD_NS, Judge, Situation, inserted, picked, reached
from demo_tools.simulation.scene import PEG_TIP_M
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


def test_inserted() -> None:
    def peg(below_m: float, beside_m: float = 0.0, touching: int = 2, lean_rad: float = 0.0) -> Situation:
        cos, sin = np.cos(lean_rad), np.sin(lean_rad)
        down = np.array([[1.0, 0.0, 0.0], [0.0, -cos, sin], [0.0, -sin, -cos]])
        tcp, socket_m = np.eye(4), np.array([0.5, 0.1, 0.04])
        tcp[:3, :3] = down
        tcp[:3, 3] = socket_m + np.array([beside_m, 0.0, -below_m]) - PEG_TIP_M * down[:, 2]
        return Situation(tcp, 0.016, socket_m, touching)

    assert inserted(peg(0.03)) and inserted(peg(0.03, lean_rad=0.2)), "the tip counts, however the hand leans"
    assert not inserted(peg(0.019)), "not down enough"
    assert not inserted(peg(-0.001)), "on the rim"
    assert not inserted(peg(0.03, beside_m=0.03)), "beside the socket"
    assert not inserted(peg(0.03, touching=1)), "not held"


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
