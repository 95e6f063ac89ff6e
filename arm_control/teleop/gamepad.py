"""A gamepad in a person's hands -> where the arm shall be: axes and buttons are speeds of joints, or of the tool."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from arm_control.teleop.mapping import DIRECTIONS, GamepadMapping, ToolControl
from arm_control.teleop.tool import ToolMotion
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
        self._pressed: set[int] = set()
        self._tool: ToolMotion | None = None
        if mapping.tool is not None and robot.kinematics is not None:
            limits = robot.limit("position_rad"), robot.limit("velocity_rad_s")
            self._tool = ToolMotion(robot.kinematics, robot.joints, mapping.tool.link, *limits)

    def held(self, buttons: Sequence[int]) -> bool:
        """Take a message's buttons; whether the person wants the arm to move."""
        if not self._mapping.button_events:
            self._pressed = {number for number, value in enumerate(buttons) if value}
        elif len(buttons) and buttons[-1]:
            self._pressed.add(len(buttons) - 1)
        elif len(buttons):
            self._pressed.discard(len(buttons) - 1)
        return self._mapping.held_button in self._pressed

    def forget(self) -> None:
        """It fell silent: nothing is pressed until it says so."""
        self._pressed = set()

    def speed_rad_s(self, axes: Sequence[float], position_rad: NDArray[np.float64]) -> NDArray[np.float64]:
        """What axes and pressed buttons ask for, shape (dof,); one that the gamepad lacks asks for nothing.

        Args:
            axes: As the gamepad tells them.
            position_rad: Where the arm is, shape (dof,): what moves its tool depends on it.
        """
        speed, twist = np.zeros(len(self._joints)), np.zeros(len(DIRECTIONS))
        shares = [(each, self._share(axes, each.number)) for each in self._mapping.axes]
        pressed = [each for each in self._mapping.buttons if each.number in self._pressed]
        for each, share in [*shares, *((button, 1.0) for button in pressed)]:
            if isinstance(each, ToolControl):
                twist[DIRECTIONS.index(each.direction)] += share * each.speed
            else:
                speed[self._joints.index(each.joint)] += share * each.speed_rad_s
        if self._tool is not None and self._mapping.tool is not None and twist.any():
            speed += self._tool.speeds(position_rad, twist, self._mapping.tool.frame)
        return speed

    def _share(self, axes: Sequence[float], number: int) -> float:
        """From nothing at the deadzone's edge to all at the axis's end."""
        at = axes[number] if number < len(axes) else 0.0
        if not np.isfinite(at) or abs(at) <= self._mapping.deadzone:
            return 0.0
        return float(np.copysign(min((abs(at) - self._mapping.deadzone) / (1.0 - self._mapping.deadzone), 1.0), at))

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
