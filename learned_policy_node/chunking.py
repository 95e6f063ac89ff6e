"""Overlapping chunks of absolute targets -> the targets to send next. Everything lies on the tick grid.

Chunks are decoded before they come here: labels relative to different references cannot be averaged, targets
can.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from learned_arm.errors import LearnedArmError
from learned_arm.timeline import Timeline

NEWEST_FIRST = "newest_first"
OLDEST_FIRST = "oldest_first"
ORDERS = (NEWEST_FIRST, OLDEST_FIRST)


class Chunker(Protocol):
    """Turns the chunks of a policy into one stream of targets."""

    def needs_chunk(self, tick_ns: int) -> bool:
        """Whether the policy must be asked at this tick."""
        ...

    def push(self, tick_ns: int, stamps_ns: NDArray[np.int64], targets_rad: NDArray[np.float64]) -> None:
        """Take the chunk of a tick: `targets_rad[k]`, shape (K, dof), is to be in force at `stamps_ns[k]`.

        Stamps are on the grid, one a tick.
        """
        ...

    def timeline(self, first_ns: int, count: int) -> Timeline:
        """At most `count` targets on the grid from `first_ns` on; fewer where no chunk reaches further."""
        ...

    @property
    def end_ns(self) -> int | None:
        """Time of the last target that any chunk has; None without one."""
        ...

    def reset(self) -> None:
        """Forget all chunks."""
        ...


class TemporalEnsemble:
    """Averages every prediction ever made for a slot of the grid: a chunk a tick, all of them used.

    The weights of a slot's predictions are exp(-decay * i), normalised (Zhao et al. 2023, "Learning
    Fine-Grained Bimanual Manipulation with Low-Cost Hardware", section IV.B). What i counts is the `order`:

    - `oldest_first`: i = 0 is the oldest prediction, i counts the predictions there are. The paper's form,
      with decay 0.01: the oldest weighs most, so that new information enters slowly.
    - `newest_first`: i is the age of the chunk in ticks. The newest weighs most; decay 0.05 is this
      project's recipe.

    Args:
        period_ns: One tick.
        decay: Not negative; 0 is the plain mean.
        order: `newest_first` or `oldest_first`.
    """

    def __init__(self, period_ns: int, decay: float = 0.05, order: str = NEWEST_FIRST) -> None:
        if not math.isfinite(decay) or decay < 0:
            raise LearnedArmError("wrong decay of the ensemble", got=decay, allowed="a finite number, 0 or more")
        if order not in ORDERS:
            raise LearnedArmError("unknown order of the ensemble", got=order, allowed=list(ORDERS))
        self.period_ns, self.decay, self.order = period_ns, decay, order
        self._chunks: deque[tuple[int, Timeline]] = deque()

    def needs_chunk(self, tick_ns: int) -> bool:
        """Always: every tick adds a prediction."""
        return True

    def push(self, tick_ns: int, stamps_ns: NDArray[np.int64], targets_rad: NDArray[np.float64]) -> None:
        """Add the chunk of a tick; chunks that end before it are forgotten."""
        if self._chunks and tick_ns <= self._chunks[-1][0]:
            raise LearnedArmError("chunk out of order", got=tick_ns, allowed=f"later than {self._chunks[-1][0]}")
        chunk = Timeline(stamps_ns, targets_rad)
        if chunk.end_ns - int(stamps_ns[0]) != (len(stamps_ns) - 1) * self.period_ns:
            raise LearnedArmError("chunk off the grid", got=np.diff(stamps_ns)[:4].tolist(), allowed=self.period_ns)
        self._chunks.append((tick_ns, chunk))
        while self._chunks[0][1].end_ns < tick_ns:
            self._chunks.popleft()

    def timeline(self, first_ns: int, count: int) -> Timeline:
        """The averaged targets of the next slots."""
        slots = first_ns + np.arange(count, dtype=np.int64) * self.period_ns
        averages = []
        for slot_ns in slots.tolist():
            average = self._average(slot_ns)
            if average is None:
                break
            averages.append(average)
        return Timeline(slots[: len(averages)], np.array(averages)) if averages else EMPTY

    @property
    def end_ns(self) -> int | None:
        """The furthest end of all chunks."""
        return max((chunk.end_ns for _, chunk in self._chunks), default=None)

    def reset(self) -> None:
        """Forget all chunks."""
        self._chunks.clear()

    def _average(self, slot_ns: int) -> NDArray[np.float64] | None:
        rows, ticks = [], []
        for tick_ns, chunk in self._chunks:
            index, rest = divmod(slot_ns - int(chunk.stamps_ns[0]), self.period_ns)
            if rest == 0 and 0 <= index < len(chunk.stamps_ns):
                rows.append(chunk.positions_rad[index])
                ticks.append(tick_ns)
        if not rows:
            return None
        predictions = np.array(rows)
        if self.order == OLDEST_FIRST:
            ages = np.arange(len(rows), dtype=np.float64)
        else:
            ages = (ticks[-1] - np.array(ticks, dtype=np.float64)) / self.period_ns
        weights = np.exp(-self.decay * ages)
        average = weights @ predictions / weights.sum()
        # An average lies between what it averages; rounding must not move predictions that agree.
        return np.clip(average, predictions.min(axis=0), predictions.max(axis=0))


class RecedingHorizon:
    """Executes the first `execute_steps` targets of a chunk, then asks for the next.

    Source: Chi et al. 2023, "Diffusion Policy". The rest of the chunk stays in the timeline behind them: a
    policy that is late is followed along its last plan.

    Args:
        period_ns: One tick.
        execute_steps: Ticks from one chunk to the next, 1 or more.
    """

    def __init__(self, period_ns: int, execute_steps: int) -> None:
        if execute_steps < 1:
            raise LearnedArmError("wrong number of steps to execute", got=execute_steps, allowed="1 .. the horizon")
        self.period_ns, self.execute_steps = period_ns, execute_steps
        self._tick_ns = 0
        self._chunk: Timeline | None = None

    def needs_chunk(self, tick_ns: int) -> bool:
        """Whether the steps of the last chunk are used up."""
        return self._chunk is None or tick_ns >= self._tick_ns + self.execute_steps * self.period_ns

    def push(self, tick_ns: int, stamps_ns: NDArray[np.int64], targets_rad: NDArray[np.float64]) -> None:
        """Replace the chunk."""
        self._tick_ns, self._chunk = tick_ns, Timeline(stamps_ns, targets_rad)

    def timeline(self, first_ns: int, count: int) -> Timeline:
        """The next targets of the chunk."""
        if self._chunk is None:
            return EMPTY
        start = int(np.searchsorted(self._chunk.stamps_ns, first_ns))
        if start == len(self._chunk.stamps_ns):
            return EMPTY
        return Timeline(self._chunk.stamps_ns[start : start + count], self._chunk.positions_rad[start : start + count])

    @property
    def end_ns(self) -> int | None:
        """The end of the chunk."""
        return None if self._chunk is None else self._chunk.end_ns

    def reset(self) -> None:
        """Forget the chunk."""
        self._chunk = None


EMPTY = Timeline(np.empty(0, dtype=np.int64), np.empty((0, 0)))
"""The timeline that says stop and hold."""
