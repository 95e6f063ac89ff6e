"""Stamped streams -> the sample of every stream at a tick, or the reason why there is none.

Content is chosen by header stamp alone: the newest message stamped at or before `tick - latency`. The time a message
was received can only refuse it. The same code runs in the policy node, the replay and the dataset builder.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError

CAMERA, JOINTS, WRENCH = "camera", "joints", "wrench"
_SECOND_NS = 1_000_000_000
# A second of a fast sensor, several times over; of pictures `behind_s` keeps few.
_CAPACITY = 4096


@dataclass(frozen=True)
class Sample:
    """One message of a stream: its header stamp, when it was received (monotonic) and its raw bytes."""

    stamp_ns: int
    receive_ns: int
    raw: Any


@dataclass(frozen=True)
class Refusal:
    """Why there is no sample: the stream and the reason, for the status and for a person."""

    tick_ns: int
    stream: str
    reason: str

    def __str__(self) -> str:
        return f"{self.stream}: {self.reason}"


@dataclass(frozen=True)
class AlignedTick:
    """One sample of every stream at a tick."""

    tick_ns: int
    samples: Mapping[str, Sample]

    @property
    def stamps_ns(self) -> dict[str, int]:
        """Header stamp chosen for every stream."""
        return {stream: sample.stamp_ns for stream, sample in self.samples.items()}


class StreamBuffer:
    """The newest messages of one stream in the order of their stamps.

    A message stamped at or before the newest one is dropped and counted: an out-of-order frame never changes what an
    earlier tick saw.

    Args:
        name: Of the stream.
        max_age_s: Oldest message that a tick may use.
        latency_s: See `sample`.
        capacity: Messages kept at most.
        behind_s: How far a tick may lie behind the newest message; what is too old even for that one is let go. A
            second of pictures is tens of megabytes.
    """

    def __init__(
        self,
        name: str,
        max_age_s: float,
        latency_s: float = 0.0,
        capacity: int = _CAPACITY,
        behind_s: float = math.inf,
    ) -> None:
        self.name = name
        self.max_age_ns = round(max_age_s * _SECOND_NS)
        self.latency_ns = round(latency_s * _SECOND_NS)
        self.out_of_order = 0
        self._kept_ns = (max_age_s + latency_s + behind_s) * _SECOND_NS
        self._samples: deque[Sample] = deque(maxlen=capacity)

    @property
    def newest_stamp_ns(self) -> int | None:
        """Stamp of the newest message, None before the first."""
        return self._samples[-1].stamp_ns if self._samples else None

    @property
    def oldest_stamp_ns(self) -> int | None:
        """Stamp of the oldest message kept, None before the first."""
        return self._samples[0].stamp_ns if self._samples else None

    def clear(self) -> None:
        """Forget everything, after a reset or a clock jump."""
        self._samples.clear()

    def push(self, stamp_ns: int, receive_ns: int, raw: Any) -> bool:
        """Add a message; False when it was dropped as out of order."""
        if self._samples and stamp_ns <= self._samples[-1].stamp_ns:
            self.out_of_order += 1
            return False
        self._samples.append(Sample(stamp_ns, receive_ns, raw))
        while self._samples[0].stamp_ns < stamp_ns - self._kept_ns:
            self._samples.popleft()
        return True

    def sample(self, tick_ns: int, now_ns: int | None = None) -> Sample | Refusal:
        """The newest message stamped at or before `tick - latency`.

        Args:
            tick_ns: Tick in ROS time.
            now_ns: Monotonic time, to refuse a stream that stopped arriving; None offline and in lock-step.
        """
        wanted_ns = tick_ns - self.latency_ns
        found = None
        for each in reversed(self._samples):
            if each.stamp_ns <= wanted_ns:
                found = each
                break
        if found is None:
            return Refusal(tick_ns, self.name, "no message yet" if not self._samples else "no message old enough")
        age_ns = wanted_ns - found.stamp_ns
        if age_ns > self.max_age_ns:
            return Refusal(
                tick_ns, self.name, f"stale: {age_ns / 1e6:.1f} ms old, allowed {self.max_age_ns / 1e6:.1f} ms"
            )
        if now_ns is not None:
            silent_ns = now_ns - self._samples[-1].receive_ns
            if silent_ns > self.max_age_ns + self.latency_ns:
                return Refusal(
                    tick_ns, self.name, f"silent: {silent_ns / 1e6:.1f} ms, allowed {self.max_age_ns / 1e6:.1f} ms"
                )
        return found

    def exactly(self, tick_ns: int, stamp_ns: int) -> Sample | Refusal:
        """The message with this very stamp."""
        index = bisect_right(self._samples, stamp_ns, key=lambda each: each.stamp_ns) - 1
        if index < 0 or self._samples[index].stamp_ns != stamp_ns:
            return Refusal(tick_ns, self.name, f"no message stamped {stamp_ns}")
        return self._samples[index]


def stream_names(contract: Contract) -> dict[str, str]:
    """By topic how the stream of a contract is called."""
    return {
        **{camera.topic: f"{CAMERA}:{name}" for name, camera in contract.cameras.items()},
        **{source.topic: f"{JOINTS}:{source.topic}" for source in contract.robot.joint_states},
        **{wrench.topic: f"{WRENCH}:{name}" for name, wrench in contract.wrenches.items()},
    }


class Aligner:
    """The streams of a contract side by side.

    Streams are named `camera:<name>`, `joints:<topic>` and `wrench:<name>`; see `stream_names`.

    Args:
        contract: Names the streams and their ages.
        capacity: See `StreamBuffer`.
        behind_s: See `StreamBuffer`.
    """

    def __init__(self, contract: Contract, capacity: int = _CAPACITY, behind_s: float = math.inf) -> None:
        self.contract = contract
        self.buffers: dict[str, StreamBuffer] = {}
        self._by_topic: dict[str, StreamBuffer] = {}
        names = stream_names(contract)
        for sensor in (*contract.cameras.values(), *contract.wrenches.values()):
            ages = sensor.max_age_s, sensor.latency_s
            self._add(sensor.topic, StreamBuffer(names[sensor.topic], *ages, capacity, behind_s))
        for source in contract.robot.joint_states:
            max_age_s = min(source.max_age_s, contract.state_max_age_s)
            self._add(source.topic, StreamBuffer(names[source.topic], max_age_s, 0.0, capacity, behind_s))

    def _add(self, topic: str, buffer: StreamBuffer) -> None:
        self.buffers[buffer.name] = buffer
        self._by_topic[topic] = buffer

    @property
    def topics(self) -> tuple[str, ...]:
        """Topics that the aligner takes."""
        return tuple(self._by_topic)

    def push(self, topic: str, stamp_ns: int, receive_ns: int, raw: Any) -> bool:
        """Add a message of a topic; False when it was dropped as out of order.

        Raises:
            LearnedArmError: The contract has no such topic.
        """
        if topic not in self._by_topic:
            raise LearnedArmError("topic not in the contract", got=topic, allowed=list(self._by_topic))
        return self._by_topic[topic].push(stamp_ns, receive_ns, raw)

    def clear(self) -> None:
        """Forget everything, after a reset or a clock jump."""
        for buffer in self.buffers.values():
            buffer.clear()

    def reached(self, stamp_ns: int) -> bool:
        """Whether every stream has a message stamped at or after this time."""
        newest = [buffer.newest_stamp_ns for buffer in self.buffers.values()]
        return all(stamp is not None and stamp >= stamp_ns for stamp in newest)

    def sample(self, tick_ns: int, now_ns: int | None = None) -> AlignedTick | Refusal:
        """One sample of every stream at a tick, or the first reason against it."""
        samples: dict[str, Sample] = {}
        for name, buffer in self.buffers.items():
            found = buffer.sample(tick_ns, now_ns)
            if isinstance(found, Refusal):
                return found
            samples[name] = found
        return AlignedTick(tick_ns, samples)

    def at_stamps(self, tick_ns: int, stamps_ns: Mapping[str, int]) -> AlignedTick | Refusal:
        """The samples with exactly these stamps: rebuilds offline what a policy saw."""
        samples: dict[str, Sample] = {}
        for name, buffer in self.buffers.items():
            if name not in stamps_ns:
                return Refusal(tick_ns, name, "no stamp was published for this stream")
            found = buffer.exactly(tick_ns, stamps_ns[name])
            if isinstance(found, Refusal):
                return found
            samples[name] = found
        return AlignedTick(tick_ns, samples)


def ticks_between(first_ns: int, last_ns: int, period_ns: int) -> range:
    """Ticks of the absolute grid in [first, last]: the multiples of the period."""
    start = -(-first_ns // period_ns) * period_ns
    return range(start, last_ns + 1, period_ns)
