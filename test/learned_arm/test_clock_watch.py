"""Time that cannot be trusted is seen: a clock that is set, stamps of the future, stamps that run backward."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learned_arm.clock_watch import (
    LARGEST_FUTURE_NS,
    LARGEST_JUMP_NS,
    ClockWatch,
    StampWatch,
    TimeFaultError,
)
from learned_arm.errors import LearnedArmError

SECOND_NS = 1_000_000_000


@given(st.lists(st.tuples(st.integers(0, 10 * SECOND_NS), st.integers(-2 * SECOND_NS, 2 * SECOND_NS)), max_size=20))
def test_exactly_the_jumps_are_seen_however_long_the_steps(steps: list[tuple[int, int]]) -> None:
    watch, now_ns, monotonic_ns = ClockWatch(), 5 * SECOND_NS, 0
    watch.see(now_ns, monotonic_ns)
    for passed_ns, jump_ns in steps:
        now_ns, monotonic_ns = now_ns + passed_ns + jump_ns, monotonic_ns + passed_ns
        if abs(jump_ns) > LARGEST_JUMP_NS:
            with pytest.raises(TimeFaultError, match="the clock jumped"):
                watch.see(now_ns, monotonic_ns)
        else:
            watch.see(now_ns, monotonic_ns)


def test_stamps_must_follow_time_and_each_other() -> None:
    watch, now_ns = StampWatch("/joint_states", 0.05), 100 * SECOND_NS
    watch.see(now_ns, now_ns)
    watch.see(now_ns, now_ns)
    watch.see(now_ns + LARGEST_FUTURE_NS, now_ns)
    with pytest.raises(TimeFaultError, match=r"/joint_states: stamped in the future; got \+10.000 s"):
        watch.see(now_ns + 10 * SECOND_NS, now_ns)
    now_ns += SECOND_NS
    watch.see(now_ns, now_ns)
    with pytest.raises(TimeFaultError, match=r"stamps run backward; got -0.010 s"):
        watch.see(now_ns - SECOND_NS // 100, now_ns)
    watch.see(now_ns - SECOND_NS // 200, now_ns)


def test_frames_may_overtake_each_other_within_bounds() -> None:
    watch, now_ns = StampWatch("/front", math.inf, 0.25), 100 * SECOND_NS
    watch.see(now_ns, now_ns)
    for _ in range(3):
        watch.see(now_ns - SECOND_NS // 4, now_ns)
    with pytest.raises(TimeFaultError, match=r"stamps run backward; got -0\.260 s"):
        watch.see(now_ns - 260_000_000, now_ns)
    # From there on it goes by the new time.
    watch.see(now_ns - 250_000_000, now_ns)
    watch.see(now_ns, now_ns + 1000 * SECOND_NS)


def test_a_frozen_stamp_is_stale_and_no_fault_of_time() -> None:
    watch, now_ns = StampWatch("/joint_states", 0.05), 100 * SECOND_NS
    watch.see(now_ns, now_ns + 150_000_000)
    with pytest.raises(LearnedArmError, match=r"stale on arrival; got 0\.151 s old") as caught:
        watch.see(now_ns, now_ns + 151_000_000)
    assert not isinstance(caught.value, TimeFaultError)
