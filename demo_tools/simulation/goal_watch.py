"""When the goal of a gripper is over: reached, or stalled. Constants are the defaults of ros2_controllers' grippers."""

from __future__ import annotations

TOLERANCE = 0.01
STANDS_STILL_PER_S = 0.001
STALLED_AFTER_S = 1.0

REACHED, STALLED = "reached", "stalled"


class GoalWatch:
    """Tells when a goal is over.

    Args:
        goal: In the joint's unit.
        position: Where the gripper is now.
        now_s: Of a steady clock.
    """

    def __init__(self, goal: float, position: float, now_s: float) -> None:
        self._goal = goal
        self._last, self._last_s, self._moved_s = position, now_s, now_s

    def see(self, position: float, now_s: float) -> str:
        """`REACHED`, `STALLED`, or nothing while it is under way."""
        if abs(position - self._goal) < TOLERANCE:
            return REACHED
        if abs(position - self._last) > STANDS_STILL_PER_S * (now_s - self._last_s):
            self._moved_s = now_s
        self._last, self._last_s = position, now_s
        return STALLED if now_s - self._moved_s > STALLED_AFTER_S else ""
