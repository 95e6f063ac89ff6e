"""Jerk as a law of the stream of commands: kept wherever the limits that rank above it leave a choice."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from learned_arm.robot import CommandSpec, JointGroup, JointStateSource, Limits, Robot
from learned_arm.safety import SafetyFilter

DOF = 3
SPEED_ROUNDING, RELATIVE = 5e-9, 1e-6
KINDS = ("none", "anywhere", "outside", "near", "nan")


def random_filter(random: np.random.Generator) -> SafetyFilter:
    """Limits over decades; jerk takes from a millisecond to half a second to build up the acceleration limit."""
    low, span = random.uniform(-6, 3, DOF), 10 ** random.uniform(-1, 1, DOF)
    velocity, acceleration = 10 ** random.uniform(-1, 1, DOF), 10 ** random.uniform(-1, 2, DOF)
    jerk = acceleration * 10 ** random.uniform(0.3, 3, DOF)
    joints = tuple(f"joint_{index}" for index in range(DOF))
    limits = Limits(
        tuple(zip(low.tolist(), (low + span).tolist(), strict=True)),
        tuple(velocity.tolist()),
        tuple(acceleration.tolist()),
        tuple(jerk.tolist()),
        (100.0,) * DOF,
    )
    group = JointGroup("arm", joints, limits, CommandSpec("forward_position", "/commands"))
    return SafetyFilter(Robot("made", 100, (JointStateSource("/j", 0.05),), (group,), tuple(low), None, None))


STREAM = st.tuples(
    st.integers(0, 2**32 - 1), st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 30)), min_size=1, max_size=6)
)


def wanted(safety: SafetyFilter, kind: str, random: np.random.Generator) -> np.ndarray | None:
    if kind == "none":
        return None
    if kind == "nan":
        return np.full(DOF, np.nan)
    if kind == "near":
        return safety.position_rad + random.normal(0, 0.05, DOF)
    return random.uniform(safety.low, safety.high) if kind == "anywhere" else random.uniform(-12, 12, DOF)


@given(STREAM, st.floats(-3, -1.5))
@settings(max_examples=400)
def test_in_regular_ticks_jerk_is_never_exceeded_from_rest(
    stream: tuple[int, list[tuple[str, int]]], exponent: float
) -> None:
    seed, parts = stream
    random, dt_s = np.random.default_rng(seed), 10**exponent
    safety = random_filter(random)
    safety.start(random.uniform(safety.low, safety.high))
    for kind, count in parts:
        target = wanted(safety, kind, random)
        for _ in range(count):
            position, velocity, acceleration = safety.position_rad, safety.velocity_rad_s, safety.acceleration_rad_s2
            result = safety.step(target, position, dt_s)
            assert "jerk_exceeded" not in result.clamps
            moved = (result.sent_rad - position) / dt_s
            assert (result.sent_rad >= safety.low).all() and (result.sent_rad <= safety.high).all()
            assert (np.abs(moved) <= safety.velocity * (1 + RELATIVE) + SPEED_ROUNDING).all()
            rate = (moved - velocity) / dt_s
            assert (np.abs(rate) <= safety.acceleration * (1 + RELATIVE) + SPEED_ROUNDING / dt_s).all()
            change = safety.jerk * dt_s * (1 + RELATIVE) + 3 * SPEED_ROUNDING / dt_s
            assert (np.abs(rate - acceleration) <= change).all()


@given(st.integers(0, 2**32 - 1), st.lists(st.floats(0.0, 1.0), min_size=10, max_size=120))
@settings(max_examples=100)
def test_however_irregular_the_ticks_are_the_limits_above_jerk_hold(seed: int, lengths: list[float]) -> None:
    random = np.random.default_rng(seed)
    safety = random_filter(random)
    safety.start(random.uniform(safety.low, safety.high))
    target = wanted(safety, "outside", random)
    for index, length in enumerate(lengths):
        if index % 20 == 0:
            target = wanted(safety, KINDS[int(random.integers(len(KINDS)))], random)
        dt_s = 10 ** (-4 + 3 * length)
        position, velocity = safety.position_rad, safety.velocity_rad_s
        moved = (safety.step(target, position, dt_s).sent_rad - position) / dt_s
        assert (safety.position_rad >= safety.low).all() and (safety.position_rad <= safety.high).all()
        assert (np.abs(moved) <= safety.velocity * (1 + RELATIVE) + SPEED_ROUNDING).all()
        assert (np.abs(moved - velocity) <= safety.acceleration * dt_s * (1 + RELATIVE) + SPEED_ROUNDING).all()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_a_motion_that_keeps_jerk_comes_back_equal(seed: int) -> None:
    random = np.random.default_rng(seed)
    ahead, follower = random_filter(random), None
    ahead.start(random.uniform(ahead.low, ahead.high))
    follower = SafetyFilter.__new__(SafetyFilter)
    follower.__dict__.update(ahead.__dict__)
    follower.start(ahead.position_rad)
    # A filter's own output keeps every limit, so that a second one with the same limits has nothing to do.
    for count in random.integers(5, 40, 4):
        target = random.uniform(ahead.low, ahead.high)
        for _ in range(int(count)):
            sent = ahead.step(target, ahead.position_rad, 0.01).sent_rad
            result = follower.step(sent, follower.position_rad, 0.01)
            np.testing.assert_allclose(result.sent_rad, sent, atol=1e-9)


def test_a_target_that_goes_on_is_caught_and_not_trailed() -> None:
    random = np.random.default_rng(3)
    safety = random_filter(random)
    safety.low[:], safety.high[:], safety.velocity[:], safety.acceleration[:] = -10.0, 10.0, 2.0, 10.0
    for jerk in (1e9, 100.0):
        safety.jerk[:] = jerk
        safety.start(np.zeros(DOF))
        gap = np.inf
        for tick in range(150):
            target = np.full(DOF, 0.2 + 0.5 * tick * 0.01)
            gap = np.abs(safety.step(target, safety.position_rad, 0.01).sent_rad - target).max()
        assert gap < 1e-9


def test_the_reasons_are_named() -> None:
    safety = random_filter(np.random.default_rng(0))
    safety.low[:], safety.high[:], safety.velocity[:] = -10.0, 10.0, 1.0
    safety.acceleration[:], safety.jerk[:] = 10.0, 100.0
    safety.start(np.zeros(DOF))
    assert safety.step(np.full(DOF, 0.00005), np.zeros(DOF), 0.01).clamps == ()
    assert safety.step(np.full(DOF, 0.00100), np.zeros(DOF), 0.01).clamps == ("jerk",)
    # A long step may take on what a short one cannot let go of: the limits above jerk hold all the same.
    safety.start(np.zeros(DOF))
    safety.velocity_rad_s[:], safety.acceleration_rad_s2[:] = 1.0, 9.0
    assert "jerk_exceeded" in safety.step(np.full(DOF, 5.0), np.zeros(DOF), 0.01).clamps
