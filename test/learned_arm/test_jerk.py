"""Stops and approaches under limits of acceleration and jerk, one joint at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learned_arm.jerk import (
    approaching_acceleration,
    most_acceleration_below,
    slowing_acceleration,
    stopping_place,
)

ACCELERATION, JERK = st.floats(0.5, 50), st.floats(1.0, 1000)
SPEED, SHARE = st.floats(-3, 3), st.floats(-1, 1)


def one(value: float) -> np.ndarray:
    return np.array([value])


def slow_down(velocity: float, acceleration: float, most: float, jerk: float, dt_s: float) -> tuple[float, int]:
    """Way and steps of the fastest stop in steps, each within acceleration and jerk."""
    way, steps = 0.0, 0
    while velocity or acceleration:
        wanted = slowing_acceleration(one(velocity), one(acceleration), one(jerk), dt_s)[0]
        low, high = max(acceleration - jerk * dt_s, -most), min(acceleration + jerk * dt_s, most)
        acceleration = float(np.clip(wanted, low, high))
        velocity += acceleration * dt_s
        way += velocity * dt_s
        steps += 1
        assert steps < 200_000
        if abs(velocity) < 1e-13:
            velocity = 0.0
    return way, steps


def test_a_stop_without_a_bound_on_jerk_is_the_parabola() -> None:
    velocity, most = np.array([-2.0, 0.5, 0.0]), np.full(3, 4.0)
    stop = stopping_place(np.array([1.0, 1.0, 1.0]), velocity, np.zeros(3), most, np.full(3, 1e12))
    np.testing.assert_allclose(stop, 1.0 + velocity * np.abs(velocity) / (2 * most), atol=1e-9)


@given(SPEED, SHARE, ACCELERATION, JERK)
@settings(max_examples=60)
def test_the_place_of_a_stop_is_where_small_steps_come_to_rest(
    velocity: float, share: float, most: float, jerk: float
) -> None:
    acceleration, dt_s = share * most, max(abs(velocity) / most, most / jerk) / 2000 + 1e-6
    way, steps = slow_down(velocity, acceleration, most, jerk, dt_s)
    stop = stopping_place(one(0.0), one(velocity), one(acceleration), one(most), one(jerk))[0]
    fastest = abs(velocity) + acceleration**2 / (2 * jerk)
    assert stop == pytest.approx(way, abs=2 * fastest * dt_s * (1 + np.sqrt(steps)) + 1e-9)


@given(SPEED, SHARE, ACCELERATION, JERK)
def test_a_stop_lies_further_the_larger_velocity_and_acceleration_are(
    velocity: float, share: float, most: float, jerk: float
) -> None:
    accelerations = np.linspace(-most, share * most, 30)
    ends = stopping_place(np.zeros(30), np.full(30, velocity), accelerations, np.full(30, most), np.full(30, jerk))
    assert (np.diff(ends) >= -1e-9).all()
    speeds = np.linspace(-3, velocity, 30)
    ends = stopping_place(np.zeros(30), speeds, np.full(30, share * most), np.full(30, most), np.full(30, jerk))
    assert (np.diff(ends) >= -1e-9).all()


@given(SPEED, SHARE, ACCELERATION, JERK, st.floats(1e-3, 0.03))
@settings(max_examples=60)
def test_the_fastest_stop_keeps_jerk_ends_in_rest_and_never_turns_back_twice(
    velocity: float, share: float, most: float, jerk: float, dt_s: float
) -> None:
    acceleration, turns, side = share * most, 0, np.sign(velocity)
    for _ in range(100_000):
        wanted = slowing_acceleration(one(velocity), one(acceleration), one(jerk), dt_s)[0]
        low, high = max(acceleration - jerk * dt_s, -most), min(acceleration + jerk * dt_s, most)
        acceleration = float(np.clip(wanted, low, high))
        velocity = velocity + acceleration * dt_s
        velocity = 0.0 if abs(velocity) < 1e-12 else velocity
        if velocity and np.sign(velocity) != side:
            turns, side = turns + 1, np.sign(velocity)
        if velocity == 0.0 and abs(acceleration) <= jerk * dt_s * (1 + 1e-9):
            break
    assert velocity == 0.0
    assert turns <= 1


@given(st.floats(0, 3), JERK, st.floats(1e-3, 0.03))
def test_an_acceleration_that_is_let_go_of_ends_below_the_speed_limit(left: float, jerk: float, dt_s: float) -> None:
    acceleration = float(most_acceleration_below(one(left), one(jerk), dt_s)[0])
    gained = 0.0
    for _ in range(100_000):
        gained += acceleration * dt_s
        if acceleration == 0.0:
            break
        acceleration = max(acceleration - jerk * dt_s, 0.0)
    assert gained <= left * (1 + 1e-9) + 1e-12


@given(st.floats(-2, 2), SPEED, SHARE, ACCELERATION, JERK, st.floats(1e-3, 0.03))
def test_an_approach_is_as_near_to_its_place_as_the_bounds_allow(
    way: float, velocity: float, share: float, most: float, jerk: float, dt_s: float
) -> None:
    acceleration = share * most
    low, high = max(acceleration - jerk * dt_s, -most), min(acceleration + jerk * dt_s, most)
    chosen = approaching_acceleration(one(way), one(velocity), (one(low), one(high)), one(most), one(jerk), dt_s)[0]
    assert low - 1e-12 <= chosen <= high + 1e-12

    def end(tried: float) -> float:
        speed = velocity + tried * dt_s
        return float(stopping_place(one(speed * dt_s), one(speed), one(tried), one(most), one(jerk))[0])

    nearest = min(max(way, end(low)), end(high))
    assert end(chosen) == pytest.approx(nearest, abs=0.01 * (end(high) - end(low)) + 1e-12)
