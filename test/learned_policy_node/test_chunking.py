"""Laws of temporal ensembling and of the receding horizon."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learned_arm.errors import LearnedArmError
from learned_arm.timeline import Timeline
from learned_policy_node.chunking import (
    EMPTY,
    NEWEST_FIRST,
    OLDEST_FIRST,
    ORDERS,
    Chunker,
    RecedingHorizon,
    TemporalEnsemble,
)

PERIOD_NS = 50_000_000
HORIZON, DOF, OFFSET = 6, 3, 1


def stamps(tick: int, count: int = HORIZON) -> np.ndarray:
    return (tick + OFFSET + np.arange(count, dtype=np.int64)) * PERIOD_NS


def push(chunker: Chunker, tick: int, targets: np.ndarray) -> None:
    chunker.push(tick * PERIOD_NS, Timeline(stamps(tick, len(targets)), targets))


def brute_force(chunks: dict[int, np.ndarray], slot: int, decay: float, order: str) -> np.ndarray:
    """The weighted mean of all that was ever predicted for a slot, prediction by prediction."""
    rows = [
        (tick, targets[slot - tick - OFFSET])
        for tick, targets in sorted(chunks.items())
        if 0 <= slot - tick - OFFSET < HORIZON
    ]
    newest = rows[-1][0]
    total, weights = np.zeros(DOF), 0.0
    for index, (tick, row) in enumerate(rows):
        weight = np.exp(-decay * (index if order == OLDEST_FIRST else newest - tick))
        total, weights = total + weight * row, weights + weight
    return total / weights


@settings(max_examples=40, deadline=None)
@given(
    ticks=st.sets(st.integers(0, 20), min_size=1, max_size=12),
    decay=st.sampled_from([0.0, 0.01, 0.05, 1.0]),
    order=st.sampled_from(ORDERS),
    seed=st.integers(0, 1000),
)
def test_the_ensemble_equals_the_formula_whatever_ticks_are_missing(
    ticks: set[int], decay: float, order: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    ensemble, chunks = TemporalEnsemble(PERIOD_NS, decay, order), {}
    for tick in sorted(ticks):
        chunks[tick] = rng.normal(size=(HORIZON, DOF))
        push(ensemble, tick, chunks[tick])
        timeline = ensemble.timeline((tick + OFFSET) * PERIOD_NS, 4)
        assert timeline.stamps_ns.tolist() == stamps(tick, 4).tolist()
        for slot, got in zip(range(tick + OFFSET, tick + OFFSET + 4), timeline.positions_rad, strict=True):
            np.testing.assert_allclose(got, brute_force(chunks, slot, decay, order), rtol=1e-12)


def test_the_online_form_of_the_paper_gives_the_same() -> None:
    rng, decay = np.random.default_rng(3), 0.01
    ensemble = TemporalEnsemble(PERIOD_NS, decay, OLDEST_FIRST)
    weights = np.exp(-decay * np.arange(HORIZON))
    cumulative = np.cumsum(weights)
    average, slot = np.zeros(DOF), HORIZON
    for count in range(HORIZON):
        chunk = rng.normal(size=(HORIZON, DOF))
        push(ensemble, count, chunk)
        new = chunk[slot - count - OFFSET]
        average = new if count == 0 else (average * cumulative[count - 1] + new * weights[count]) / cumulative[count]
        np.testing.assert_allclose(ensemble.timeline(slot * PERIOD_NS, 1).positions_rad[0], average, rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(value=st.floats(-1e3, 1e3), decay=st.floats(0, 2), order=st.sampled_from(ORDERS), count=st.integers(1, 10))
def test_predictions_that_agree_come_back_equal(value: float, decay: float, order: str, count: int) -> None:
    ensemble = TemporalEnsemble(PERIOD_NS, decay, order)
    for tick in range(count):
        push(ensemble, tick, np.full((HORIZON, DOF), value))
    assert (ensemble.timeline(count * PERIOD_NS, 5).positions_rad == value).all()


def test_who_weighs_most_is_what_the_order_says() -> None:
    for order, low, high in ((NEWEST_FIRST, 0.5, 1.0), (OLDEST_FIRST, 0.0, 0.5)):
        ensemble = TemporalEnsemble(PERIOD_NS, 0.5, order)
        push(ensemble, 0, np.zeros((HORIZON, DOF)))
        push(ensemble, 1, np.ones((HORIZON, DOF)))
        middle = ensemble.timeline(2 * PERIOD_NS, 1).positions_rad
        assert (low < middle).all()
        assert (middle < high).all()


@pytest.mark.parametrize("chunker", [TemporalEnsemble(PERIOD_NS), RecedingHorizon(PERIOD_NS, 2)])
def test_nothing_before_the_first_chunk_beyond_the_last_or_after_a_reset(chunker: Chunker) -> None:
    assert chunker.timeline(0, 4).empty
    assert chunker.needs_chunk(0)
    push(chunker, 0, np.ones((HORIZON, DOF)))
    assert len(chunker.timeline(4 * PERIOD_NS, 10).stamps_ns) == HORIZON - 3
    assert chunker.timeline((HORIZON + 1) * PERIOD_NS, 4).empty
    chunker.reset()
    assert chunker.timeline(PERIOD_NS, 4).empty
    assert chunker.needs_chunk(0)


@settings(max_examples=30, deadline=None)
@given(execute=st.integers(1, HORIZON), ticks=st.integers(1, 25))
def test_the_receding_horizon_consumes_chunks_in_order(execute: int, ticks: int) -> None:
    """Target k of the chunk of tick t is exactly 100 t + k: what is executed tells where it came from."""
    chunker, asked = RecedingHorizon(PERIOD_NS, execute), []
    for tick in range(ticks):
        if chunker.needs_chunk(tick * PERIOD_NS):
            asked.append(tick)
            push(chunker, tick, np.repeat(100.0 * tick + np.arange(HORIZON)[:, None], DOF, axis=1))
        first = chunker.timeline((tick + OFFSET) * PERIOD_NS, 4)
        assert first.stamps_ns[0] == (tick + OFFSET) * PERIOD_NS
        assert first.positions_rad[0, 0] == 100 * asked[-1] + tick - asked[-1]
    assert asked == list(range(0, ticks, execute))


def test_a_skipped_tick_does_not_shift_the_plan() -> None:
    chunker = RecedingHorizon(PERIOD_NS, 4)
    push(chunker, 0, np.repeat(np.arange(HORIZON, dtype=float)[:, None], DOF, axis=1))
    assert chunker.timeline((3 + OFFSET) * PERIOD_NS, 1).positions_rad[0, 0] == 3
    assert chunker.needs_chunk(7 * PERIOD_NS)


def test_wrong_settings_name_what_is_allowed() -> None:
    for decay in (-0.1, float("nan"), float("inf")):
        with pytest.raises(LearnedArmError, match="0 or more"):
            TemporalEnsemble(PERIOD_NS, decay)
    with pytest.raises(LearnedArmError, match="newest_first"):
        TemporalEnsemble(PERIOD_NS, 0.1, "latest")
    with pytest.raises(LearnedArmError, match="horizon"):
        RecedingHorizon(PERIOD_NS, 0)
    with pytest.raises(LearnedArmError, match="off the grid"):
        TemporalEnsemble(PERIOD_NS).push(0, Timeline(stamps(0, 2) * 2, np.zeros((2, DOF))))
    assert EMPTY.empty
