"""A stream of positions at the control rate -> a few goals for the action of a gripper.

Worked example with a deadband of 0.01 rad and 10 goals a second, the jaws being closed from 0 to 0.5 rad and kept:

    0.00 s  0.000   the stream begins where the gripper is: no goal
    0.05 s  0.008   inside the deadband
    0.06 s  0.012   goal 0.012
    0.10 s  0.100   too soon
    0.16 s  0.250   goal 0.250, the newest position; those between are nobody's business
    0.26 s  0.495   goal 0.495
    0.27 s  0.500   inside the deadband
    0.37 s  0.500   unchanged for a tenth of a second: goal 0.500, the final target
"""

from __future__ import annotations

import math

from learned_arm.command_spec import GripperSettings

# A goal that could not be delivered so long after the stream ended is not sent any more: nobody expects a motion then.
LATEST_NS = 1_000_000_000
# A controller that refused a goal is asked again after this.
RETRY_NS = 1_000_000_000


class GripperGoals:
    """Decides which positions become goals. Time may be of any one clock, in nanoseconds."""

    def __init__(self, settings: GripperSettings) -> None:
        self._deadband = settings.deadband_rad
        self._period_ns = round(1e9 / settings.goal_rate_hz)
        self._target: float | None = None
        self._changed_ns = 0
        # The last goal, or where the stream began.
        self._reference: float | None = None
        self._sent_ns: int | None = None
        self._refused_ns: int | None = None
        self._closed_ns: int | None = None

    @property
    def reference(self) -> float | None:
        """The last goal, or where the stream began; None without a stream."""
        return self._reference

    def see(self, position_rad: float, now_ns: int) -> None:
        """Take the newest position of the stream; one that is not finite is none."""
        if not math.isfinite(position_rad):
            return
        if self._reference is None:
            self._reference = position_rad
        if position_rad != self._target:
            self._target, self._changed_ns = position_rad, now_ns
        self._closed_ns = None

    def close(self, now_ns: int) -> None:
        """The stream has ended: its last position is the final target, to be sent soon or not at all."""
        if self._closed_ns is None:
            self._closed_ns = now_ns

    def goal(self, now_ns: int) -> float | None:
        """The goal to send now, which counts as sent; None when there is none."""
        target = self._target
        if self._closed_ns is not None and (not self._pending or now_ns - self._closed_ns > LATEST_NS):
            self._target = self._reference = self._refused_ns = None
            return None
        if target is None or not self._pending or not self._moved(target, now_ns):
            return None
        if self._within(self._sent_ns, self._period_ns, now_ns) or self._within(self._refused_ns, RETRY_NS, now_ns):
            return None
        self._reference, self._sent_ns, self._refused_ns = target, now_ns, None
        return target

    def last(self) -> float | None:
        """What is still to be sent by a process that ends, whose last goal need not wait; None when nothing is."""
        target = self._target if self._pending else None
        self._target = self._reference = self._refused_ns = None
        return target

    def refuse(self, now_ns: int) -> None:
        """The controller did not take the last goal: the newest target is still to be sent."""
        if self._reference is not None:
            self._refused_ns = now_ns

    @property
    def _pending(self) -> bool:
        return self._target != self._reference or self._refused_ns is not None

    def _moved(self, target: float, now_ns: int) -> bool:
        """Whether the target left the deadband, or stays where it is now."""
        if self._closed_ns is not None or self._refused_ns is not None or self._reference is None:
            return True
        return abs(target - self._reference) > self._deadband or now_ns - self._changed_ns >= self._period_ns

    @staticmethod
    def _within(since_ns: int | None, span_ns: int, now_ns: int) -> bool:
        return since_ns is not None and 0 <= now_ns - since_ns < span_ns


class Closing:
    """Whether fingers are to close, for drivers that have one action to close and another to open.

    They turn when a goal has come back by more than a bit from the farthest one of their way so far. To open by a hair
    would let go of what they hold; and a safe stream that opens with all its speed runs past its end by the way that it
    needs to brake, and comes back: no reason to grasp.

    Args:
        turn: That bit, in the group's unit.
    """

    def __init__(self, turn: float) -> None:
        self._turn, self._closes = turn, False
        self._farthest: float | None = None

    def see(self, position: float, before: float) -> bool:
        """Take a goal, and the goal before or where the stream began; whether it closes."""
        farthest = before if self._farthest is None else self._farthest
        back = position - farthest if self._closes else farthest - position
        if back > self._turn:
            self._closes = not self._closes
        if back > self._turn or back < 0.0:
            farthest = position
        self._farthest = farthest
        return self._closes
