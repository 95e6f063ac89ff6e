"""Label designs are told apart by what they make of the same episodes, and the recommendation follows from the rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from demo_tools.replay.player import held
from demo_tools.sweep.command import run_sweep
from demo_tools.sweep.designs import standard_designs
from demo_tools.sweep.picture import draw
from demo_tools.sweep.run import Row, contenders
from learned_arm.contract import load_contract
from learned_arm.errors import LearnedArmError
from learned_arm.timeline import Timeline


def row(design: str, passed: int, with_errors: int = 0, tracking_rad: float = 0.01) -> Row:
    return Row(design, passed, 40, with_errors, tracking_rad, 0.0, {})


def test_every_design_is_a_contract_of_its_own_name() -> None:
    base, designs = load_contract("pick_cube"), standard_designs()
    assert len({each.name for each in designs}) == len(designs) >= 24
    assert len({(each.contract(base).hash, each.manner(), each.stream) for each in designs}) == len(designs)
    for each in designs:
        made = each.contract(base)
        assert (made.rate_hz, made.action.source) == (each.rate_hz, each.source)
        assert made.action.horizon / made.rate_hz <= 0.8


def test_what_passes_as_often_is_told_apart_by_errors_and_then_by_tracking() -> None:
    rows = [row("often", 40, 20), row("nearly", 39, 35, 0.02), row("closer", 39, 35, 0.01), row("never", 0, 0, 0.0)]
    assert contenders(rows) == [rows[2], rows[1], rows[0]]


def test_what_never_passed_is_not_recommended() -> None:
    assert contenders([row("never", 0), row("neither", 0)]) == []


def test_a_row_comes_back_from_its_statement() -> None:
    made = Row("a", 3, 4, 2, 0.5, 0.1, {"recorded success, replayed failure": 1})
    assert Row.of(made.statement()) == made
    assert made.statement()["clopper_pearson"][0] < made.statement()["wilson"][0]


def test_a_held_timeline_steps_within_one_control_period() -> None:
    line = Timeline(np.array([0, 50, 100], np.int64), np.array([[0.0], [1.0], [2.0]]))
    steps = held(line, 10)
    at = [(0, 0.0), (39, 0.0), (40, 0.0), (45, 0.5), (50, 1.0), (90, 1.0), (100, 2.0)]
    for now_ns, wanted in at:
        position = steps.at(now_ns)
        assert position is not None and position[0] == pytest.approx(wanted)


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    rows = [row("good", 40, 38), row("bad", 2)]
    draw(rows, rows[0], "pick_cube", tmp_path / "sweep.png")
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")


def test_without_an_episode_nothing_is_compared(tmp_path: Path) -> None:
    with pytest.raises(LearnedArmError, match="no episode given"):
        run_sweep([], tmp_path / "out", 1, standard_designs())
    assert not (tmp_path / "out").exists()
