"""When the ticks of a control loop are due, and how late they began. Monotonic time, as an argument."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Lateness:
    """How late ticks began.

    Attributes:
        p99_ms: What 99 of 100 ticks keep.
        max_ms: The latest tick.
        ticks: Over how many ticks.
    """

    p99_ms: float = 0.0
    max_ms: float = 0.0
    ticks: int = 0


class ControlGrid:
    """Ticks at the multiples of a period from a start on; remembers the lateness of the last ones in bounded memory.

    A loop that comes more than a period late does not make up for what it missed: those ticks are left out and counted,
    and the grid keeps its phase. With a period of 4 and tick 4 begun at 13, ticks 8 and 12 are missed and 16 is next.

    Attributes:
        due_ns: When the next tick is due.
        missed: Ticks that were left out since the start.

    Args:
        period_ns: One tick.
        start_ns: The first tick is due one period after it.
        window: How many ticks `lateness` looks back.
    """

    def __init__(self, period_ns: int, start_ns: int, window: int) -> None:
        self._period_ns = period_ns
        self.due_ns = start_ns + period_ns
        self.missed = 0
        self._late_ns = np.zeros(window, dtype=np.int64)
        self._begun = 0

    def begin(self, now_ns: int) -> None:
        """Note that the due tick begins now."""
        late_ns = now_ns - self.due_ns
        self._late_ns[self._begun % len(self._late_ns)] = late_ns
        self._begun += 1
        passed = max(late_ns // self._period_ns, 0)
        self.missed += passed
        self.due_ns += (passed + 1) * self._period_ns

    def lateness(self) -> Lateness:
        """Over the last `window` ticks; may be called from another thread."""
        ticks = min(self._begun, len(self._late_ns))
        if not ticks:
            return Lateness()
        late_ns = self._late_ns[:ticks].copy()
        rank = ticks - 1 - ticks // 100
        # Ordered no further than the one value asks for: this runs beside the loop that it judges.
        late_ns.partition(rank)
        return Lateness(float(late_ns[rank]) / 1e6, float(late_ns[rank:].max()) / 1e6, ticks)
