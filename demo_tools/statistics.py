"""How sure a success rate is."""

from __future__ import annotations

from typing import Literal

from scipy.stats import binomtest

from learned_arm.errors import LearnedArmError


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a proportion (Wilson 1927).

    Args:
        successes: Between 0 and `trials`.
        trials: Independent trials; without any, nothing is known and the interval is (0, 1).
        confidence: Between 0 and 1.

    Raises:
        LearnedArmError: The counts or the confidence make no sense.
    """
    return _interval(successes, trials, confidence, "wilson")


def clopper_pearson_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact interval of a proportion (Clopper and Pearson 1934): never covers less than it says.

    Args:
        successes: Between 0 and `trials`.
        trials: Independent trials; without any, nothing is known and the interval is (0, 1).
        confidence: Between 0 and 1.

    Raises:
        LearnedArmError: The counts or the confidence make no sense.
    """
    return _interval(successes, trials, confidence, "exact")


def _interval(
    successes: int, trials: int, confidence: float, method: Literal["wilson", "exact"]
) -> tuple[float, float]:
    if not 0 <= successes <= trials:
        raise LearnedArmError("successes do not fit trials", got=successes, allowed=f"[0, {trials}]")
    if not 0 < confidence < 1:
        raise LearnedArmError("confidence out of range", got=confidence, allowed="(0, 1)")
    if trials == 0:
        return 0.0, 1.0
    interval = binomtest(successes, trials).proportion_ci(confidence, method=method)
    return float(interval.low), float(interval.high)
