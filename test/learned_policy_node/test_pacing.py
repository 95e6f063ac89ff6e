"""When a policy ticks, with clocks that the test turns."""

from __future__ import annotations

import pytest

from learned_arm.errors import LearnedArmError
from learned_policy_node.pacing import LockStepPacer, RealTimePacer

PERIOD_NS = 50_000_000


def test_lock_step_gives_every_tick_once_and_the_newest_first() -> None:
    reached: list[int | None] = [None]
    pacer = LockStepPacer(PERIOD_NS, lambda: reached[0])
    assert pacer.take() is None
    pacer.begin()
    assert pacer.take() is None
    reached[0] = 7 * PERIOD_NS
    assert [pacer.take(), pacer.take()] == [7 * PERIOD_NS, None]
    pacer.begin()
    assert pacer.take() is None
    reached[0] = 9 * PERIOD_NS
    assert [pacer.take(), pacer.wait(), pacer.take()] == [8 * PERIOD_NS, 9 * PERIOD_NS, None]
    pacer.end()
    reached[0] = 10 * PERIOD_NS
    assert pacer.take() is None
    pacer.close()
    assert pacer.wait() is None


def test_real_time_ticks_lie_on_the_grid_and_late_ones_are_skipped_and_counted() -> None:
    now = [1_000 * PERIOD_NS + 3]
    pacer = RealTimePacer(PERIOD_NS, lambda: now[0], lambda: now[0])
    pacer.begin()
    tick, pause_s = pacer._due()
    assert tick is None
    assert pause_s == pytest.approx((PERIOD_NS - 3) / 1e9)
    now[0] = 1_001 * PERIOD_NS
    assert pacer.wait() == 1_001 * PERIOD_NS
    now[0] = 1_004 * PERIOD_NS + 5
    assert pacer.wait() == 1_004 * PERIOD_NS
    assert pacer.missed == 2


@pytest.mark.parametrize("jump_s", [-10, 10])
def test_a_clock_that_jumps_is_an_error_once_and_the_grid_goes_on_behind_it(jump_s: int) -> None:
    now, monotonic = [100 * PERIOD_NS], [0]
    pacer = RealTimePacer(PERIOD_NS, lambda: now[0] + 1_000 * PERIOD_NS, lambda: monotonic[0])
    pacer.begin()
    pacer._due()
    now[0] += jump_s * 1_000_000_000
    with pytest.raises(LearnedArmError, match=rf"clock jumped; got [+]?{jump_s}\.000 s"):
        pacer.wait()
    now[0] += PERIOD_NS
    monotonic[0] += PERIOD_NS
    assert pacer.wait() == now[0] + 1_000 * PERIOD_NS
