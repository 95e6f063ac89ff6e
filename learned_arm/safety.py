"""Requested -> sent, with reasons: every command stays inside position, velocity, acceleration and jerk limits.

The filter keeps the last command with its velocity and acceleration. Each step it computes, per joint, the interval of
velocities that keeps all limits *and from which braking still ends inside the position limits*, whatever the length of
later steps. A target inside that interval that can also be followed on passes unchanged; any other is approached as
fast as the limits allow without running past it. Room to move in comes before all: where clearance is watched, a step
whose own stop would end too close is not taken, and the arm brakes.

Limits rank: position, velocity and acceleration hold for every command. Jerk holds wherever they leave a choice; a step
in which they leave none says `jerk_exceeded`. A state from which braking cannot keep the limits any more is not viable:
then every joint brakes as strongly as it may and the step says `not_viable`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learned_arm.clearance import Clearance
from learned_arm.errors import LearnedArmError
from learned_arm.jerk import (
    approaching_acceleration,
    bounded,
    most_acceleration_below,
    slowing_acceleration,
    stopping_place,
)
from learned_arm.robot import Robot

Vector = NDArray[np.float64]
_ROUNDING = 1e-9
# What rounding may add to a braking distance or a speed, rad and rad/s.
_VIABLE_ROUNDING = 1e-6
_JERK_ROUNDING = 1.0 + 1e-6
# An encoder may read this much past a limit; an arm further outside needs a hand, not a command.
OUTSIDE_RAD = 0.02


@dataclass(frozen=True)
class SafeStep:
    """One filtered command.

    Attributes:
        sent_rad: Command in joint order, shape (dof,).
        clamps: Names of the limits that changed the target, empty when it passed unchanged.
        lost: Numbers of the joints that braking cannot keep inside their limits any more.
    """

    sent_rad: Vector
    clamps: tuple[str, ...]
    lost: tuple[int, ...] = ()


def braking_speed(gap_rad: Vector, acceleration: Vector, dt_s: float) -> Vector:
    """Largest speed for one step of dt such that braking afterwards ends within the gap, rad/s, elementwise.

    One step at v and then the braking distance: v dt + v^2 / (2 a) = gap, solved for v in the form without
    cancellation. Braking in steps is never longer than v^2 / (2 a), so it holds for later steps of any length.
    """
    gap = np.maximum(gap_rad, 0.0)
    per_step = acceleration * dt_s
    return 2.0 * acceleration * gap / (per_step + np.sqrt(per_step**2 + 2.0 * acceleration * gap))


@dataclass(frozen=True)
class _Window:
    """What the next step may be, each of shape (dof,).

    Attributes:
        dt_s: Length of the step.
        slowest, fastest: Velocities that the acceleration limit allows.
        lowest, highest: Velocities that keep every limit but jerk and leave a way to brake, else the strongest braking.
    """

    dt_s: float
    slowest: Vector
    fastest: Vector
    lowest: Vector
    highest: Vector


class SafetyFilter:
    """Keeps the stream of commands inside the limits of a robot.

    Attributes:
        low, high: Ends of the position range, margins taken off, shape (dof,).
        velocity, acceleration, jerk, step_from_measured: The other limits, shape (dof,).
        position_rad: The last command, shape (dof,).
        velocity_rad_s, acceleration_rad_s2: How it moved there.
    """

    def __init__(self, robot: Robot) -> None:
        limits, margin = robot.limit("position_rad"), robot.limit("position_margin_rad")
        self.low, self.high = limits[:, 0] + margin, limits[:, 1] - margin
        self.velocity = robot.limit("velocity_rad_s")
        self.acceleration = robot.limit("acceleration_rad_s2")
        self.jerk = robot.limit("jerk_rad_s3")
        self.step_from_measured = robot.limit("step_from_measured_rad")
        self._clearance = None
        self._errs = OUTSIDE_RAD * robot.per_rad
        if robot.clearance is not None and robot.kinematics is not None:
            self._clearance = Clearance(robot.clearance, robot.kinematics, robot.joints)
            moving = [joint.name for joint in robot.kinematics.joints]
            self._placing = np.array([joint in moving for joint in robot.joints])
        self._rest(np.zeros(robot.dof))

    def start(self, position_rad: Vector) -> None:
        """Begin at rest at a position, shape (dof,).

        Raises:
            LearnedArmError: It is not finite.
        """
        if not np.isfinite(position_rad).all():
            raise LearnedArmError("start not finite", got=np.asarray(position_rad).tolist(), allowed="finite positions")
        self._rest(np.array(position_rad, dtype=np.float64))

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
        return ~((position_rad >= self.low - self._errs) & (position_rad <= self.high + self._errs))

    @property
    def at_rest(self) -> bool:
        """Whether the last command did not move."""
        return not self.velocity_rad_s.any()

    def step(self, target_rad: Vector | None, measured_rad: Vector, dt_s: float) -> SafeStep:
        """The next command.

        Args:
            target_rad: Wanted position, shape (dof,), or None to brake along the limits and then keep.
            measured_rad: Measured position, shape (dof,).
            dt_s: Time since the last command; a step that is not positive and finite moves nothing.
        """
        if not (dt_s > 0.0 and math.isfinite(dt_s)):
            return SafeStep(self.position_rad.copy(), ("dt",))
        not_viable = self.not_viable
        if not_viable.any():
            return self._brake(dt_s, not_viable)
        clamps: list[str] = []
        if target_rad is not None and not (np.isfinite(target_rad).all() and np.isfinite(measured_rad).all()):
            clamps.append("not_finite")
            target_rad = None
        window = self._window(dt_s)
        if target_rad is None:
            self._last_target = None
            return self._take(window, *self._slowed(window), clamps)
        near = self._within_reach(target_rad, measured_rad, clamps)
        position, velocity, stop = self._followed(window, near, clamps)
        too_close = self._too_close(position, velocity, stop, dt_s)
        if too_close:
            clamps.extend(too_close)
            # Joints that place no part of the arm go on: fingers close also where the arm may not go further.
            braked, slower = self._slowed(window)
            position, velocity = np.where(self._placing, braked, position), np.where(self._placing, slower, velocity)
        self._last_target = near
        return self._take(window, position, velocity, clamps)

    def _rest(self, position_rad: Vector) -> None:
        self.position_rad = position_rad
        self.velocity_rad_s = np.zeros_like(position_rad)
        self.acceleration_rad_s2 = np.zeros_like(position_rad)
        self._last_target: Vector | None = None

    def _window(self, dt_s: float) -> _Window:
        per_step = self.acceleration * dt_s
        slowest, fastest = self.velocity_rad_s - per_step, self.velocity_rad_s + per_step
        to_high = np.where(self.position_rad > self.high, 0.0, self._speed_to(self.high, dt_s))
        to_low = np.where(self.position_rad < self.low, 0.0, -self._speed_to(self.low, dt_s))
        # Acceleration ranks highest: where nothing else is left, the strongest braking is commanded.
        highest = np.maximum(np.minimum.reduce([fastest, self.velocity, to_high]), slowest)
        lowest = np.minimum(np.maximum.reduce([slowest, -self.velocity, to_low]), fastest)
        return _Window(dt_s, slowest, fastest, lowest, highest)

    def _within_reach(self, target_rad: Vector, measured_rad: Vector, clamps: list[str]) -> Vector:
        """The target inside the position limits and near the measured position."""
        inside = bounded(target_rad, self.low, self.high)
        if (inside != target_rad).any():
            clamps.append("position")
        near = bounded(inside, measured_rad - self.step_from_measured, measured_rad + self.step_from_measured)
        if (near != inside).any():
            clamps.append("step_from_measured")
        return near

    def _followed(self, window: _Window, near: Vector, clamps: list[str]) -> tuple[Vector, Vector, Vector | None]:
        """Position and velocity of the step that follows a target: equal to it, or on the way to it.

        Where that had to be known, also the place at which the fastest stop behind it ends.
        """
        dt_s = window.dt_s
        wanted = (near - self.position_rad) / dt_s
        # How fast the target itself moves. Catching up, it is met only at a speed from which its own can be taken on in
        # the next step.
        moves = wanted if self._last_target is None else (near - self._last_target) / dt_s
        closing = wanted - moves
        passes = (wanted <= window.highest + _ROUNDING) & (wanted >= window.lowest - _ROUNDING)
        passes &= np.abs(closing) <= self.acceleration * dt_s + _ROUNDING
        soft = self._jerk_binds(dt_s)
        stop = None
        if (passes & soft).any():
            acceleration = (wanted - self.velocity_rad_s) / dt_s
            stop = stopping_place(near, wanted, acceleration, self.acceleration, self.jerk)
            passes &= ~soft | self._keeps_jerk(wanted, closing, acceleration, stop, dt_s)
        if passes.all():
            return near, wanted, stop
        clamps.extend(self._reasons(window, wanted))
        # Approached in the frame that moves along with it, so that a target that goes on is caught and not trailed.
        along = np.zeros_like(near) if self._last_target is None else bounded(moves, -self.velocity, self.velocity)
        way = near - along * dt_s - self.position_rad
        closing = np.minimum(braking_speed(np.abs(way), self.acceleration, dt_s), np.abs(way) / dt_s)
        toward = along + np.sign(way) * closing
        if soft.any():
            toward = np.where(soft, self._softly_toward(way, along, dt_s), toward)
        velocity = np.where(passes, wanted, bounded(toward, window.lowest, window.highest))
        return np.where(passes, near, self.position_rad + velocity * dt_s), velocity, None

    def _softly_toward(self, way: Vector, along: Vector, dt_s: float) -> Vector:
        """Velocity that approaches a place moving along, and from which jerk still stops inside the position limits."""
        bounds = self._soft_bounds(dt_s)

        def approach(way: Vector, velocity: Vector) -> Vector:
            return approaching_acceleration(way, velocity, bounds, self.acceleration, self.jerk, dt_s)

        acceleration = approach(way, self.velocity_rad_s - along)
        velocity = self.velocity_rad_s + acceleration * dt_s
        after = self.position_rad + velocity * dt_s
        stop = stopping_place(after, velocity, acceleration, self.acceleration, self.jerk)
        inside = bounded(stop, self.low, self.high)
        if (stop != inside).any():
            held = approach(inside - self.position_rad, self.velocity_rad_s)
            velocity = np.where(stop == inside, velocity, self.velocity_rad_s + held * dt_s)
        return velocity

    def _slowed(self, window: _Window) -> tuple[Vector, Vector]:
        """Position and velocity of the step that brakes along the limits."""
        velocity = np.zeros_like(self.position_rad)
        soft = self._jerk_binds(window.dt_s)
        if soft.any():
            acceleration = slowing_acceleration(self.velocity_rad_s, self.acceleration_rad_s2, self.jerk, window.dt_s)
            softest, hardest = self._jerk_bounds(window.dt_s)
            velocity = np.where(soft, self.velocity_rad_s + bounded(acceleration, softest, hardest) * window.dt_s, 0.0)
        velocity = bounded(velocity, window.lowest, window.highest)
        return self.position_rad + velocity * window.dt_s, velocity

    def _jerk_binds(self, dt_s: float) -> NDArray[np.bool_]:
        """Joints whose jerk limit forbids a change of acceleration that its own limit allows within a step."""
        return self.jerk * dt_s < 2.0 * self.acceleration

    def _jerk_bounds(self, dt_s: float) -> tuple[Vector, Vector]:
        """Accelerations that jerk allows for the step."""
        per_step = self.jerk * dt_s
        softest = np.minimum(np.maximum(self.acceleration_rad_s2 - per_step, -self.acceleration), self.acceleration)
        hardest = np.maximum(np.minimum(self.acceleration_rad_s2 + per_step, self.acceleration), -self.acceleration)
        return softest, hardest

    def _soft_bounds(self, dt_s: float) -> tuple[Vector, Vector]:
        """Of those, the accelerations that jerk can let go of before the velocity limit."""
        softest, hardest = self._jerk_bounds(dt_s)
        up = most_acceleration_below(self.velocity - self.velocity_rad_s, self.jerk, dt_s)
        down = most_acceleration_below(self.velocity + self.velocity_rad_s, self.jerk, dt_s)
        return np.minimum(np.maximum(softest, -down), hardest), np.maximum(np.minimum(hardest, up), softest)

    def _keeps_jerk(
        self, wanted: Vector, closing: Vector, acceleration: Vector, stop: Vector, dt_s: float
    ) -> NDArray[np.bool_]:
        """Joints that may take on a wanted velocity: now, and on to the target's own and to a stop."""
        change = self.jerk * dt_s * dt_s + _ROUNDING
        good = np.abs(wanted - self.velocity_rad_s - self.acceleration_rad_s2 * dt_s) <= change
        # Off the target's track two steps remain: one that takes on its speed, one that lets go of that acceleration.
        good &= (np.abs(closing) <= _ROUNDING) | (
            (np.abs(closing) <= change) & (np.abs(closing + acceleration * dt_s) <= change)
        )
        softest, hardest = self._soft_bounds(dt_s)
        good &= (wanted <= self.velocity_rad_s + hardest * dt_s + _ROUNDING) | (acceleration <= 0.0)
        good &= (wanted >= self.velocity_rad_s + softest * dt_s - _ROUNDING) | (acceleration >= 0.0)
        return good & (stop <= self.high + _ROUNDING) & (stop >= self.low - _ROUNDING)

    def _too_close(self, position: Vector, velocity: Vector, stop: Vector | None, dt_s: float) -> tuple[str, ...]:
        """Kinds of clearance that a step and the stop behind it would lose."""
        if self._clearance is None or not velocity.any():
            return ()
        if stop is None:
            acceleration = (velocity - self.velocity_rad_s) / dt_s
            stop = stopping_place(position, velocity, acceleration, self.acceleration, self.jerk)
        return self._clearance.lost(_way_between(position, stop), self._way_to_stop)

    def _way_to_stop(self) -> NDArray[np.float64]:
        """Configurations that the fastest stop from here passes."""
        return _way_between(
            self.position_rad,
            stopping_place(
                self.position_rad, self.velocity_rad_s, self.acceleration_rad_s2, self.acceleration, self.jerk
            ),
        )

    def _brake(self, dt_s: float, not_viable: NDArray[np.bool_]) -> SafeStep:
        speed = np.maximum(np.abs(self.velocity_rad_s) - self.acceleration * dt_s, 0.0)
        velocity = np.copysign(speed, self.velocity_rad_s)
        self.acceleration_rad_s2 = (velocity - self.velocity_rad_s) / dt_s
        self.position_rad, self.velocity_rad_s = self.position_rad + velocity * dt_s, velocity
        self._last_target = None
        return SafeStep(self.position_rad.copy(), ("not_viable",), tuple(np.flatnonzero(not_viable).tolist()))

    def _speed_to(self, place: Vector, dt_s: float) -> Vector:
        return braking_speed(np.abs(place - self.position_rad), self.acceleration, dt_s)

    def _reasons(self, window: _Window, wanted: Vector) -> list[str]:
        found = []
        if (np.abs(wanted) > self.velocity + _ROUNDING).any():
            found.append("velocity")
        if ((wanted > window.fastest + _ROUNDING) | (wanted < window.slowest - _ROUNDING)).any():
            found.append("acceleration")
        change = np.abs(wanted - self.velocity_rad_s - self.acceleration_rad_s2 * window.dt_s)
        if not found and (change > self.jerk * window.dt_s**2 + _ROUNDING).any():
            found.append("jerk")
        return found or ["braking"]

    def _take(self, window: _Window, position: Vector, velocity: Vector, clamps: list[str]) -> SafeStep:
        acceleration = (velocity - self.velocity_rad_s) / window.dt_s
        change = np.abs(acceleration - self.acceleration_rad_s2)
        if (change > self.jerk * window.dt_s * _JERK_ROUNDING + _ROUNDING / window.dt_s).any():
            clamps.append("jerk_exceeded")
        # The last bit of a sum may lie past a limit that the sum keeps.
        low, high = np.minimum(self.low, self.position_rad), np.maximum(self.high, self.position_rad)
        self.position_rad, self.velocity_rad_s = bounded(position, low, high), velocity
        self.acceleration_rad_s2 = acceleration
        return SafeStep(self.position_rad.copy(), tuple(clamps))


def _way_between(position: Vector, stop: Vector) -> NDArray[np.float64]:
    """Three configurations, the ends and the middle, shape (3, dof)."""
    return np.array([position, (position + stop) / 2.0, stop])
