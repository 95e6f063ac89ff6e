"""Are all commands inside the limits? Differences of what the door sent, over the control grid."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from learned_arm.commander import LONGEST_PAUSE_NS, MOST_PERIODS_A_STEP
from learned_arm.robot import Robot

# Both clocks of a step are read within this, so the time between two stamps is true to it.
STAMP_ERROR_S = 1e-4
# A closed door opens where the arm is, or at the command that its driver still holds.
REOPENS_WITHIN_RAD = 0.01
_ROUNDING = 1e-6


def violations(
    robot: Robot,
    stamps_ns: Sequence[int],
    positions_rad: Sequence[NDArray[np.float64]] | NDArray[np.float64],
    passed_ns: Sequence[int],
    jump_ns: int,
) -> list[str]:
    """Commands that leave position, velocity or acceleration limits, in words.

    A step that came late counts as the door counts it, at most two periods long. After a pause the arm is at rest.

    Args:
        robot: Its limits.
        stamps_ns: Of `/arm/sent`, one a command.
        positions_rad: Of `/arm/sent`, shape (K, dof).
        passed_ns: When each was seen, monotonic: tells a pause from a clock that was set.
        jump_ns: What the clock is set by, in this rig, a multiple of it each time; stamps are counted without it.
    """
    path = np.asarray(positions_rad, dtype=np.float64).reshape(len(stamps_ns), robot.dof)
    found = []
    low, high = robot.limit("position_rad").T
    outside = ~np.isfinite(path) | (path < low - _ROUNDING) | (path > high + _ROUNDING)
    for row, joint in np.argwhere(outside):
        found.append(f"{robot.joints[joint]} at {path[row, joint]:.6f} rad, outside its limits")
    fastest, strongest = robot.limit("velocity_rad_s"), robot.limit("acceleration_rad_s2")
    # How fast the arm was before the first of them nobody knows.
    speed: NDArray[np.float64] | None = None
    for row in range(1, len(path)):
        step_ns, seen_ns = stamps_ns[row] - stamps_ns[row - 1], passed_ns[row] - passed_ns[row - 1]
        jumps = (step_ns - seen_ns) / jump_ns
        # What was sent before a pause may be seen only after it: as much as a pause is no jump.
        step_ns -= math.trunc(jumps + math.copysign(0.25, jumps)) * jump_ns
        moved = path[row] - path[row - 1]
        if step_ns > LONGEST_PAUSE_NS:
            for joint in np.flatnonzero(np.abs(moved) > REOPENS_WITHIN_RAD):
                found.append(f"{robot.joints[joint]} jumps by {moved[joint]:+.6f} rad after a pause")
            speed = np.zeros(robot.dof)
            continue
        if step_ns <= 0:
            found.append(f"stamps step by {step_ns / 1e6:+.3f} ms")
            continue
        step_s = min(step_ns, MOST_PERIODS_A_STEP * robot.control_period_ns) / 1e9
        now = moved / step_s
        before, speed = speed, now
        error = STAMP_ERROR_S / step_s
        for joint in np.flatnonzero(np.abs(now) > fastest * (1 + error) + _ROUNDING):
            found.append(f"{robot.joints[joint]} at {now[joint]:+.4f} rad/s")
        if before is None:
            continue
        change = np.abs(now - before) / step_s
        blurred = 2 * np.maximum(np.abs(now), np.abs(before)) * error / step_s
        for joint in np.flatnonzero(change > strongest * (1 + error) + blurred + _ROUNDING):
            found.append(f"{robot.joints[joint]} at {change[joint]:.3f} rad/s^2")
    return found
