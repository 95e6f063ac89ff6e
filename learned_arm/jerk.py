"""Motion of one joint under limits of acceleration and jerk: where it stops, and how to come to rest at a place.

All functions work elementwise on arrays of joints. A state is position, velocity and acceleration; a step of `dt` takes
on a new acceleration `a`, then velocity `v + a dt`, then position `p + v dt`, as the safety filter counts its commands.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
# Accelerations that are tried for one step; between the two nearest it is interpolated.
_TRIED = 33
_SHARES = np.linspace(0.0, 1.0, _TRIED)[:, None]


def bounded(value: Vector, low: Vector | float, high: Vector | float) -> Vector:
    """The value, or the bound that it lies past; `numpy.clip` spends more on its call than on seven joints."""
    return np.minimum(np.maximum(value, low), high)


def stopping_place(
    position_rad: Vector, velocity: Vector, acceleration: Vector, most_acceleration: Vector, most_jerk: Vector
) -> Vector:
    """Where the fastest stop from a state comes to rest, rad.

    The fastest stop lets acceleration fall at the largest jerk to `-peak`, keeps it there where that is the limit, and
    lets it rise so that it is zero when velocity is: the time-optimal profile under both limits. It is mirrored where
    velocity would become negative if acceleration were only let go.
    """
    coasting = velocity + acceleration * np.abs(acceleration) / (2.0 * most_jerk)
    side = np.copysign(1.0, coasting)
    v, a = velocity * side, acceleration * side
    peak = np.minimum(np.sqrt(np.maximum(0.5 * a * a + most_jerk * v, 0.0)), most_acceleration)
    falls_s = (a + peak) / most_jerk
    way = falls_s * (v + falls_s * (0.5 * a - falls_s * most_jerk / 6.0))
    fastest = v + 0.5 * falls_s * (a - peak)
    slowest = 0.5 * peak * peak / most_jerk
    # Between the two the acceleration is the limit's; zero seconds where the limit is not reached.
    kept_s = np.maximum(fastest - slowest, 0.0) / np.maximum(peak, 1e-300)
    way += kept_s * (fastest - 0.5 * peak * kept_s) + peak * slowest / (3.0 * most_jerk)
    return position_rad + side * way


def slowing_acceleration(velocity: Vector, acceleration: Vector, most_jerk: Vector, dt_s: float) -> Vector:
    """Acceleration of the next step of the fastest stop: then letting go of it leaves no velocity, rad/s^2.

    It solves v + a dt + a |a| / (2 j) = 0, so that the step ends on the curve along which jerk brings both to zero. The
    caller bounds it to what jerk and acceleration allow in one step.
    """
    per_step = most_jerk * dt_s
    size = np.sqrt(per_step * per_step + 2.0 * most_jerk * np.abs(velocity)) - per_step
    # A speed that one step can end, from an acceleration that one more step can, needs no curve.
    lands = (np.abs(velocity) <= per_step * dt_s) & (np.abs(velocity / dt_s + acceleration) <= per_step)
    return np.where(lands, -velocity / dt_s, -np.sign(velocity) * size)


def most_acceleration_below(speed_left: Vector, most_jerk: Vector, dt_s: float) -> Vector:
    """Largest acceleration of the next step after which jerk can let go of it before the speed limit, rad/s^2.

    Args:
        speed_left: What is left to the limit, rad/s, not negative.
    """
    per_step = most_jerk * dt_s
    return np.sqrt(per_step * per_step + 2.0 * most_jerk * np.maximum(speed_left, 0.0)) - per_step


def approaching_acceleration(
    way_rad: Vector,
    velocity: Vector,
    bounds: tuple[Vector, Vector],
    most_acceleration: Vector,
    most_jerk: Vector,
    dt_s: float,
) -> Vector:
    """Acceleration of the next step, within bounds, from which the fastest stop ends at a place or nearest to it.

    Args:
        way_rad: From here to the place.
        velocity: Now.
        bounds: Smallest and largest acceleration that the step may take.
    """
    low, high = bounds
    tried = low + (high - low) * _SHARES
    speed = velocity + tried * dt_s
    ends = stopping_place(speed * dt_s, speed, tried, most_acceleration, most_jerk)
    # The stop lies further ahead the larger the acceleration: find the two between which the place lies.
    above = np.minimum(np.maximum((ends < way_rad).sum(axis=0), 1), _TRIED - 1)
    joints = np.arange(len(way_rad))
    before, after = ends[above - 1, joints], ends[above, joints]
    gap = after - before
    share = np.where(gap > 0.0, (way_rad - before) / np.where(gap > 0.0, gap, 1.0), 0.0)
    lower, upper = tried[above - 1, joints], tried[above, joints]
    return lower + bounded(share, 0.0, 1.0) * (upper - lower)
