"""Chunks that come when they come -> what is sent at each tick. Pure: every time is an argument.

At tick t the first slot of the timeline is t + offset: the slots before it are consumed, the arm is on its way there.
A chunk made from the observation of tick 0 that is ready at tick 3 (offset 1):

| tick             | 0       | 1       | 2       | 3                                                   |
|------------------|---------|---------|---------|-----------------------------------------------------|
| first slot       | 1       | 2       | 3       | 4                                                   |
| compensated      | old 1   | old 2   | old 3   | chunk[3]: slots 1 to 3 are consumed, 0 to 2 dropped |
| not compensated  | old 1   | old 2   | old 3   | chunk[0]: the whole plan is three ticks late        |

Chunks are placed by their stamps and never by an estimate of the delay, so nothing is played twice or left out.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from learned_arm.errors import LearnedArmError
from learned_arm.timeline import Timeline
from learned_policy_node.chunking import EMPTY, Chunker
from learned_policy_node.latency import Latency
from learned_policy_node.seam import Seam

# Four ticks bridge a late inference and still end a dead policy's motion within a fifth of a second at 20 Hz.
LEAD_TICKS = 4
_MOST_TICKS = 10_000


class Phase(Enum):
    """Where the schedule stands."""

    WAITING = "waiting for the first chunk"
    PLAYING = "playing"
    HOLDING = "holding the last target"
    RUN_OUT = "run out"


@dataclass(frozen=True)
class Rules:
    """How chunks are put into force.

    Attributes:
        lead_ticks: Points in a timeline, so how long the arm goes on when the policy falls silent.
        compensate: Drop the steps of a chunk whose time has passed; False plays it late, from its first step.
        max_jump_rad: Largest step of a joint from the plan in force to a new one, per tick until they have met.
        hold_ticks: How long the last target is held when no chunk reaches further; then the arm stops.
        in_flight: Chunks asked for and not there yet, at most. A model that runs here can make one at a time.
    """

    lead_ticks: int = LEAD_TICKS
    compensate: bool = True
    max_jump_rad: float = 0.1
    hold_ticks: int = 4
    in_flight: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.lead_ticks <= _MOST_TICKS:
            raise LearnedArmError("wrong lead", got=self.lead_ticks, allowed=f"1 tick or more, up to {_MOST_TICKS}")
        if not 0 < self.max_jump_rad < math.inf:
            allowed = "more than 0 rad, and finite"
            raise LearnedArmError("wrong largest jump between plans", got=self.max_jump_rad, allowed=allowed)
        if not 0 <= self.hold_ticks <= _MOST_TICKS:
            raise LearnedArmError("wrong hold", got=self.hold_ticks, allowed=f"0 ticks or more, up to {_MOST_TICKS}")
        if self.in_flight < 1:
            raise LearnedArmError("wrong number of chunks in flight", got=self.in_flight, allowed="1 or more")


class Scheduler:
    """Puts chunks into force when they are ready; belongs to one thread.

    Args:
        chunker: How overlapping chunks become one plan.
        period_ns: One tick.
        offset_ticks: Ticks from the tick of an observation to the first slot of its chunk.
        rules: See `Rules`.
    """

    def __init__(self, chunker: Chunker, period_ns: int, offset_ticks: int, rules: Rules | None = None) -> None:
        self.rules = rules or Rules()
        self.period_ns, self.offset_ticks = period_ns, offset_ticks
        self.latency = Latency()
        self.epoch = 0
        self.late_steps = 0
        self._chunker = chunker
        self._generation = 0
        self._forget()

    def needs_chunk(self, tick_ns: int, *, at_once: bool = False) -> bool:
        """Whether the policy must be asked at this tick.

        It is asked early where the plan would end before an answer of the usual latency came.

        Args:
            tick_ns: The tick.
            at_once: As soon as none is in flight, also where the plan reaches far.
        """
        self._deliver(tick_ns)
        if self._in_flight >= self.rules.in_flight:
            return False
        if at_once or self._chunker.needs_chunk(tick_ns):
            return True
        end_ns = self._chunker.end_ns
        left_ns = 0 if end_ns is None else end_ns + self.period_ns - self._first_ns(tick_ns)
        return left_ns <= math.ceil(self.latency.worst_ns / self.period_ns) * self.period_ns

    def asked(self) -> int:
        """Note that the policy was asked; returns the epoch that its chunk must be pushed with."""
        self._in_flight += 1
        return self.epoch

    def push(
        self,
        epoch: int,
        tick_ns: int,
        chunk: Timeline,
        *,
        ready_ns: int,
        generation: int = 0,
    ) -> bool:
        """Take the chunk of a tick; it comes into force at the first answer at or after `ready_ns`.

        Args:
            epoch: What `asked` returned.
            tick_ns: Tick of the observation.
            chunk: Its targets, stamped on the grid.
            ready_ns: ROS time from which it may be used.
            generation: Of the policy that made it. The first of another replaces all earlier ones when it comes into
                force: two policies are never averaged, and the plan in force bridges to the new one.

        Returns:
            False when it was asked for before a reset and is thrown away.
        """
        if epoch != self.epoch:
            return False
        self._pending.append((ready_ns, tick_ns, chunk, generation))
        return True

    def answer(self, tick_ns: int) -> Timeline:
        """What to send at a tick: at most `lead_ticks` targets; empty means stop and hold. `phase` says why."""
        first_ns = self._first_ns(tick_ns)
        self._deliver(tick_ns)
        # One slot more than is sent: it is the plan in force of the next tick's first slot.
        count = max(self.rules.lead_ticks, 2)
        raw = self._chunker.timeline(first_ns, count)
        plan = raw
        if not raw.empty:
            if self._fresh:
                self._begin_seam(first_ns, raw.positions_rad[0])
                self._fresh = False
            plan = self._blended(raw)
            self._last_plan = (plan.end_ns, plan.positions_rad[-1])
        planned = self._held(first_ns, plan, count)
        self._planned = planned
        if not raw.empty:
            self.phase = Phase.PLAYING
        elif not planned.empty:
            self.phase = Phase.HOLDING
        else:
            self.phase = Phase.WAITING if self._last_plan is None else Phase.RUN_OUT
        sent = self.rules.lead_ticks
        return planned.part(0, sent)

    def reset(self) -> None:
        """Forget all chunks, those in flight too."""
        self.epoch += 1
        self._chunker.reset()
        self._forget()

    def _forget(self) -> None:
        self.phase = Phase.WAITING
        self._in_flight = 0
        self._pending: deque[tuple[int, int, Timeline, int]] = deque()
        self._fresh = False
        self._planned = EMPTY
        self._last_plan: tuple[int, NDArray[np.float64]] | None = None
        self._seam: Seam | None = None

    def _first_ns(self, tick_ns: int) -> int:
        return tick_ns + self.offset_ticks * self.period_ns

    def _deliver(self, tick_ns: int) -> None:
        """Hand the chunks that are ready to the chunker, without their consumed steps."""
        first_ns = self._first_ns(tick_ns)
        while self._pending and self._pending[0][0] <= tick_ns:
            _, made_ns, chunk, generation = self._pending.popleft()
            self._in_flight -= 1
            if not self.rules.compensate:
                late_ns = max(first_ns - int(chunk.stamps_ns[0]), 0)
                made_ns, chunk = made_ns + late_ns, chunk.later(late_ns)
            consumed = int(np.searchsorted(chunk.stamps_ns, first_ns))
            self.late_steps += consumed
            left = chunk.part(consumed, len(chunk.stamps_ns))
            if not left.empty:
                if generation != self._generation:
                    self._generation = generation
                    self._chunker.reset()
                self._chunker.push(made_ns, left)
                self._fresh = True

    def _begin_seam(self, first_ns: int, new_rad: NDArray[np.float64]) -> None:
        """Measure how far the plan in force lies from the new one where they meet."""
        old_rad, last = self._planned.at(first_ns), self._seam
        self._seam = None
        if old_rad is None:
            return
        distance_rad = old_rad - new_rad
        if last is not None:
            before_ns = np.array([first_ns - self.period_ns])
            moving = (last.left(before_ns, self.period_ns, self.rules.max_jump_rad)[0] > 0).astype(np.int64)
            self._seam = Seam(first_ns, distance_rad, moving)
        elif np.abs(distance_rad).max() > self.rules.max_jump_rad:
            self._seam = Seam(first_ns, distance_rad, np.zeros(len(new_rad), dtype=np.int64))

    def _blended(self, raw: Timeline) -> Timeline:
        """The plan plus what is left of the distance at the seam."""
        if self._seam is None:
            return raw
        left = self._seam.left(raw.stamps_ns, self.period_ns, self.rules.max_jump_rad)
        if not left.any():
            self._seam = None
            return raw
        return Timeline(raw.stamps_ns, raw.positions_rad + np.copysign(left, self._seam.distance_rad))

    def _held(self, first_ns: int, plan: Timeline, count: int) -> Timeline:
        """The plan, and behind its end the last target as long as it may be held."""
        if self._last_plan is None:
            return EMPTY
        there = len(plan.stamps_ns)
        if there >= count:
            return plan
        end_ns, target_rad = self._last_plan
        slots = first_ns + np.arange(there, count, dtype=np.int64) * self.period_ns
        slots = slots[slots <= end_ns + self.rules.hold_ticks * self.period_ns]
        if not len(slots):
            return plan
        held = np.repeat(target_rad[None], len(slots), axis=0)
        if plan.empty:
            return Timeline(slots, held)
        return Timeline(np.concatenate([plan.stamps_ns, slots]), np.concatenate([plan.positions_rad, held]))
