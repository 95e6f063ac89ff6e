"""Whether an arm does anything: the windowed rule of idleness.

An arm is idle at t when no joint moved faster, in the mean over the half second before, than its threshold:
max_j |q_j(t) - q_j(t - 0.5 s)| / 0.5 s < 0.01 rad/s. A rule on single steps finds nothing: at 500 Hz the noise of an
encoder alone (0.2 mrad) is a hundred times as fast.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

WINDOW_NS = 500_000_000
LEAST_SPEED_RAD_S = 0.01
# A gripper has moved when it changed by this share of its range; so has a joint that is measured in metres.
_LEAST_SHARE = 0.01
_WINDOW_S = WINDOW_NS / 1e9


def thresholds_rad_s(position_limits_rad: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean speed over the window below which a joint stands still.

    Args:
        position_limits_rad: Shape (dof, 2).

    Returns:
        Shape (dof,), rad/s.
    """
    share = _LEAST_SHARE * (position_limits_rad[:, 1] - position_limits_rad[:, 0]) / _WINDOW_S
    return np.minimum(LEAST_SPEED_RAD_S, share)


class IdleWatch:
    """Follows a motion sample by sample.

    Args:
        thresholds: See `thresholds_rad_s`, shape (dof,).
    """

    def __init__(self, thresholds: NDArray[np.float64]) -> None:
        self._largest_rad = thresholds * _WINDOW_S
        self._window: deque[tuple[int, NDArray[np.float64]]] = deque()
        self._since_ns: int | None = None
        self._newest_ns = 0

    @property
    def idle_ns(self) -> int:
        """How long the arm has been idle up to the newest sample; 0 while it moves, or less than a window is known."""
        return 0 if self._since_ns is None else self._newest_ns - self._since_ns

    def add(self, stamp_ns: int, position_rad: NDArray[np.float64]) -> None:
        """Take a sample, shape (dof,); one that is not newer than the last begins anew (a clock that was set)."""
        window = self._window
        if window and stamp_ns <= self._newest_ns:
            self.clear()
        self._newest_ns = stamp_ns
        window.append((stamp_ns, position_rad))
        while len(window) > 1 and window[1][0] <= stamp_ns - WINDOW_NS:
            window.popleft()
        first_ns, first = window[0]
        if stamp_ns - first_ns < WINDOW_NS:
            return
        if (np.abs(position_rad - first) >= self._largest_rad).any():
            self._since_ns = None
        elif self._since_ns is None:
            self._since_ns = first_ns

    def clear(self) -> None:
        """Begin anew."""
        self._window.clear()
        self._since_ns = None
