"""A small motion of one joint, and what the joints that moved say about names, signs and scale. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from demo_tools.doctor.findings import Finding, fine
from learned_arm.robot import Robot

SIZE_RAD = 0.05
"""Large against an encoder's noise and a gearbox's play, small against anything in the way."""
_ALIKE = 0.3


def small_steps(robot: Robot, position_rad: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far to move each joint: away from its nearer limit, never past it, shape (dof,); 0: there is no room."""
    low, high = robot.limit("position_rad").T
    margin = robot.limit("position_margin_rad")
    size = SIZE_RAD * robot.per_rad
    up, down = high - margin - position_rad, position_rad - low - margin
    step = np.where(up >= down, np.minimum(size, up), -np.minimum(size, down))
    return np.where(np.abs(step) > size / 2, step, 0.0)


def judge(robot: Robot, joint: int, step_rad: float, moved_rad: NDArray[np.float64]) -> Finding:
    """What a commanded step of one joint led to.

    Args:
        robot: Whose joints.
        joint: Which was commanded.
        step_rad: By how much, from rest.
        moved_rad: By how much each joint was measured to have moved, shape (dof,).
    """
    name = robot.joints[joint]
    # Shares of the step, a finger's stroke for a radian.
    share = moved_rad / robot.per_rad * robot.per_rad[joint] / step_rad
    others = [other for other in range(robot.dof) if other != joint and abs(share[other]) > _ALIKE]
    seen = f"commanded {step_rad:+.3f}, moved {moved_rad[joint]:+.3f}"
    if others:
        told = ", ".join(f"{robot.joints[other]} {moved_rad[other]:+.3f}" for other in others)
        if abs(share[joint]) < _ALIKE:
            todo = "two joints are swapped, in the robot file's order or in the controller's: compare them name by name"
            return Finding("motion.name", "fail", name, f"{seen}; instead moved {told}", todo)
        todo = "let nothing else command the arm; a coupled joint belongs into the robot file as such"
        return Finding("motion.alone", "fail", name, f"{seen}; with it moved {told}", todo)
    if share[joint] < -_ALIKE:
        todo = "the sign of its command or of its encoder is wrong: calibrate it, or turn it round in the driver"
        return Finding("motion.sign", "fail", name, seen, todo)
    if share[joint] < _ALIKE:
        todo = "brakes, torque, the controller's state, speed scaling on the pendant, or something in the way"
        return Finding("motion.none", "fail", name, seen, todo)
    if abs(share[joint] - 1.0) > _ALIKE:
        todo = "units (degrees, ticks), a gear ratio, or a command that the driver cuts off"
        return Finding("motion.scale", "fail", name, seen, todo)
    return fine("motion.follows", name, seen)
