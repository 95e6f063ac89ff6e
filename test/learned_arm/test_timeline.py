"""Timelines: what they ask for lies between their points, and a newer one takes over without a jump."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learned_arm.errors import LearnedArmError
from learned_arm.timeline import Timeline, at_point

LAST_NS = 1000


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    stamps = sorted(draw(st.sets(st.integers(0, LAST_NS), min_size=1, max_size=8)))
    rows = st.lists(st.floats(-7, 7), min_size=2, max_size=2)
    return Timeline(np.array(stamps, dtype=np.int64), np.array([draw(rows) for _ in stamps]))


MOMENTS = st.integers(-10, LAST_NS + 10)


@given(timelines(), MOMENTS)
def test_between_points_and_nowhere_else(timeline: Timeline, now_ns: int) -> None:
    target = timeline.at(now_ns)
    stamps, positions = timeline.stamps_ns, timeline.positions_rad
    if not stamps[0] <= now_ns <= stamps[-1]:
        assert target is None
        return
    assert target is not None
    before, after = np.searchsorted(stamps, now_ns, "right") - 1, np.searchsorted(stamps, now_ns)
    low, high = (
        np.minimum(positions[before], positions[after]),
        np.maximum(positions[before], positions[after]),
    )
    assert (low - 1e-14 <= target).all() and (target <= high + 1e-14).all()


@given(timelines())
def test_equal_at_its_points(timeline: Timeline) -> None:
    for stamp, position in zip(timeline.stamps_ns, timeline.positions_rad, strict=True):
        np.testing.assert_array_equal(timeline.at(int(stamp)), position)


@given(timelines(), timelines(), MOMENTS)
def test_a_newer_one_takes_over_without_a_jump(older: Timeline, newer: Timeline, now_ns: int) -> None:
    both = older.followed_by(newer, now_ns)
    here, first_ns = older.at(now_ns), int(newer.stamps_ns[0])
    for moment in range(max(now_ns, first_ns), LAST_NS + 1, 7):
        assert_same(both.at(moment), newer.at(moment))
    if here is None or first_ns <= now_ns:
        assert_same(both.at(now_ns), newer.at(now_ns))
        return
    assert_same(both.at(now_ns), here)
    slope = np.abs(np.diff(both.positions_rad, axis=0) / np.diff(both.stamps_ns)[:, None]).max()
    for moment in range(now_ns, first_ns):
        one, next_one = both.at(moment), both.at(moment + 1)
        assert one is not None and next_one is not None
        assert np.abs(next_one - one).max() <= slope + 1e-9


def assert_same(one: np.ndarray | None, other: np.ndarray | None) -> None:
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        np.testing.assert_array_equal(one, other)


@given(timelines(), MOMENTS)
def test_replaced_by_itself_it_asks_for_the_same(timeline: Timeline, now_ns: int) -> None:
    again = timeline.followed_by(timeline, now_ns)
    for moment in range(now_ns, LAST_NS, 5):
        assert_same(again.at(moment), timeline.at(moment))


def test_no_points_ask_for_nothing() -> None:
    empty = Timeline(np.empty(0, dtype=np.int64), np.empty((0, 2)))
    assert empty.empty and empty.at(0) is None
    assert at_point(5, np.ones(2)).followed_by(empty, 0).empty
    assert not at_point(5, np.ones(2)).empty and at_point(5, np.ones(2)).end_ns == 5


@pytest.mark.parametrize(
    ("stamps", "positions", "words"),
    [
        ([0, 1], [[0.0]], "odd shape"),
        ([0], [0.0], "odd shape"),
        ([[0]], [[0.0]], "odd shape"),
        ([0], [[np.nan]], "not finite"),
        ([0], [[np.inf]], "not finite"),
        ([1, 1], [[0.0], [0.0]], "do not increase"),
        ([1, 0], [[0.0], [0.0]], "do not increase"),
    ],
)
def test_what_is_no_timeline_is_refused(stamps: list[int], positions: list[object], words: str) -> None:
    with pytest.raises(LearnedArmError, match=words):
        Timeline(np.array(stamps, dtype=np.int64), np.array(positions))
