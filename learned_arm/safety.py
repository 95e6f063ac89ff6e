"""Requested -> sent, with reasons: every command stays inside position, velocity and acceleration limits.

The filter keeps the last command and its velocity. Each step it computes, per joint, the interval of velocities that
keeps all limits *and from which braking still ends inside the position limits*, whatever the length of later steps. A
target inside that interval that can also be followed on passes unchanged; any other is approached as fast as the
limits allow without running past it.

A state from which braking cannot keep the limits any more is not viable: then every joint brakes as strongly as it may
and the step says `not_viable`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learned_arm.errors import LearnedArmError
from learned_arm.robot import Robot

Vector = NDArray[np.float64]
_ROUNDING = 1e-9
# What rounding may add to a braking distance or a speed, rad and rad/s.
_VIABLE_ROUNDING = 1e-6
# An encoder may read this much past a limit; an arm further outside needs a hand, not a command.
OUTSIDE_RAD = 0.02


@dataclass(frozen=True)
class SafeStep:
    """One filtered command.

    Attributes:
        sent_rad: Command in joint order, shape (dof,).
        clamps: Names of the limits that changed the target, empty when it passed unchanged.
    """

    sent_rad: Vector
    clamps: tuple[str, ...]


def braking_speed(gap_rad: Vector, acceleration: Vector, dt_s: float) -> Vector:
    """Largest speed for one step of dt such that braking afterwards ends within the gap, rad/s, elementwise.

    One step at v and then the braking distance: v dt + v^2 / (2 a) = gap, solved for v in the form without
    cancellation. Braking in steps is never longer than v^2 / (2 a), so it holds for later steps of any length.
    """
    gap = np.maximum(gap_rad, 0.0)
    per_step = acceleration * dt_s
    return 2.0 * acceleration * gap / (per_step + np.sqrt(per_step**2 + 2.0 * acceleration * gap))


class SafetyFilter:
    """Keeps the stream of commands inside the limits of a robot."""

    def __init__(self, robot: Robot) -> None:
        limits = robot.limit("position_rad")
        self.low, self.high = limits[:, 0], limits[:, 1]
        self.velocity = robot.limit("velocity_rad_s")
        self.acceleration = robot.limit("acceleration_rad_s2")
        self.step_from_measured = robot.limit("step_from_measured_rad")
        self.position_rad: Vector = np.zeros(robot.dof)
        self.velocity_rad_s: Vector = np.zeros(robot.dof)
        self._last_target: Vector | None = None

    def start(self, position_rad: Vector) -> None:
        """Begin at rest at a position, shape (dof,).

        Raises:
            LearnedArmError: It is not finite.
        """
        if not np.isfinite(position_rad).all():
            raise LearnedArmError("start not finite", got=np.asarray(position_rad).tolist(), allowed="finite positions")
        self.position_rad = np.array(position_rad, dtype=np.float64)
        self.velocity_rad_s = np.zeros_like(self.position_rad)
        self._last_target = None

    @property
    def not_viable(self) -> NDArray[np.bool_]:
        """Joints that braking along the limit would not stop inside their position limits, shape (dof,)."""
        ahead = np.where(self.velocity_rad_s > 0.0, self.high - self.position_rad, self.position_rad - self.low)
        braking = self.velocity_rad_s**2 / (2.0 * self.acceleration)
        return (
            ((self.velocity_rad_s != 0.0) & (braking > np.maximum(ahead, 0.0) + _VIABLE_ROUNDING))
            | (np.abs(self.velocity_rad_s) > self.velocity * (1.0 + _VIABLE_ROUNDING) + _VIABLE_ROUNDING)
            | self.outside(self.position_rad)
        )

    def outside(self, position_rad: Vector) -> NDArray[np.bool_]:
        """Joints that stand further outside their limits than an encoder errs, or nowhere, shape (dof,)."""
        return ~((position_rad >= self.low - OUTSIDE_RAD) & (position_rad <= self.high + OUTSIDE_RAD))

    @property
    def at_rest(self) -> bool:
        """Whether the last command did not move."""
        return not self.velocity_rad_s.any()

    def step(self, target_rad: Vector | None, measured_rad: Vector, dt_s: float) -> SafeStep:
        """The next command.

        Args:
            target_rad: Wanted position, shape (dof,), or None to brake along the limit and then keep.
            measured_rad: Measured position, shape (dof,).
            dt_s: Time since the last command; a step that is not positive and finite moves nothing.
        """
        if not (dt_s > 0.0 and math.isfinite(dt_s)):
            return SafeStep(self.position_rad.copy(), ("dt",))
        clamps: list[str] = []
        if self.not_viable.any():
            return self._brake(dt_s)
        if target_rad is not None and not (np.isfinite(target_rad).all() and np.isfinite(measured_rad).all()):
            clamps.append("not_finite")
            target_rad = None
        per_step = self.acceleration * dt_s
        slowest, fastest = self.velocity_rad_s - per_step, self.velocity_rad_s + per_step
        to_high = np.where(self.position_rad > self.high, 0.0, self._speed_to(self.high, dt_s))
        to_low = np.where(self.position_rad < self.low, 0.0, -self._speed_to(self.low, dt_s))
        # Acceleration ranks highest: where nothing else is left, the strongest braking is commanded.
        highest = np.maximum(np.minimum.reduce([fastest, self.velocity, to_high]), slowest)
        lowest = np.minimum(np.maximum.reduce([slowest, -self.velocity, to_low]), fastest)
        if target_rad is None:
            self._last_target = None
            velocity = np.clip(0.0, lowest, highest)
            return self._take(self.position_rad + velocity * dt_s, velocity, clamps)
        inside = np.clip(target_rad, self.low, self.high)
        if (inside != target_rad).any():
            clamps.append("position")
        near = np.clip(inside, measured_rad - self.step_from_measured, measured_rad + self.step_from_measured)
        if (near != inside).any():
            clamps.append("step_from_measured")
        wanted = (near - self.position_rad) / dt_s
        passes = (wanted <= highest + _ROUNDING) & (wanted >= lowest - _ROUNDING)
        # Catching up, the target is met only at a speed from which its own can be taken on in the next step.
        target_speed = wanted if self._last_target is None else (near - self._last_target) / dt_s
        passes &= np.abs(wanted - target_speed) <= per_step + _ROUNDING
        self._last_target = near
        if not passes.all():
            clamps.extend(self._reasons(wanted, slowest, fastest))
        toward = np.sign(wanted) * np.minimum(self._speed_to(near, dt_s), np.abs(wanted))
        velocity = np.where(passes, wanted, np.clip(toward, lowest, highest))
        position = np.where(passes, near, self.position_rad + velocity * dt_s)
        return self._take(position, velocity, clamps)

    def _brake(self, dt_s: float) -> SafeStep:
        self._last_target = None
        speed = np.maximum(np.abs(self.velocity_rad_s) - self.acceleration * dt_s, 0.0)
        velocity = np.copysign(speed, self.velocity_rad_s)
        self.position_rad, self.velocity_rad_s = self.position_rad + velocity * dt_s, velocity
        return SafeStep(self.position_rad.copy(), ("not_viable",))

    def _speed_to(self, place: Vector, dt_s: float) -> Vector:
        return braking_speed(np.abs(place - self.position_rad), self.acceleration, dt_s)

    def _reasons(self, wanted: Vector, slowest: Vector, fastest: Vector) -> list[str]:
        found = []
        if (np.abs(wanted) > self.velocity + _ROUNDING).any():
            found.append("velocity")
        if ((wanted > fastest + _ROUNDING) | (wanted < slowest - _ROUNDING)).any():
            found.append("acceleration")
        return found or ["braking"]

    def _take(self, position: Vector, velocity: Vector, clamps: list[str]) -> SafeStep:
        # The last bit of a sum may lie past a limit that the sum keeps.
        low, high = np.minimum(self.low, self.position_rad), np.maximum(self.high, self.position_rad)
        self.position_rad, self.velocity_rad_s = np.clip(position, low, high), velocity
        return SafeStep(self.position_rad.copy(), tuple(clamps))
