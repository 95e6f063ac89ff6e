"""The windowed rule of idleness: noise is no motion, a slow motion is one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learned_arm.motion import WINDOW_NS, IdleWatch, thresholds_rad_s

LIMITS = np.array([[-3.0, 3.0]] * 6 + [[0.0, 0.04]])
THRESHOLDS = thresholds_rad_s(LIMITS)
RATE_HZ = 15


def stamps(seconds: float) -> np.ndarray:
    return np.arange(round(seconds * RATE_HZ)) * (10**9 // RATE_HZ)


def resting(seconds: float, seed: int = 0) -> np.ndarray:
    """A 7-joint arm at rest, measured with 0.2 mrad of noise (a thousandth of that at the gripper's 40 mm)."""
    noise = np.array([2e-4] * 6 + [2e-6])
    return np.random.default_rng(seed).normal(0.0, noise, (round(seconds * RATE_HZ), 7))


def reach(seconds: float) -> np.ndarray:
    """A minimum-jerk move of one radian."""
    s = np.linspace(0.0, 1.0, round(seconds * RATE_HZ))
    path = np.zeros((len(s), 7))
    path[:, 1] = 10 * s**3 - 15 * s**4 + 6 * s**5
    return path


def longest_idle_s(path: np.ndarray) -> float:
    """Longest time that a watch called idle, fed with a whole motion."""
    watch, longest_ns = IdleWatch(THRESHOLDS), 0
    for stamp_ns, position in zip(stamps(len(path) / RATE_HZ).tolist(), path, strict=True):
        watch.add(stamp_ns, position)
        longest_ns = max(longest_ns, watch.idle_ns)
    return longest_ns / 1e9


def test_five_minutes_of_nothing_are_idle_and_a_reach_is_not() -> None:
    assert longest_idle_s(resting(300)) == pytest.approx(300, abs=0.1)
    assert longest_idle_s(resting(8) + reach(8)) < 1.0


def test_a_reach_after_a_long_rest_ends_it() -> None:
    path = resting(300)
    path[-8 * RATE_HZ :] += reach(8)
    assert longest_idle_s(path) == pytest.approx(292, abs=1.0)


def test_a_joint_that_creeps_is_motion() -> None:
    path = resting(20)
    path[:, 3] += np.linspace(0.0, 20 * 0.012, len(path))
    assert longest_idle_s(path) < 1.0


def test_a_gripper_that_closes_is_motion() -> None:
    path = resting(4)
    path[30:, 6] = 0.02
    watch = IdleWatch(THRESHOLDS)
    seen = []
    for stamp_ns, position in zip(stamps(4).tolist(), path, strict=True):
        watch.add(stamp_ns, position)
        seen.append(watch.idle_ns)
    assert seen[29] > 10**9 and seen[30] == 0


@given(st.integers(1, 100), st.integers(1, 1000))
def test_the_newest_idle_time_never_exceeds_what_was_seen(count: int, step_ms: int) -> None:
    watch = IdleWatch(THRESHOLDS)
    for index in range(count):
        watch.add(index * step_ms * 10**6, np.zeros(7))
        seen_ns = index * step_ms * 10**6
        assert watch.idle_ns == (seen_ns if seen_ns >= WINDOW_NS else 0)


def test_a_clock_that_was_set_begins_anew() -> None:
    watch = IdleWatch(THRESHOLDS)
    for stamp_ns in (0, 10**9, 2 * 10**9):
        watch.add(stamp_ns, np.zeros(7))
    assert watch.idle_ns == 2 * 10**9
    watch.add(10**9, np.zeros(7))
    assert watch.idle_ns == 0
