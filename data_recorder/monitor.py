"""How the streams are that a contract needs: OK, SLOW, STALLED or MISSING, with rate and age. No clock, no ROS."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

_WINDOW_NS = 2_000_000_000
# Enough for the fastest stream of a window; a faster one is judged by its last messages.
_MOST_STAMPS = 4096
# Timers and schedulers jitter: a stream is slow when a fifth is missing.
LEAST_SHARE = 0.8


class Health(StrEnum):
    """How a stream is."""

    OK = "OK"
    SLOW = "SLOW"
    STALLED = "STALLED"
    MISSING = "MISSING"


@dataclass(frozen=True)
class StreamHealth:
    """A stream at a moment.

    Attributes:
        health: The verdict.
        rate_hz: Messages a second, by header stamps where there are any: a simulation that runs faster or slower than
            real time still makes as many a second of its own.
        needed_hz: What the contract needs.
        age_s: Since the last message was received, None before the first.
    """

    health: Health
    rate_hz: float
    needed_hz: float
    age_s: float | None

    def __str__(self) -> str:
        age = "never came" if self.age_s is None else f"{self.rate_hz:.1f} Hz, {self.age_s:.2f} s ago"
        needed = f", needs {self.needed_hz:g} Hz" if self.health is Health.SLOW else ""
        return f"{self.health} {age}{needed}"


class StreamWatch:
    """Follows one stream.

    Args:
        needed_hz: Rate that the stream must have.
    """

    def __init__(self, needed_hz: float) -> None:
        self.needed_hz = needed_hz
        self._stamps: deque[int] = deque(maxlen=_MOST_STAMPS)
        self._last_ns: int | None = None

    def add(self, received_ns: int, stamp_ns: int) -> None:
        """Take a message: when it was received, and the stamp that its rate is measured by."""
        self._last_ns = received_ns
        stamps = self._stamps
        if stamps and stamp_ns < stamps[-1]:
            # A clock that was set: the rate is known again after a window.
            stamps.clear()
        stamps.append(stamp_ns)
        while stamp_ns - stamps[0] > _WINDOW_NS:
            stamps.popleft()

    @property
    def rate_hz(self) -> float:
        """Over the last two seconds of stamps; 0 below three messages."""
        stamps = self._stamps
        if len(stamps) < 3 or stamps[-1] == stamps[0]:
            return 0.0
        return (len(stamps) - 1) * 1e9 / (stamps[-1] - stamps[0])

    def health(self, now_ns: int, stale_ns: int) -> StreamHealth:
        """The verdict at a time."""
        if self._last_ns is None:
            return StreamHealth(Health.MISSING, 0.0, self.needed_hz, None)
        age_ns, rate_hz = max(now_ns - self._last_ns, 0), self.rate_hz
        found = Health.OK if rate_hz >= LEAST_SHARE * self.needed_hz else Health.SLOW
        if age_ns > stale_ns:
            found = Health.STALLED
        return StreamHealth(found, rate_hz, self.needed_hz, age_ns / 1e9)


class Monitor:
    """Follows every stream of a contract.

    Args:
        needed_hz: By topic the rate that it must have.
        stale_s: Age past which a stream has stalled.
    """

    def __init__(self, needed_hz: Mapping[str, float], stale_s: float) -> None:
        self._watches = {topic: StreamWatch(rate_hz) for topic, rate_hz in needed_hz.items()}
        self._stale_ns = round(stale_s * 1e9)

    @property
    def topics(self) -> frozenset[str]:
        """Topics that it follows."""
        return frozenset(self._watches)

    def add(self, topic: str, received_ns: int, stamp_ns: int) -> None:
        """Take a message of a stream that it follows; see `StreamWatch.add`."""
        self._watches[topic].add(received_ns, stamp_ns)

    def look(self, now_ns: int) -> dict[str, StreamHealth]:
        """By topic how it is."""
        return {topic: watch.health(now_ns, self._stale_ns) for topic, watch in self._watches.items()}

    def against_start(self, now_ns: int) -> list[str]:
        """What stands against starting an episode, by stream, in words."""
        return [f"{topic} {health}" for topic, health in self.look(now_ns).items() if health.health is not Health.OK]
