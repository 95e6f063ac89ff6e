"""The Wilson interval: its closed form, its symmetry, and counts that make no sense."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo_tools.statistics import wilson_interval
from learned_arm.errors import LearnedArmError

Z_95 = 1.959963984540054


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_is_the_closed_form(counts: tuple[int, int]) -> None:
    k, n = counts
    centre = (k + Z_95**2 / 2) / (n + Z_95**2)
    half = Z_95 / (n + Z_95**2) * math.sqrt(k * (n - k) / n + Z_95**2 / 4)
    low, high = wilson_interval(k, n)
    assert low == pytest.approx(max(centre - half, 0.0), abs=1e-9)
    assert high == pytest.approx(min(centre + half, 1.0), abs=1e-9)


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_holds_the_rate_and_mirrors(counts: tuple[int, int]) -> None:
    k, n = counts
    low, high = wilson_interval(k, n)
    assert 0.0 <= low <= k / n + 1e-12 and k / n - 1e-12 <= high <= 1.0
    mirrored = wilson_interval(n - k, n)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_more_trials_are_surer() -> None:
    widths = [high - low for low, high in (wilson_interval(9 * n, 10 * n) for n in (1, 4, 16, 64))]
    assert widths == sorted(widths, reverse=True)


def test_no_trial_tells_nothing() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("counts", [(-1, 5), (6, 5), (1, 0)])
def test_impossible_counts(counts: tuple[int, int]) -> None:
    with pytest.raises(LearnedArmError, match="successes do not fit trials"):
        wilson_interval(*counts)


@pytest.mark.parametrize("confidence", [0.0, 1.0, -0.5, math.nan])
def test_impossible_confidence(confidence: float) -> None:
    with pytest.raises(LearnedArmError, match="confidence out of range"):
        wilson_interval(1, 2, confidence)
