"""The grid of the control loop: what is due, what was missed, how late it was."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from learned_arm.control_grid import ControlGrid, Lateness

PERIOD_NS = 4_000_000


def test_a_tick_more_than_a_period_late_is_not_made_up_for() -> None:
    grid = ControlGrid(4, 0, 10)
    grid.begin(13)
    assert (grid.missed, grid.due_ns) == (2, 16)


def test_a_tick_less_than_a_period_late_misses_nothing() -> None:
    grid = ControlGrid(4, 0, 10)
    grid.begin(7)
    assert (grid.missed, grid.due_ns) == (0, 8)


@given(st.lists(st.integers(0, 20 * PERIOD_NS), max_size=50))
def test_the_grid_keeps_its_phase_and_is_never_due_in_the_past(late_ns: list[int]) -> None:
    grid = ControlGrid(PERIOD_NS, 7, 10)
    for begun, each in enumerate(late_ns, 1):
        now_ns = grid.due_ns + each
        grid.begin(now_ns)
        assert grid.due_ns > now_ns and (grid.due_ns - 7) % PERIOD_NS == 0
        assert (grid.due_ns - 7) // PERIOD_NS == 1 + begun + grid.missed


def test_lateness_is_of_the_last_window() -> None:
    grid = ControlGrid(PERIOD_NS, 0, 200)
    assert grid.lateness() == Lateness()
    grid.begin(grid.due_ns + 3_000_000)
    for late_us in np.random.default_rng(0).permutation(200):
        grid.begin(grid.due_ns + int(late_us) * 1000)
    # 198 of 200 are at most 0.197 ms late; the tick of 3 ms has left the window.
    assert grid.lateness() == Lateness(p99_ms=0.197, max_ms=0.199, ticks=200)
