"""The safe stream of positions -> speeds for a controller that takes nothing else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from learned_arm.command_spec import VelocitySettings
from learned_arm.commander import Command
from learned_arm.jerk import bounded

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

    def follow(self, command: Command, places: NDArray[np.intp]) -> Vector:
        """Speeds for what a control tick gave, rad/s, shape (joints,).

        Args:
            command: With what is sent.
            places: Where the controller's joints stand in the robot's order.
        """
        assert command.sent_rad is not None
        # Without a request the arm shall hold.
        measured = command.measured_rad if command.requested_rad is not None else None
        speed = np.zeros(len(places)) if command.speed_rad_s is None else command.speed_rad_s[places]
        return self.command(speed, command.sent_rad[places], None if measured is None else measured[places])

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
                speed = speed + bounded(self._gain * error, -self._bound, self._bound)
        return bounded(speed, -self._highest, self._highest)
