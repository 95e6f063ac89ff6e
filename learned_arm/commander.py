"""The door to the arm: lease -> timeline -> safety -> command, one `step(now_ns)` at a time and without ROS.

`arm_node` runs it on a robot, tests and sweeps run it in process: there is no other way to a command.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from learned_arm.cdr import JointStateView, TrajectoryView
from learned_arm.clock_watch import ClockWatch, TimeFaultError
from learned_arm.deadman import Deadman
from learned_arm.door_state import LATCHED, MOVING, DoorState, State
from learned_arm.errors import LearnedArmError
from learned_arm.measured import MeasuredArm
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
MOST_PERIODS_A_STEP = 2
# Without commands for this long the controllers have brought the arm to rest, whatever its last speed was.
LONGEST_PAUSE_NS = 100_000_000
# A source that is alive answers every tick; one that says nothing for this long and left nothing to follow is dead.
SOURCE_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class Command:
    """What one control tick gave.

    Attributes:
        stamp_ns: The tick.
        requested_rad: What the source asked for, None while there is nothing to follow.
        sent_rad: What goes to the controllers, None while the door is closed.
        clamps: Limits that changed the request.
        source: Who held the lease, empty when nobody did: an arm that was let go of brakes.
        speed_rad_s: Speed of what goes to the controllers, None with it.
        measured_rad: Newest measured positions, None when they are stale.
    """

    stamp_ns: int
    requested_rad: NDArray[np.float64] | None
    sent_rad: NDArray[np.float64] | None
    clamps: tuple[str, ...] = ()
    source: str = ""
    speed_rad_s: NDArray[np.float64] | None = None
    measured_rad: NDArray[np.float64] | None = None


@dataclass
class Commander:
    """Decides what the arm is told. Time is ROS time in nanoseconds unless a name says monotonic.

    Attributes:
        robot: Its limits hold for every command.
        deadman: The switch that must be held while anyone moves the arm; None where there is none.
        holder: The source that has the lease.
        source_timeout_s: How long a holder may be silent, counted from the end of what it asked for.
        clamp_counts: How often each limit changed a request.
        refused_targets: Targets that could not be used.
        time_faults: Jumps of the clock, and joint states stamped in the future or backward.
    """

    robot: Robot
    deadman: Deadman | None = None
    holder: str | None = None
    source_timeout_s: float = SOURCE_TIMEOUT_S
    clamp_counts: Counter[str] = field(default_factory=Counter)
    refused_targets: int = 0
    time_faults: int = 0

    def __post_init__(self) -> None:
        self.safety = SafetyFilter(self.robot)
        self._door = DoorState()
        self._arm = MeasuredArm(self.robot)
        self._clock = ClockWatch()
        self._target_orders = {source: JointOrder(self.robot.joints) for source in SOURCES}
        self._timeline: Timeline | None = None
        self._last_ns: int | None = None
        self._last_monotonic_ns: int | None = None
        self._heard, self._heard_ns = False, 0
        self._at_release: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
        # A velocity controller holds no position that its joints could still be on their way to.
        by_speed = (each for each in self.robot.controllers if each.command.adapter == "forward_velocity")
        self._without_place = {group for each in by_speed for group in each.groups}
        self._silence = self._objection = ""
        # Whether the last command was a hold: the door closes behind one, never behind a target.
        self._held = True

    @property
    def state(self) -> State:
        """What the door is doing."""
        return self._door.state

    @property
    def reason(self) -> str:
        """Why it is in this state."""
        return self._door.reason

    @property
    def measured_rad(self) -> NDArray[np.float64] | None:
        """Newest measured positions in joint order."""
        return self._arm.position_rad

    @property
    def moving_allowed(self) -> bool:
        """Whether a source may move the arm now."""
        return self.state in MOVING

    def measure(
        self, view: JointStateView, monotonic_ns: int, *, topic: str | None = None, now_ns: int | None = None
    ) -> None:
        """Take a measured joint state.

        Args:
            view: The message.
            monotonic_ns: When it was received.
            topic: Where it came from, by default the robot's first topic.
            now_ns: ROS time, to check the stamp against; None in lock-step, where the stamp is the time.

        Raises:
            LearnedArmError: A joint is missing, named twice or not finite, or the stamp is of no use; the measured
                state then stays as it was. A stamp of the future or backward also disarms.
        """
        try:
            self._arm.take(topic or self.robot.joint_states[0].topic, view, monotonic_ns, now_ns)
        except TimeFaultError as error:
            self._disarm(str(error))
            raise
        if self.measured_rad is not None:
            self._door.on("measured")

    def engage(self, source: str, now_ns: int, monotonic_ns: int | None = None) -> str:
        """Give a source the lease.

        Args:
            source: Who asks.
            now_ns: ROS time.
            monotonic_ns: Monotonic time, to ask for fresh joint states and a held deadman; None leaves both out.

        Returns:
            What happened, in words.

        Raises:
            LearnedArmError: The source is unknown, another holds the lease, the door is stopped or in fault, the arm
                is not measured, says that it does not follow or stands outside its limits, or the deadman is not held.
        """
        if source not in SOURCES:
            raise LearnedArmError("unknown source", got=source, allowed=list(SOURCES))
        if self.state in LATCHED:
            raise LearnedArmError(f"{self.state.value}: {self.reason}", allowed="call ~/clear_fault first")
        if self.measured_rad is None:
            raise LearnedArmError(
                "no measured joint state yet", allowed=[each.topic for each in self.robot.joint_states]
            )
        if self.holder == source:
            return f"{source} already holds the lease"
        if self._objection:
            raise LearnedArmError(self._objection, allowed="an arm that follows commands")
        if monotonic_ns is not None:
            self._require_fresh(monotonic_ns)
            self.require_deadman(monotonic_ns)
        taken_from = self.holder
        if taken_from is not None and _RANK[source] <= _RANK[taken_from]:
            raise LearnedArmError("the lease is taken", got=source, allowed=f"{taken_from} must release it first")
        # An arm that still brakes goes on from the command in force, with its speed.
        if self._last_ns is None:
            start = self._starting_position()
            self._require_inside(start)
            self.safety.start(start)
            self._last_ns, self._last_monotonic_ns = now_ns, monotonic_ns
        self.holder, self._timeline, self._heard = source, None, True
        self._door.on("engage", f"{source} engaged" + (f", taken from {taken_from}" if taken_from else ""))
        return self.reason

    def release(self, source: str) -> str:
        """Give the lease back; the arm brakes and stays."""
        if self.holder != source:
            return f"{source} does not hold the lease"
        self._let_go("release", f"released by {source}")
        return self.reason

    def stop(self, reason: str) -> None:
        """Take the lease from whoever has it; needs `clear_fault` before anyone may engage again."""
        self._let_go("stop", reason)

    def fault(self, reason: str) -> None:
        """Latch a fault: brake, hold, refuse every source until it is cleared."""
        self._let_go("fault", reason)

    def driver_objects(self, reason: str) -> None:
        """The arm's own software says why it does not follow commands; empty: it does.

        Whoever moves the arm is faulted: it would run ahead of an arm that stands, and jump when that goes on.
        """
        self._objection = reason
        if reason and self.holder is not None:
            self.fault(reason)

    def clear_fault(self) -> str:
        """Leave stopped or fault; nothing moves."""
        self._door.on("clear", "cleared")
        return self.state.value

    def require_deadman(self, monotonic_ns: int) -> None:
        """Raise unless the deadman, where there is one, is held.

        Raises:
            LearnedArmError: It is released, silent or was never heard.
        """
        if self.deadman is not None:
            self.deadman.require(monotonic_ns)

    def check_deadman(self, monotonic_ns: int) -> None:
        """Take the lease from whoever has it when the deadman is not held; the arm brakes and stays."""
        if self.deadman is None or self.holder is None:
            return
        problem = self.deadman.problem(monotonic_ns)
        if problem:
            self._let_go("release", f"{problem}, lease taken from {self.holder}")

    def targets(self, source: str, view: TrajectoryView, now_ns: int) -> bool:
        """Take a source's timeline; True when it is in force.

        Raises:
            LearnedArmError: It cannot be used: wrong joints, not finite, stamps off or wholly in the past. Counted.
        """
        if source != self.holder or not self.moving_allowed:
            return False
        self._heard = True
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
            monotonic_ns: Monotonic time, to see what fell silent and a clock that jumps; None in lock-step.
        """
        if monotonic_ns is not None:
            self._watch(now_ns, monotonic_ns)
            self._watch_source(now_ns, monotonic_ns)
        elif self._last_ns is not None and now_ns < self._last_ns:
            self._disarm(f"time ran backward; got {(now_ns - self._last_ns) / 1e9:+.3f} s")
        measured = self.measured_rad
        if self._last_ns is None or measured is None:
            return Command(now_ns, None, None)
        if self.holder is None and self.safety.at_rest and self._held:
            self._keep_place()
            return Command(now_ns, None, None)
        requested = self._timeline.at(now_ns) if self._timeline is not None and self.holder is not None else None
        source = self.holder or ""
        if self.moving_allowed:
            self._door.on("follow" if requested is not None else "hold")
        elapsed_ns = now_ns - self._last_ns
        if monotonic_ns is not None and self._last_monotonic_ns is not None:
            # The arm moves in time that passes, also while the clock is being set.
            elapsed_ns = monotonic_ns - self._last_monotonic_ns
        elapsed_ns = min(elapsed_ns, MOST_PERIODS_A_STEP * self.robot.control_period_ns)
        step = self.safety.step(requested, measured, elapsed_ns / 1e9)
        self._last_ns, self._last_monotonic_ns = now_ns, monotonic_ns
        self.clamp_counts.update(step.clamps)
        if step.lost:
            lost = ", ".join(self.robot.joints[joint] for joint in step.lost)
            self.fault(f"braking cannot keep the limits of {lost}")
        self._held = requested is None
        fresh = None if self._silence else measured
        speed = self.safety.velocity_rad_s
        return Command(now_ns, requested, step.sent_rad, step.clamps, source, speed, fresh)

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
        positions = order.positions(view.names, view.positions)
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
        if in_force is None or not in_force.reaches(now_ns):
            # Begin from the command in force, so that a first point in the future is approached and not jumped to.
            in_force = at_point(now_ns, self.safety.position_rad)
        self._timeline = in_force.followed_by(timeline, now_ns)

    def _watch(self, now_ns: int, monotonic_ns: int) -> None:
        try:
            self._clock.see(now_ns, monotonic_ns)
        except TimeFaultError as error:
            self._disarm(str(error))
        self._watch_loop(monotonic_ns)
        self.check_deadman(monotonic_ns)
        self._silence = self._arm.silence(monotonic_ns)
        if self._silence and self.holder is not None:
            self.fault(self._silence)

    def _watch_loop(self, monotonic_ns: int) -> None:
        """A door that stood still left the arm with its last command: it begins again at rest, and armed by nobody."""
        if self._last_ns is None or self._last_monotonic_ns is None:
            return
        paused_ns = monotonic_ns - self._last_monotonic_ns
        if paused_ns > LONGEST_PAUSE_NS:
            self.safety.start(self.safety.position_rad)
            if self.holder is not None:
                allowed = f"{LONGEST_PAUSE_NS / 1e6:.0f} ms"
                self.stop(f"the control loop stood still for {paused_ns / 1e6:.0f} ms, allowed {allowed}")

    def _watch_source(self, now_ns: int, monotonic_ns: int) -> None:
        """Free the door from a holder that is dead or has forgotten it: it must not be locked for everyone else."""
        follows = self._timeline is not None and self._timeline.reaches(now_ns)
        if self._heard or follows or self.holder is None:
            self._heard, self._heard_ns = False, monotonic_ns
            return
        silent_ns = monotonic_ns - self._heard_ns
        if silent_ns > self.source_timeout_s * _SECOND_NS:
            self._let_go("release", f"{self.holder} silent for {silent_ns / 1e6:.0f} ms, lease taken from it")

    def _disarm(self, reason: str) -> None:
        """Time cannot be trusted: nobody goes on, and whoever wants to must arm again."""
        self.time_faults += 1
        if self.holder is not None:
            self.stop(reason)

    def _require_fresh(self, monotonic_ns: int) -> None:
        silence = self._arm.silence(monotonic_ns)
        if silence:
            raise LearnedArmError(silence, allowed="fresh joint states on every topic")

    def _require_inside(self, position_rad: NDArray[np.float64]) -> None:
        outside = self.safety.outside(position_rad)
        if outside.any():
            joint = self.robot.joints[int(np.argmax(outside))]
            low, high = self.robot.limit("position_rad")[np.argmax(outside)]
            raise LearnedArmError(
                f"{joint} outside its limits",
                got=float(position_rad[np.argmax(outside)]),
                allowed=f"[{low}, {high}]; move it back by other means",
            )

    def _starting_position(self) -> NDArray[np.float64]:
        """Per group the command that the driver still holds, where nobody has moved it since; else where it is.

        A group that has come closer to its command was moved by its driver: jaws that still closed at the release.
        """
        measured = self.measured_rad
        assert measured is not None
        start = measured.copy()
        if self._at_release is not None:
            sent, then = self._at_release
            pushed = np.abs(measured - sent) > np.abs(then - sent) + _MOVED_RAD * self.robot.per_rad
            for group, place in self.robot.slices.items():
                if group not in self._without_place and not pushed[place].any():
                    start[place] = sent[place]
        return start

    def _let_go(self, event: str, reason: str) -> None:
        if self._door.on(event, reason):
            self.holder, self._timeline = None, None

    def _keep_place(self) -> None:
        measured = self.measured_rad
        if measured is not None and self._last_ns is not None:
            self._at_release = (self.safety.position_rad.copy(), measured.copy())
            self._last_ns = None
