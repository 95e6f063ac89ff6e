"""The door to the arm: lease -> timeline -> safety -> command, one `step(now_ns)` at a time and without ROS.

`arm_node` runs it on a robot, tests and sweeps run it in process: there is no other way to a command.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from learned_arm.cdr import JointStateView, TrajectoryView
from learned_arm.errors import LearnedArmError
from learned_arm.observation import JointOrder
from learned_arm.robot import Robot
from learned_arm.safety import SafetyFilter
from learned_arm.timeline import Timeline, at_point

# A human always wins the lease.
SOURCES = ("teleop", "replay", "policy", "home")
_RANK = {"teleop": 1, "replay": 0, "policy": 0, "home": 0}
_SECOND_NS = 1_000_000_000
_LARGEST_STAMP_ERROR_NS = 1 * _SECOND_NS
_LONGEST_TIMELINE_NS = 120 * _SECOND_NS
# An arm that moved more than this while nobody commanded it was moved by somebody else: begin where it is.
_MOVED_RAD = 0.005
# A late step moves no further than this many steps in time would have.
_MOST_PERIODS_A_STEP = 2


class State(Enum):
    """What the door is doing."""

    IDLE = "idle"
    ENGAGED = "engaged"
    HOLDING = "holding"
    STOPPED = "stopped"
    FAULT = "fault"


@dataclass(frozen=True)
class Command:
    """What one control tick gave.

    Attributes:
        stamp_ns: The tick.
        requested_rad: What the source asked for, None while there is nothing to follow.
        sent_rad: What goes to the controllers, None while the door is closed.
        clamps: Limits that changed the request.
    """

    stamp_ns: int
    requested_rad: NDArray[np.float64] | None
    sent_rad: NDArray[np.float64] | None
    clamps: tuple[str, ...] = ()


@dataclass
class Commander:
    """Decides what the arm is told. Time is ROS time in nanoseconds unless a name says monotonic."""

    robot: Robot
    state: State = State.IDLE
    holder: str | None = None
    reason: str = ""
    clamp_counts: Counter[str] = field(default_factory=Counter)
    refused_targets: int = 0

    def __post_init__(self) -> None:
        self.safety = SafetyFilter(self.robot)
        self._order = JointOrder(self.robot.joints)
        self._target_orders = {source: JointOrder(self.robot.joints) for source in SOURCES}
        self._timeline: Timeline | None = None
        self._last_ns: int | None = None
        self._measured: NDArray[np.float64] | None = None
        self._measured_monotonic_ns = 0
        self._at_release: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
        self._max_age_ns = round(min(each.max_age_s for each in self.robot.joint_states) * _SECOND_NS)

    @property
    def measured_rad(self) -> NDArray[np.float64] | None:
        """Newest measured positions in joint order."""
        return self._measured

    @property
    def moving_allowed(self) -> bool:
        """Whether a source may move the arm now."""
        return self.state in (State.ENGAGED, State.HOLDING)

    def measure(self, view: JointStateView, monotonic_ns: int) -> None:
        """Take a measured joint state.

        Raises:
            LearnedArmError: A joint is missing, named twice or not finite; the state then stays as it was.
        """
        self._measured = self._order.positions(view.names, view.position)
        self._measured_monotonic_ns = monotonic_ns

    def engage(self, source: str, now_ns: int) -> str:
        """Give a source the lease.

        Returns:
            What happened, in words.

        Raises:
            LearnedArmError: The source is unknown, another holds the lease, or the door is stopped or in fault.
        """
        if source not in SOURCES:
            raise LearnedArmError("unknown source", got=source, allowed=list(SOURCES))
        if self.state in (State.STOPPED, State.FAULT):
            raise LearnedArmError(f"{self.state.value}: {self.reason}", allowed="call ~/clear_fault first")
        if self._measured is None:
            raise LearnedArmError(
                "no measured joint state yet", allowed=[each.topic for each in self.robot.joint_states]
            )
        if self.holder == source:
            return f"{source} already holds the lease"
        taken_from = self.holder
        if taken_from is not None and _RANK[source] <= _RANK[taken_from]:
            raise LearnedArmError("the lease is taken", got=source, allowed=f"{taken_from} must release it first")
        # An arm that still brakes goes on from the command in force, with its speed.
        if self._last_ns is None:
            self.safety.start(self._starting_position())
            self._last_ns = now_ns
        self.holder, self.state, self._timeline = source, State.HOLDING, None
        self.reason = f"{source} engaged" + (f", taken from {taken_from}" if taken_from else "")
        return self.reason

    def release(self, source: str) -> str:
        """Give the lease back; the arm brakes and stays."""
        if self.holder != source:
            return f"{source} does not hold the lease"
        self._let_go(State.IDLE, f"released by {source}")
        return self.reason

    def stop(self, reason: str) -> None:
        """Take the lease from whoever has it; needs `clear_fault` before anyone may engage again."""
        self._let_go(State.STOPPED, reason)

    def fault(self, reason: str) -> None:
        """Latch a fault: brake, hold, refuse every source until it is cleared."""
        if self.state is not State.FAULT:
            self._let_go(State.FAULT, reason)

    def clear_fault(self) -> str:
        """Leave stopped or fault for idle; nothing moves."""
        if self.state in (State.STOPPED, State.FAULT):
            self.state, self.reason = State.IDLE, "cleared"
        return self.state.value

    def targets(self, source: str, view: TrajectoryView, now_ns: int) -> bool:
        """Take a source's timeline; True when it is in force.

        Raises:
            LearnedArmError: It cannot be used: wrong joints, not finite, stamps off or wholly in the past. Counted.
        """
        if source != self.holder or not self.moving_allowed:
            return False
        try:
            self._accept(source, view, now_ns)
        except LearnedArmError:
            self.refused_targets += 1
            raise
        return True

    def step(self, now_ns: int, monotonic_ns: int | None = None) -> Command:
        """One control tick.

        Args:
            now_ns: The tick in ROS time.
            monotonic_ns: Monotonic time, to see joint states that stopped arriving; None in lock-step.
        """
        if self._last_ns is None or self._measured is None:
            return Command(now_ns, None, None)
        if monotonic_ns is not None and self.holder is not None:
            silent_ns = monotonic_ns - self._measured_monotonic_ns
            if silent_ns > self._max_age_ns:
                self.fault(f"joint states silent for {silent_ns / 1e6:.0f} ms, allowed {self._max_age_ns / 1e6:.0f} ms")
        if self.holder is None and self.safety.at_rest:
            self._keep_place()
            return Command(now_ns, None, None)
        requested = self._timeline.at(now_ns) if self._timeline is not None and self.holder is not None else None
        if self.moving_allowed:
            self.state = State.ENGAGED if requested is not None else State.HOLDING
        elapsed_ns = min(now_ns - self._last_ns, _MOST_PERIODS_A_STEP * self.robot.control_period_ns)
        step = self.safety.step(requested, self._measured, elapsed_ns / 1e9)
        self._last_ns = now_ns
        self.clamp_counts.update(step.clamps)
        return Command(now_ns, requested, step.sent_rad, step.clamps)

    def _accept(self, source: str, view: TrajectoryView, now_ns: int) -> None:
        error_ns = view.stamp_ns - now_ns
        if abs(error_ns) > _LARGEST_STAMP_ERROR_NS:
            raise LearnedArmError(
                "targets stamped far from now", where=source, got=f"{error_ns / 1e9:+.3f} s", allowed="within 1 s"
            )
        if len(view.positions) == 0:
            self._timeline = None
            return
        order = self._target_orders[source]
        positions = np.stack([order.positions(view.names, point) for point in view.positions])
        timeline = Timeline(view.stamp_ns + view.time_from_start_ns, positions)
        lead_ns = timeline.end_ns - now_ns
        if not 0 <= lead_ns <= _LONGEST_TIMELINE_NS:
            raise LearnedArmError(
                "targets end outside the window",
                where=source,
                got=f"{lead_ns / 1e9:+.3f} s",
                allowed="0 .. 120 s from now",
            )
        in_force = self._timeline
        if in_force is None or in_force.at(now_ns) is None:
            # Begin from the command in force, so that a first point in the future is approached and not jumped to.
            in_force = at_point(now_ns, self.safety.position_rad)
        self._timeline = in_force.followed_by(timeline, now_ns)

    def _starting_position(self) -> NDArray[np.float64]:
        """The command that the driver still holds, where the arm has not been moved since; else where the arm is."""
        assert self._measured is not None
        if self._at_release is None:
            return self._measured
        sent, measured = self._at_release
        moved = np.abs(self._measured - measured).max() > _MOVED_RAD
        return self._measured if moved else sent

    def _let_go(self, state: State, reason: str) -> None:
        self.holder, self.state, self.reason, self._timeline = None, state, reason, None

    def _keep_place(self) -> None:
        if self._measured is not None and self._last_ns is not None:
            self._at_release = (self.safety.position_rad.copy(), self._measured.copy())
            self._last_ns = None
