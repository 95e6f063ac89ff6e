"""A gamepad in a person's hands -> where the arm shall be: axes and buttons are speeds of joints."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from arm_control.teleop.mapping import GamepadMapping
from learned_arm.robot import Robot

# A message that comes late moves the arm no further than one that comes in time.
_LONGEST_STEP_S = 0.1


class Gamepad:
    """Sums up speeds.

    Args:
        mapping: What moves what.
        robot: Its joint order and limits.
    """

    def __init__(self, mapping: GamepadMapping, robot: Robot) -> None:
        self._mapping, self._joints = mapping, robot.joints
        self._low, self._high = robot.limit("position_rad").T
        self._leash = robot.limit("step_from_measured_rad")

    def held(self, buttons: Sequence[int]) -> bool:
        """Whether the person wants the arm to move."""
        held = self._mapping.held_button
        return held < len(buttons) and bool(buttons[held])

    def speed_rad_s(self, axes: Sequence[float], buttons: Sequence[int]) -> NDArray[np.float64]:
        """What is asked for, shape (dof,); an axis or button that the gamepad lacks asks for nothing."""
        speed = np.zeros(len(self._joints))
        for each in self._mapping.axes:
            at = axes[each.number] if each.number < len(axes) else 0.0
            if np.isfinite(at) and abs(at) > self._mapping.deadzone:
                # From nothing at the deadzone's edge to all at the axis's end.
                share = (abs(at) - self._mapping.deadzone) / (1.0 - self._mapping.deadzone)
                speed[self._joints.index(each.joint)] += np.copysign(min(share, 1.0), at) * each.speed_rad_s
        for each in self._mapping.buttons:
            if each.number < len(buttons) and buttons[each.number]:
                speed[self._joints.index(each.joint)] += each.speed_rad_s
        return speed

    def target(
        self,
        before_rad: NDArray[np.float64],
        measured_rad: NDArray[np.float64],
        speed_rad_s: NDArray[np.float64],
        seconds: float,
    ) -> NDArray[np.float64]:
        """Where the arm shall be after so long, shape (dof,); inside its limits, and never far ahead of the arm.

        Args:
            before_rad: The target before.
            measured_rad: Where the arm is.
            speed_rad_s: What is asked for.
            seconds: Since the target before.
        """
        asked = before_rad + speed_rad_s * min(max(seconds, 0.0), _LONGEST_STEP_S)
        # An arm that is kept from moving must not catch up all at once later.
        near = np.clip(asked, measured_rad - self._leash, measured_rad + self._leash)
        return np.clip(near, self._low, self._high)
