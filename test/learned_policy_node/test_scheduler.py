"""Laws of the schedule: late chunks, seams, the end of a plan, resets. Nothing here sleeps or reads a clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learned_arm.errors import LearnedArmError
from learned_arm.timeline import Timeline
from learned_policy_node.chunking import OLDEST_FIRST, ORDERS, Chunker, RecedingHorizon, TemporalEnsemble
from learned_policy_node.latency import Latency
from learned_policy_node.scheduler import Phase, Rules, Scheduler

PERIOD_NS = 50_000_000
HORIZON, DOF, OFFSET = 8, 2, 1
PER_RAD = 16
FREE = 1e9  # a largest jump that never binds

Policy = Callable[[int, np.ndarray], np.ndarray]


def future(tick: int, slots: np.ndarray) -> np.ndarray:
    """A perfect policy: what is right at a slot does not depend on when it is predicted.

    The first joint tells the slot; both move by less a tick than plans may jump.
    """
    return np.stack([slots / PER_RAD, np.sin(slots / PER_RAD)], axis=1)


def slot_of(target: np.ndarray) -> float:
    return float(target[0]) * PER_RAD


class Run:
    """Plays a policy through a scheduler, tick by tick; every chunk may have a delay of its own."""

    def __init__(self, chunker: Chunker, rules: Rules, policy: Policy = future, horizon: int = HORIZON) -> None:
        self.scheduler = Scheduler(chunker, PERIOD_NS, OFFSET, rules)
        self.policy, self.horizon = policy, horizon
        self.executed: dict[int, np.ndarray] = {}
        self.phases: list[Phase] = []
        self.chunks: dict[int, tuple[int, np.ndarray]] = {}
        self.generation = 0

    def tick(self, tick: int, delay_ns: int, *, silent: bool = False, at_once: bool = False) -> None:
        scheduler, tick_ns = self.scheduler, tick * PERIOD_NS
        if not silent and scheduler.needs_chunk(tick_ns, at_once=at_once):
            slots = tick + OFFSET + np.arange(self.horizon)
            targets = self.policy(tick, slots)
            epoch = scheduler.asked()
            ready_ns, generation = tick_ns + delay_ns, self.generation
            chunk = Timeline(slots * PERIOD_NS, targets)
            assert scheduler.push(epoch, tick_ns, chunk, ready_ns=ready_ns, generation=generation)
            scheduler.latency.add(delay_ns)
            self.chunks[tick] = (tick_ns + delay_ns, targets)
        timeline = scheduler.answer(tick_ns)
        self.phases.append(scheduler.phase)
        if not timeline.empty:
            first = (tick + OFFSET) * PERIOD_NS
            assert timeline.stamps_ns.tolist() == [first + k * PERIOD_NS for k in range(len(timeline.stamps_ns))]
            self.executed[tick + OFFSET] = timeline.positions_rad[0]

    def ticks(self, delays: Iterable[int]) -> Run:
        for tick, delay in enumerate(delays):
            self.tick(tick, delay * PERIOD_NS)
        return self


def ensemble(order: str = OLDEST_FIRST, decay: float = 0.05) -> TemporalEnsemble:
    return TemporalEnsemble(PERIOD_NS, decay, order)


CHUNKERS: dict[str, Callable[[], Chunker]] = {
    "ensemble": ensemble,
    "receding": lambda: RecedingHorizon(PERIOD_NS, HORIZON // 2),
}


@settings(max_examples=60, deadline=None)
@given(delay=st.integers(0, HORIZON - 1), count=st.integers(HORIZON, 40), order=st.sampled_from(ORDERS))
def test_a_perfect_policy_is_executed_alike_under_any_delay_below_the_horizon(
    delay: int, count: int, order: str
) -> None:
    run = Run(ensemble(order), Rules(in_flight=HORIZON)).ticks([delay] * count)
    assert sorted(run.executed) == list(range(delay + OFFSET, count + OFFSET))
    for slot, got in run.executed.items():
        np.testing.assert_array_equal(got, future(0, np.array([slot]))[0])


@pytest.mark.parametrize("kind", CHUNKERS)
@settings(max_examples=60, deadline=None)
@given(delays=st.lists(st.integers(0, HORIZON // 2), min_size=60, max_size=60))
def test_no_step_is_executed_twice_or_left_out_though_every_chunk_takes_its_own_time(
    kind: str, delays: list[int]
) -> None:
    """One chunk at a time: while one is made another is played, so up to half the horizon nothing runs out.

    Whatever the perfect policy has executed at a slot must be meant for that slot.
    """
    rules = Rules(hold_ticks=0)
    # The usual latency must be known before it is reckoned with.
    run = Run(CHUNKERS[kind](), rules).ticks([HORIZON // 2] * 30 + delays)
    slots = sorted(run.executed)
    assert slots == list(range(slots[0], len(delays) + 30 + OFFSET))
    assert [slot_of(run.executed[slot]) for slot in slots] == slots


@pytest.mark.parametrize("kind", CHUNKERS)
@settings(max_examples=30, deadline=None)
@given(delay=st.integers(0, HORIZON // 2))
def test_without_compensation_everything_comes_late_by_the_delay(kind: str, delay: int) -> None:
    run = Run(CHUNKERS[kind](), Rules(compensate=False, max_jump_rad=FREE)).ticks([delay] * 40)
    for slot in range(HORIZON + OFFSET, 40):
        np.testing.assert_allclose(run.executed[slot], future(0, np.array([slot - delay]))[0], rtol=1e-12)


def test_the_delay_is_rounded_up_to_the_grid_and_counted_in_dropped_steps() -> None:
    run = Run(RecedingHorizon(PERIOD_NS, 4), Rules())
    for tick in range(4):
        run.tick(tick, 2 * PERIOD_NS + 1)
    assert run.phases == [Phase.WAITING] * 3 + [Phase.PLAYING]
    assert run.scheduler.late_steps == 3
    assert slot_of(run.executed[4]) == 4


@settings(max_examples=60, deadline=None)
@given(
    delay=st.integers(0, HORIZON - 1),
    decay=st.sampled_from([0.0, 0.01, 0.05, 1.0]),
    order=st.sampled_from(ORDERS),
    in_flight=st.sampled_from([1, HORIZON]),
    seed=st.integers(0, 1000),
)
def test_the_ensemble_equals_the_formula_under_delay(
    delay: int, decay: float, order: str, in_flight: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rules = Rules(in_flight=in_flight, max_jump_rad=FREE, hold_ticks=0)
    run = Run(ensemble(order, decay), rules, lambda tick, slots: rng.normal(size=(len(slots), DOF)))
    run.ticks([delay] * 30)
    checked = 0
    for tick in range(30):
        slot = tick + OFFSET
        there = [
            (made, targets[slot - made - OFFSET])
            for made, (ready_ns, targets) in sorted(run.chunks.items())
            if ready_ns <= tick * PERIOD_NS and slot - made - OFFSET < HORIZON
        ]
        assert bool(there) == (slot in run.executed)
        if there:
            newest = there[-1][0]
            ages = [index if order == OLDEST_FIRST else newest - made for index, (made, _) in enumerate(there)]
            weights = np.exp(-decay * np.array(ages, dtype=float))
            expected = sum(weight * row for weight, (_, row) in zip(weights, there, strict=True)) / weights.sum()
            np.testing.assert_allclose(run.executed[slot], expected, rtol=1e-9, atol=1e-12)
            checked += 1
    assert checked


@pytest.mark.parametrize("kind", CHUNKERS)
@settings(max_examples=60, deadline=None)
@given(
    jump=st.floats(1e-3, 1.0),
    delay=st.integers(0, 3),
    compensate=st.booleans(),
    lead=st.integers(1, 6),
    seed=st.integers(0, 1000),
)
def test_no_new_plan_departs_from_the_one_in_force_by_more_than_the_bound(
    kind: str, jump: float, delay: int, compensate: bool, lead: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rules = Rules(lead_ticks=lead, max_jump_rad=jump, compensate=compensate)

    def constant(_tick: int, slots: np.ndarray) -> np.ndarray:
        """A plan that stands still, anywhere: all motion that is executed comes from the seams."""
        return np.repeat(rng.normal(size=(1, DOF)), len(slots), axis=0)

    run = Run(RecedingHorizon(PERIOD_NS, 3) if kind == "receding" else ensemble(), rules, constant)
    for tick in range(40):
        before = run.scheduler._planned
        run.tick(tick, delay * PERIOD_NS)
        planned = before.at((tick + OFFSET) * PERIOD_NS)
        if planned is not None:
            assert np.abs(run.executed[tick + OFFSET] - planned).max() <= jump * (1 + 1e-9)


def test_a_seam_closes_at_the_bound_and_stays_closed() -> None:
    run = Run(RecedingHorizon(PERIOD_NS, 4), Rules(max_jump_rad=0.25), lambda tick, slots: np.full((8, DOF), tick / 4))
    run.ticks([0] * 8)
    assert [float(run.executed[slot][0]) for slot in range(1, 9)] == [0, 0, 0, 0, 0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("kind", CHUNKERS)
@settings(max_examples=40, deadline=None)
@given(jump=st.floats(0.01, 0.5), far=st.floats(-2.0, 2.0), delay=st.integers(0, 3), at=st.integers(6, 12))
def test_another_policy_is_never_averaged_with_the_last_and_the_seam_to_it_is_bounded(
    kind: str, jump: float, far: float, delay: int, at: int
) -> None:
    """Both stand still, at 0 and at `far`: the plan in force bridges until the new one's first chunk is there."""
    run = Run(CHUNKERS[kind](), Rules(max_jump_rad=jump, in_flight=HORIZON, hold_ticks=0))
    run.policy = lambda tick, slots: np.full((len(slots), DOF), far if run.generation else 0.0)
    for tick in range(40):
        run.generation = int(tick >= at)
        run.tick(tick, delay * PERIOD_NS, at_once=tick == at)
    slots = sorted(run.executed)
    assert slots == list(range(delay + OFFSET, 40 + OFFSET)), "no gap"
    path = np.array([run.executed[slot][0] for slot in slots])
    steps = np.diff(path)
    assert np.abs(steps).max() <= jump * (1 + 1e-9)
    assert (np.sign(steps[steps != 0]) == np.sign(far)).all()
    reached = at + delay + OFFSET + int(np.ceil(abs(far) / jump))
    np.testing.assert_allclose(path[slots.index(at + delay + OFFSET - 1)], 0.0)
    np.testing.assert_array_equal([run.executed[slot][0] for slot in slots if slot >= reached], far)


def test_a_policy_asked_at_once_is_asked_as_soon_as_none_is_in_flight() -> None:
    run = Run(RecedingHorizon(PERIOD_NS, HORIZON), Rules())
    run.tick(0, 3 * PERIOD_NS)
    assert [run.scheduler.needs_chunk(tick * PERIOD_NS, at_once=True) for tick in (1, 2, 3)] == [False, False, True]
    assert not run.scheduler.needs_chunk(3 * PERIOD_NS)


def test_a_jump_within_the_bound_is_not_touched() -> None:
    rng = np.random.default_rng(2)
    policy = lambda tick, slots: rng.uniform(-0.04, 0.04, size=(len(slots), DOF))  # noqa: E731
    run = Run(RecedingHorizon(PERIOD_NS, 1), Rules(max_jump_rad=0.1), policy).ticks([0] * 20)
    for tick, (_, targets) in run.chunks.items():
        np.testing.assert_array_equal(run.executed[tick + OFFSET], targets[0])


@pytest.mark.parametrize("kind", CHUNKERS)
@settings(max_examples=30, deadline=None)
@given(hold=st.integers(0, 6), lead=st.integers(1, 6), spoke=st.integers(1, 4))
def test_a_plan_that_runs_out_is_held_for_the_bound_and_then_stopped(
    kind: str, hold: int, lead: int, spoke: int
) -> None:
    run = Run(CHUNKERS[kind](), Rules(lead_ticks=lead, hold_ticks=hold))
    for tick in range(40):
        run.tick(tick, 0, silent=tick >= spoke)
    end = max(run.chunks) + HORIZON  # offset 1: the last slot is tick + HORIZON
    assert sorted(run.executed) == list(range(OFFSET, end + hold + 1))
    last = future(0, np.array([end]))[0]
    for slot in range(end, end + hold + 1):
        np.testing.assert_array_equal(run.executed[slot], last)
    assert run.phases == [Phase.PLAYING] * end + [Phase.HOLDING] * hold + [Phase.RUN_OUT] * (40 - end - hold)
    run.tick(40, 0)
    assert run.phases[-1] is Phase.PLAYING
    assert slot_of(run.executed[41]) == 41


@pytest.mark.parametrize("kind", CHUNKERS)
@settings(max_examples=30, deadline=None)
@given(delay=st.integers(1, 6), at=st.integers(0, 20))
def test_nothing_in_flight_survives_a_reset(kind: str, delay: int, at: int) -> None:
    wrong = lambda tick, slots: np.full((len(slots), DOF), -1e6)  # noqa: E731
    run = Run(CHUNKERS[kind](), Rules(hold_ticks=0), wrong).ticks([delay] * at)
    scheduler = run.scheduler
    before = scheduler.asked()
    scheduler.reset()
    slots = at + OFFSET + np.arange(HORIZON)
    chunk = Timeline(slots * PERIOD_NS, wrong(at, slots))
    assert not scheduler.push(before, at * PERIOD_NS, chunk, ready_ns=0)
    assert scheduler.answer(at * PERIOD_NS).empty
    assert scheduler.phase is Phase.WAITING
    assert scheduler.needs_chunk(at * PERIOD_NS)
    run.policy, run.executed = future, {}
    for tick in range(at, at + 20):
        run.tick(tick, delay * PERIOD_NS)
    assert run.executed
    assert [slot_of(row) for row in run.executed.values()] == list(run.executed)


def test_ticks_that_were_missed_do_not_shift_the_plan() -> None:
    run = Run(RecedingHorizon(PERIOD_NS, 6), Rules())
    for tick in (0, 1, 4, 5):
        run.tick(tick, 0)
    assert [slot_of(run.executed[slot]) for slot in (1, 2, 5, 6)] == [1, 2, 5, 6]


def test_a_chunk_that_comes_after_its_end_is_no_plan() -> None:
    run = Run(RecedingHorizon(PERIOD_NS, 4), Rules()).ticks([HORIZON] * (HORIZON + 1))
    assert run.scheduler.late_steps == HORIZON
    assert not run.executed


def test_the_latency_leaves_the_cold_start_out_and_remembers_the_worst_of_the_last() -> None:
    latency = Latency()
    assert latency.worst_ns == 0
    latency.add(10**9)
    assert latency.worst_ns == 0
    for value in (5, 7, *([6] * 10)):
        latency.add(value)
    assert latency.worst_ns == 6
    latency.restart()
    latency.add(10**9)
    assert latency.worst_ns == 0


def test_a_policy_is_asked_early_where_its_plan_would_end_first() -> None:
    scheduler = Scheduler(RecedingHorizon(PERIOD_NS, HORIZON), PERIOD_NS, OFFSET)
    for _ in range(2):
        scheduler.latency.add(3 * PERIOD_NS - 1)
    slots = OFFSET + np.arange(HORIZON)
    scheduler.push(scheduler.asked(), 0, Timeline(slots * PERIOD_NS, future(0, slots)), ready_ns=0)
    scheduler.answer(0)
    assert [scheduler.needs_chunk(tick * PERIOD_NS) for tick in range(1, 8)] == [False] * 4 + [True] * 3


@pytest.mark.parametrize(
    ("wrong", "allowed"),
    [
        ({"lead_ticks": 0}, "1 tick or more"),
        ({"lead_ticks": 10**9}, "up to 10000"),
        ({"max_jump_rad": float("inf")}, "finite"),
        ({"hold_ticks": 10**9}, "up to 10000"),
        ({"max_jump_rad": 0.0}, "more than 0"),
        ({"max_jump_rad": float("nan")}, "more than 0"),
        ({"hold_ticks": -1}, "0 ticks or more"),
        ({"in_flight": 0}, "1 or more"),
    ],
)
def test_rules_out_of_range_name_what_is_allowed(wrong: dict[str, float], allowed: str) -> None:
    with pytest.raises(LearnedArmError, match=allowed):
        Rules(**wrong)  # pyright: ignore[reportArgumentType]
