"""When a policy ticks: on the absolute grid of ROS time, or in lock-step when every stream is there."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

from learned_arm.errors import LearnedArmError

_LARGEST_CLOCK_JUMP_NS = 500_000_000


class Pacer(ABC):
    """Hands out ticks: to a thread that sleeps in `wait` between them, or to whoever asks with `take`.

    Args:
        period_ns: One tick; ticks are the multiples of it.
    """

    def __init__(self, period_ns: int) -> None:
        self.period_ns = period_ns
        self.missed = 0
        self._last_ns: int | None = None
        self._running = False
        self._closed = False
        self._condition = threading.Condition()

    def begin(self, first_ns: int = 0) -> None:
        """Give out ticks from `first_ns` on, or from now where that is 0; a running pacer goes on."""
        with self._condition:
            if not self._running:
                self._running, self._last_ns = True, first_ns - self.period_ns if first_ns else None
                self._restart()
                self._condition.notify_all()

    def end(self) -> None:
        """Give out no more ticks."""
        with self._condition:
            self._running = False

    def close(self) -> None:
        """Let the waiting thread go."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def take(self) -> int | None:
        """The tick that is due now, if one is."""
        with self._condition:
            tick_ns = self._due()[0] if self._running else None
            if tick_ns is not None:
                self._last_ns = tick_ns
            return tick_ns

    def wait(self) -> int | None:
        """Sleep until the next tick and return it; None when closed.

        Raises:
            LearnedArmError: The clock jumped.
        """
        with self._condition:
            while not self._closed:
                tick_ns, pause_s = self._due() if self._running else (None, None)
                if tick_ns is not None:
                    self._last_ns = tick_ns
                    return tick_ns
                self._condition.wait(pause_s)
            return None

    @abstractmethod
    def _restart(self) -> None:
        """Forget what was known of the time before."""

    @abstractmethod
    def _due(self) -> tuple[int | None, float | None]:
        """The tick that is due, or how long to sleep at most (None: until it begins or ends)."""


class RealTimePacer(Pacer):
    """Ticks of the grid as they pass; a thread that comes late skips to the newest and counts what it missed.

    Args:
        period_ns: One tick.
        now_ns: ROS time.
        monotonic_ns: Monotonic time, against which a jump of ROS time shows.
    """

    def __init__(self, period_ns: int, now_ns: Callable[[], int], monotonic_ns: Callable[[], int]) -> None:
        super().__init__(period_ns)
        self._now_ns, self._monotonic_ns = now_ns, monotonic_ns
        self._restart()

    def _restart(self) -> None:
        self._offset_ns: int | None = None

    def _due(self) -> tuple[int | None, float | None]:
        now_ns = self._now_ns()
        offset_ns = now_ns - self._monotonic_ns()
        jump_ns = 0 if self._offset_ns is None else offset_ns - self._offset_ns
        self._offset_ns = offset_ns
        newest_ns = now_ns // self.period_ns * self.period_ns
        if abs(jump_ns) > _LARGEST_CLOCK_JUMP_NS:
            self._last_ns = newest_ns
            raise LearnedArmError("the clock jumped", got=f"{jump_ns / 1e9:+.3f} s", allowed="less than 0.5 s")
        if self._last_ns is None:
            self._last_ns = newest_ns
        next_ns = self._last_ns + self.period_ns
        if now_ns < next_ns:
            return None, (next_ns - now_ns) / 1e9
        self.missed += (newest_ns - next_ns) // self.period_ns
        return newest_ns, None


class LockStepPacer(Pacer):
    """Every tick, in order, as soon as all streams have reached it; the first is the newest at the beginning.

    Args:
        period_ns: One tick.
        reached_ns: The newest tick that every stream has reached, None before each has a message.
    """

    def __init__(self, period_ns: int, reached_ns: Callable[[], int | None]) -> None:
        super().__init__(period_ns)
        self._reached_ns = reached_ns

    def _restart(self) -> None:
        pass

    def _due(self) -> tuple[int | None, float | None]:
        reached_ns = self._reached_ns()
        if reached_ns is None:
            return None, None
        next_ns = reached_ns if self._last_ns is None else self._last_ns + self.period_ns
        return (next_ns, None) if next_ns <= reached_ns else (None, None)
