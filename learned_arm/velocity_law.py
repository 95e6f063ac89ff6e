"""The safe stream of positions -> speeds for a controller that takes nothing else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from learned_arm.command_spec import VelocitySettings

Vector = NDArray[np.float64]


class VelocityLaw:
    """Speed of the stream, and towards its position a bounded correction.

    The stream keeps acceleration and position limits, so its speed alone brings the arm to rest in time. What the arm
    is off, by lag or drift, is made up for by the gain while somebody leads it. An arm that shall hold, or is not
    measured freshly, gets the speed of the stream and no more: at rest that is exactly zero.

    Args:
        velocity_rad_s: Largest speed of each joint.
        settings: Gain and bound of the correction.
    """

    def __init__(self, velocity_rad_s: Vector, settings: VelocitySettings) -> None:
        self._highest = np.array(velocity_rad_s, dtype=np.float64)
        self._gain = settings.gain_per_s
        self._bound = np.minimum(self._highest, settings.correction_rad_s)

    def command(self, speed_rad_s: Vector, sent_rad: Vector, measured_rad: Vector | None) -> Vector:
        """Speeds for one control period, rad/s, all of shape (joints,).

        Args:
            speed_rad_s: Speed of the safe stream.
            sent_rad: Its position.
            measured_rad: Measured position; None while the arm shall hold or what was measured is stale.

        Returns:
            Within the largest speed. Zero where there is no speed to follow: a number that is none stops every joint.
        """
        if not np.isfinite(speed_rad_s).all():
            return np.zeros_like(self._highest)
        speed = speed_rad_s
        if measured_rad is not None:
            error = sent_rad - measured_rad
            if np.isfinite(error).all():
                speed = speed + np.minimum(np.maximum(self._gain * error, -self._bound), self._bound)
        return np.minimum(np.maximum(speed, -self._highest), self._highest)
