"""Laws of the stream counter: what is lost is exactly what is missing between the first and the last."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from learned_arm.streams import SEQUENCE_UNSUPPORTED, StreamCounter

PERIOD_NS = 10_000_000


def counted(sequences: list[int | None], publishers: int = 1):
    counter = StreamCounter()
    for index, sequence in enumerate(sequences):
        counter.add(sequence, index * PERIOD_NS - 500, index * PERIOD_NS)
    return counter.statistics(publishers)


@given(st.lists(st.integers(1, 10_000), unique=True, min_size=1).map(sorted), st.integers(0, 2**40))
def test_lost_is_what_is_missing_between_first_and_last(received: list[int], offset: int) -> None:
    statistics = counted([offset + each for each in received])
    assert statistics.messages == len(received)
    assert statistics.lost == received[-1] - received[0] + 1 - len(received)


@given(st.lists(st.integers(1, 100), min_size=2))
def test_a_number_that_does_not_grow_makes_losses_uncountable(received: list[int]) -> None:
    grows = all(after > before for before, after in pairwise(received))
    assert (counted(list(received)).lost is not None) == grows


def test_two_publishers_or_no_numbers_are_uncountable_not_zero() -> None:
    assert counted([1, 2, 3], publishers=2).lost is None
    assert counted([1, SEQUENCE_UNSUPPORTED, 3]).lost is None
    assert counted([1, None, 3]).lost is None


def test_an_empty_stream_lost_nothing_and_has_no_age() -> None:
    statistics = StreamCounter().statistics()
    assert (statistics.messages, statistics.lost, statistics.first_ns, statistics.mean_rate_hz) == (
        0,
        0,
        None,
        0.0,
    )
    assert statistics.age_ns(5) is None


def test_rate_gap_delay_and_age() -> None:
    counter = StreamCounter()
    for sequence, received_ns in enumerate([0, 10, 20, 60, 70], start=1):
        counter.add(sequence, received_ns * 1_000_000 - 2_000, received_ns * 1_000_000)
    statistics = counter.statistics()
    assert statistics.largest_gap_ns == 40_000_000
    assert statistics.largest_delay_ns == 2_000
    assert abs(statistics.mean_rate_hz - 4 / 0.07) < 1e-9
    assert statistics.age_ns(100_000_000) == 30_000_000
