"""The watchdog: only rounds of its own without a sign of life count."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from learned_arm.watchdog import Watchdog


@given(st.integers(1, 10), st.lists(st.integers(0, 15), max_size=10))
def test_a_loop_hangs_after_so_many_rounds_without_a_sign_of_life(rounds: int, gaps: list[int]) -> None:
    watchdog = Watchdog(rounds)
    for gap in gaps:
        assert [watchdog.check() for _ in range(gap)] == [count > rounds for count in range(1, gap + 1)]
        watchdog.feed()
