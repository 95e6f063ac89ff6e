"""Replayed against recorded motion: per-joint error and the first divergence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIVERGENCE_RAD = 0.05


def tracking_report(
    joints: Sequence[str],
    recorded_rad: NDArray[np.float64],
    replayed_rad: NDArray[np.float64],
    threshold_rad: float = DIVERGENCE_RAD,
) -> dict[str, Any]:
    """Compare measured positions tick by tick.

    Args:
        joints: Names, joint order.
        recorded_rad: Shape (N, dof).
        replayed_rad: Shape (M, dof), M <= N: as far as the replay came.
        threshold_rad: Error from which a joint counts as diverged.

    Returns:
        `joints` with `rms_rad` and `max_rad` each, `first_divergence` (tick index, joint, error) or None.
    """
    count = len(replayed_rad)
    error = np.abs(replayed_rad - recorded_rad[:count])
    per_joint = {
        joint: {"rms_rad": float(np.sqrt((error[:, i] ** 2).mean())), "max_rad": float(error[:, i].max())}
        for i, joint in enumerate(joints)
        if count
    }
    diverged = np.argwhere(error > threshold_rad)
    first = None
    if len(diverged):
        tick, joint = (int(each) for each in diverged[0])
        first = {"tick_index": tick, "joint": joints[joint], "error_rad": float(error[tick, joint])}
    return {"joints": per_joint, "first_divergence": first, "threshold_rad": threshold_rad, "ticks": count}


def lateness_report(late_ns: Sequence[int]) -> dict[str, float]:
    """Median, 99th percentile and maximum of how late ticks were played, in milliseconds."""
    if not late_ns:
        return {"p50_ms": 0.0, "p99_ms": 0.0, "max_ms": 0.0}
    late_ms = np.asarray(late_ns) / 1e6
    p50, p99 = np.percentile(late_ms, [50, 99])
    return {"p50_ms": float(p50), "p99_ms": float(p99), "max_ms": float(late_ms.max())}
