"""One tick of a policy: samples -> observation -> labels -> targets -> the timeline to send; no ROS."""

from __future__ import annotations

import math
import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learned_arm.action import ActionCodec, Reference
from learned_arm.alignment import AlignedTick, Aligner, Refusal
from learned_arm.clock_watch import StampWatch, TimeFaultError
from learned_arm.contract import TOOL_REPRESENTATIONS
from learned_arm.errors import LearnedArmError
from learned_arm.observation import Observation, ObservationBuilder
from learned_arm.timeline import Timeline
from learned_policy_node.chunking import EMPTY, Chunker
from learned_policy_node.inference import Answer, Inference, Inline, Request
from learned_policy_node.policy import Policy
from learned_policy_node.scheduler import Phase, Rules, Scheduler

# In real time a tick waits this share of a period for the model it asked; a slower one is met at a later tick.
_PATIENCE = 0.5
_COMMANDS_KEPT = 256
# Ticks run a few milliseconds behind the streams; in lock-step a stream may be some ticks ahead of another.
_BEHIND_S = 1.0
_FROM_COMMAND = ("delta", "velocity", *TOOL_REPRESENTATIONS)


@dataclass(frozen=True)
class TickResult:
    """What a tick gave.

    Attributes:
        tick_ns: Tick in ROS time.
        timeline: Targets to send; empty means stop and hold.
        stamps_ns: Header stamp chosen for every stream; empty when a stream had no sample.
        observation: What the policy saw, None when it could not be built.
        refusal: Why the timeline is empty, None when it is not.
        fault: The policy itself failed, not its inputs: it must not go on before a reset.
        asked: Whether the policy was asked at this tick.
        phase: Where the schedule stands.
    """

    tick_ns: int
    timeline: Timeline = EMPTY
    stamps_ns: Mapping[str, int] = field(default_factory=dict)
    observation: Observation | None = None
    refusal: Refusal | None = None
    fault: bool = False
    asked: bool = False
    phase: Phase = Phase.WAITING


class PolicyLoop:
    """Steps a policy from tick to tick.

    `step` belongs to one thread; everything else may come from another. What makes it forget throws the result of a
    running step away.

    Args:
        policy: Whose contract names the streams.
        chunker: How overlapping chunks become one plan.
        rules: How chunks are put into force.
        inference: Where the policy runs; in the thread of `step` unless said.
    """

    def __init__(
        self, policy: Policy, chunker: Chunker, rules: Rules | None = None, inference: Inference | None = None
    ) -> None:
        self.contract = policy.contract
        self._inference = inference or Inline(policy)
        self._scheduler = Scheduler(chunker, self.contract.period_ns, self.contract.action.offset_ticks, rules)
        self._aligner = Aligner(self.contract, behind_s=_BEHIND_S)
        # Frames may overtake each other on the way by less than a frame may be old.
        self._stamps = {
            topic: StampWatch(topic, math.inf, buffer.max_age_ns / 1e9)
            for topic, buffer in zip(self._aligner.topics, self._aligner.buffers.values(), strict=True)
        }
        self._builder = ObservationBuilder(self.contract)
        self._codec = ActionCodec(self.contract)
        self._from_command = self.contract.action.representation in _FROM_COMMAND
        self._lock = threading.Lock()
        self._epoch = 0
        self._resets: Counter[str | None] = Counter()
        self._ask_at_once = False
        self._generation = 0
        self._commands: deque[tuple[int, NDArray[np.float64]]] = deque(maxlen=_COMMANDS_KEPT)
        self._stepped_epoch = 0
        self._stepped_resets: dict[str | None, int] = {}
        self._history: deque[AlignedTick] = deque(maxlen=self.contract.history)
        self._planned = EMPTY

    @property
    def topics(self) -> tuple[str, ...]:
        """Topics to push."""
        return self._aligner.topics

    @property
    def out_of_order(self) -> dict[str, int]:
        """Messages dropped a stream because a later one had come before."""
        return {name: buffer.out_of_order for name, buffer in self._aligner.buffers.items()}

    @property
    def late_steps(self) -> int:
        """Steps of chunks that were dropped because their time had passed."""
        return self._scheduler.late_steps

    @property
    def latency_ns(self) -> int:
        """Largest of the last inference times, without the first; 0 before anything is known."""
        return self._scheduler.latency.worst_ns

    def push(self, topic: str, stamp_ns: int, receive_ns: int, raw: Any, now_ns: int | None = None) -> bool:
        """Add a raw message; False when it was dropped as out of order.

        Args:
            topic: Where it came from.
            stamp_ns: Its header stamp.
            receive_ns: When it was received, monotonic.
            raw: The message.
            now_ns: ROS time, to check the stamp against; None in lock-step and offline, where the stamps are the time.

        Raises:
            TimeFaultError: It is stamped in the future or runs backward. It was not taken, and what the streams showed
                is forgotten: nothing tells which of the stamps were true.
        """
        if now_ns is not None and topic in self._stamps:
            try:
                self._stamps[topic].see(stamp_ns, now_ns)
            except TimeFaultError:
                self.reset()
                raise
        with self._lock:
            return self._aligner.push(topic, stamp_ns, receive_ns, raw)

    def command_sent(self, stamp_ns: int, position_rad: NDArray[np.float64]) -> None:
        """Note a command that the door sent, joint order, shape (dof,)."""
        with self._lock:
            self._commands.append((stamp_ns, position_rad))

    def reached_tick_ns(self) -> int | None:
        """The newest tick of the grid that every stream has reached; None before each has a message."""
        period_ns = self.contract.period_ns
        with self._lock:
            newest = [buffer.newest_stamp_ns for buffer in self._aligner.buffers.values()]
        present = [stamp for stamp in newest if stamp is not None]
        return min(present) // period_ns * period_ns if len(present) == len(newest) else None

    @property
    def silent_streams(self) -> list[str]:
        """Streams that have no message yet."""
        with self._lock:
            return [name for name, buffer in self._aligner.buffers.items() if buffer.newest_stamp_ns is None]

    def readiness(self, tick_ns: int, now_ns: int | None = None) -> Refusal | None:
        """What stands against an observation at a tick, without asking the policy."""
        with self._lock:
            found = self._aligner.sample(tick_ns, now_ns)
        return found if isinstance(found, Refusal) else None

    def forget(self) -> None:
        """Forget history, chunks, those in flight too, and a running step; the policy's memory waits for `begin`."""
        with self._lock:
            self._epoch += 1

    def begin(self, occasion: str | None = None) -> None:
        """Begin to act: like `forget`, and the policy is reset before it is asked again.

        Args:
            occasion: See `Policy.reset`.
        """
        with self._lock:
            self._epoch += 1
            self._resets[occasion] += 1

    def reset(self, occasion: str | None = None) -> None:
        """Begin a new episode: like `begin`, and what the streams showed of the old one is forgotten too."""
        with self._lock:
            self._epoch += 1
            self._resets[occasion] += 1
            self._aligner.clear()
            self._commands.clear()

    def ask_at_once(self) -> None:
        """Ask at the next tick, however far the plan reaches: another policy has taken the place of the last."""
        with self._lock:
            self._ask_at_once = True

    def close(self) -> None:
        """End the inference's thread, where it has one; the next step starts it again."""
        self._inference.close()

    def step(self, tick_ns: int, now_ns: int | None = None) -> TickResult:
        """One tick. Never raises for what a stream or the policy does: the result says it.

        Args:
            tick_ns: Tick of the absolute grid, ROS time, later than the one before.
            now_ns: Monotonic time, to refuse streams that stopped arriving; None in lock-step.
        """
        with self._lock:
            epoch, resets = self._epoch, dict(self._resets)
            aligned = self._aligner.sample(tick_ns, now_ns)
        if epoch != self._stepped_epoch:
            # Taken with the epoch: a reset during this tick counts from the next one on, whose observation is later.
            self._stepped_epoch, self._stepped_resets = epoch, resets
            self._forget()
        result = self._refused(aligned) if isinstance(aligned, Refusal) else self._act(aligned, now_ns is not None)
        with self._lock:
            overtaken = self._epoch != epoch
        if overtaken:
            return self._refused(Refusal(tick_ns, "policy", "reset during the tick"), result.stamps_ns)
        if self._from_command and not result.timeline.empty:
            planned = self._planned
            self._planned = result.timeline if planned.empty else planned.followed_by(result.timeline, tick_ns)
        return result

    def _act(self, aligned: AlignedTick, real_time: bool) -> TickResult:
        tick_ns, stamps_ns = aligned.tick_ns, aligned.stamps_ns
        if self._history and tick_ns != self._history[-1].tick_ns + self.contract.period_ns:
            self._history.clear()
        self._history.append(aligned)
        if len(self._history) < self.contract.history:
            # The ticks so far are kept: the history fills while the arm holds.
            reason = f"history holds {len(self._history)} of {self.contract.history} ticks"
            self._scheduler.reset()
            self._planned = EMPTY
            return TickResult(tick_ns, stamps_ns=stamps_ns, refusal=Refusal(tick_ns, "policy", reason))
        try:
            observation = self._builder.build(list(self._history))
            measured = self._builder.measured(aligned)
            commanded = self._commanded(tick_ns, measured)
        except LearnedArmError as error:
            return self._refused(Refusal(tick_ns, "observation", str(error)), stamps_ns)
        try:
            asked = self._infer(observation, Reference(measured, commanded), real_time)
        except LearnedArmError as error:
            refused = self._refused(Refusal(tick_ns, "policy", str(error)), stamps_ns)
            return replace(refused, observation=observation, fault=True)
        timeline = self._scheduler.answer(tick_ns)
        phase = self._scheduler.phase
        refusal = Refusal(tick_ns, "policy", self._why_empty(phase)) if timeline.empty else None
        return TickResult(tick_ns, timeline, stamps_ns, observation, refusal, asked=asked, phase=phase)

    def _infer(self, observation: Observation, reference: Reference, real_time: bool) -> bool:
        """Take what the policy has answered and ask it again where its chunk is needed; True when it was asked."""
        scheduler = self._scheduler
        self._take(self._inference.take())
        with self._lock:
            at_once = self._ask_at_once
        if not scheduler.needs_chunk(observation.tick_ns, at_once=at_once):
            return False
        if at_once:
            with self._lock:
                self._ask_at_once = False
        self._inference.submit(Request(self._stepped_resets, scheduler.asked(), observation, reference))
        patience_ns = _PATIENCE * self.contract.period_ns
        waits = real_time and scheduler.latency.worst_ns <= patience_ns
        self._take(self._inference.take(patience_ns / 1e9 if waits else 0.0))
        return True

    def _take(self, answer: Answer | None) -> None:
        if answer is None or answer.request.epoch != self._scheduler.epoch:
            return
        if answer.labels is None:
            raise LearnedArmError(answer.failure)
        tick_ns = answer.request.observation.tick_ns
        chunk = self._codec.timeline(tick_ns, answer.labels, answer.request.reference)
        if answer.generation != self._generation:
            self._generation = answer.generation
            self._scheduler.latency.restart()
        self._scheduler.push(
            answer.request.epoch,
            tick_ns,
            chunk,
            ready_ns=answer.ready_ns,
            generation=answer.generation,
        )
        self._scheduler.latency.add(answer.latency_ns)

    def _why_empty(self, phase: Phase) -> str:
        if phase is Phase.RUN_OUT:
            return f"the plan ran out: held for {self._scheduler.rules.hold_ticks} ticks, then stopped"
        return phase.value

    def _commanded(self, tick_ns: int, measured: NDArray[np.float64]) -> NDArray[np.float64]:
        """The command in force at a tick: the own plan where it reaches, else the newest one sent.

        Where no label is relative to it, it is where the arm stands.
        """
        if not self._from_command:
            return measured
        planned = self._planned.at(tick_ns)
        if planned is not None:
            return planned
        with self._lock:
            sent = next((position for stamp_ns, position in reversed(self._commands) if stamp_ns <= tick_ns), None)
        if sent is not None:
            return sent
        raise LearnedArmError("no command in force yet", where="/arm/sent", allowed="a command at or before the tick")

    def _refused(self, refusal: Refusal, stamps_ns: Mapping[str, int] | None = None) -> TickResult:
        self._forget()
        return TickResult(refusal.tick_ns, stamps_ns=stamps_ns or {}, refusal=refusal)

    def _forget(self) -> None:
        self._history.clear()
        self._scheduler.reset()
        self._planned = EMPTY
