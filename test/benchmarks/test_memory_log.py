"""Growth is what rounds that are alike differ by: emptied buffers hide none and feign none."""

from __future__ import annotations

import os

import numpy as np
import pytest

from benchmarks.faults.held import in_use_bytes
from benchmarks.faults.memory import MemoryLog, own_bytes
from learned_arm.errors import LearnedArmError


def grown(samples: np.ndarray, warm_up_s: float = 20.0, round_s: int = 20) -> float:
    log = MemoryLog({})
    log._seconds = [float(second) for second in range(len(samples))]
    for second in range(0, len(samples) + 1, round_s):
        log.begin_round(float(second))
    log._bytes = {"x": [int(each) for each in samples]}
    return log.growth_bytes("x", warm_up_s)


def test_a_leak_shows_and_the_warm_up_does_not() -> None:
    seconds = np.arange(120)
    assert grown(np.minimum(seconds, 20) * 1e6) == pytest.approx(0.0, abs=1.0)
    assert grown(seconds * 1e5) == pytest.approx(99 * 1e5, rel=0.02)


@pytest.mark.parametrize("leak", [0.0, 1e5])
def test_a_buffer_that_is_emptied_now_and_then_is_no_growth_and_hides_none(leak: float) -> None:
    seconds = np.arange(2400)
    full = np.where(seconds % 130 < 30, 90e6, 160e6) + np.random.default_rng(0).normal(0, 2e6, len(seconds))
    assert grown(full + leak * seconds / 20, 480, 400) == pytest.approx(96 * leak, abs=0.6e6)


def test_too_few_rounds_are_no_proof() -> None:
    with pytest.raises(LearnedArmError, match="too short to see growth; got 1 whole rounds"):
        grown(np.zeros(50))


def test_it_sees_what_this_process_takes() -> None:
    before = own_bytes(os.getpid())
    taken = np.ones(20_000_000, np.uint8)
    assert 15e6 < own_bytes(os.getpid()) - before < 40e6
    assert taken.all()


def test_what_is_in_use_is_counted_and_what_is_free_is_not() -> None:
    before = in_use_bytes()
    taken = [bytes(100_000) for _ in range(100)]
    assert in_use_bytes() - before == pytest.approx(10e6, rel=0.05)
    del taken
    assert in_use_bytes() - before < 0.5e6
