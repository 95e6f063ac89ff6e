"""Overlapping chunks of absolute targets -> the targets to send next. Everything lies on the tick grid.

Chunks are decoded before they come here: labels relative to different references cannot be averaged, targets
can.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from learned_arm.errors import LearnedArmError
from learned_arm.timeline import Timeline

NEWEST_FIRST = "newest_first"
OLDEST_FIRST = "oldest_first"
ORDERS = (NEWEST_FIRST, OLDEST_FIRST)
_NO_SLOT = -(2**62)
_WEIGHT, _SEEN, _SUM = range(3)


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
        self.reset()

    def needs_chunk(self, tick_ns: int) -> bool:
        """Always: every tick adds a prediction."""
        return True

    def push(self, tick_ns: int, stamps_ns: NDArray[np.int64], targets_rad: NDArray[np.float64]) -> None:
        """Add the chunk of a tick; what lies before it may be forgotten."""
        tick, rest = divmod(tick_ns, self.period_ns)
        if self._tick is not None and tick <= self._tick:
            newest_ns = self._tick * self.period_ns
            raise LearnedArmError("chunk out of order", got=tick_ns, allowed=f"later than {newest_ns}")
        chunk = Timeline(stamps_ns, targets_rad)
        first, off = divmod(int(stamps_ns[0]), self.period_ns)
        last = first + len(stamps_ns) - 1
        if rest or off or chunk.end_ns != last * self.period_ns:
            raise LearnedArmError("chunk off the grid", got=stamps_ns[:4].tolist(), allowed=f"every {self.period_ns}")
        self._make_room(last + 1 - min(first, tick), targets_rad.shape[1])
        self._add(tick, np.arange(first, last + 1), targets_rad)
        self._tick, self._end = tick, last if self._end is None else max(self._end, last)

    def timeline(self, first_ns: int, count: int) -> Timeline:
        """The averaged targets of the next slots."""
        first, rest = divmod(first_ns, self.period_ns)
        if self._end is None or rest or first > self._end:
            return EMPTY
        slots = np.arange(first, min(first + count - 1, self._end) + 1)
        at = slots % len(self._slot)
        there = self._slot[at] == slots
        if not there.all():
            reach = int(np.argmin(there))
            slots, at = slots[:reach], at[:reach]
        if not len(slots):
            return EMPTY
        rows, dof = self._rows[at], self._dof
        averages = rows[:, _SUM : _SUM + dof] / rows[:, _WEIGHT, None]
        # An average lies between what it averages; rounding must not move predictions that agree.
        np.maximum(averages, rows[:, _SUM + dof : _SUM + 2 * dof], out=averages)
        np.minimum(averages, rows[:, _SUM + 2 * dof :], out=averages)
        return Timeline(slots * self.period_ns, averages)

    @property
    def end_ns(self) -> int | None:
        """The furthest end of all chunks."""
        return None if self._end is None else self._end * self.period_ns

    def reset(self) -> None:
        """Forget all chunks."""
        self._tick: int | None = None
        self._end: int | None = None
        self._slot, self._rows, self._dof = np.empty(0, np.int64), np.empty((0, 0)), 0

    def _add(self, tick: int, slots: NDArray[np.int64], targets: NDArray[np.float64]) -> None:
        dof, at = self._dof, slots % len(self._slot)
        rows, fresh = self._rows[at], self._slot[at] != slots
        rows[fresh] = self._nothing
        weights, seen = rows[:, _WEIGHT], rows[:, _SEEN]
        total, least = rows[:, _SUM : _SUM + dof], rows[:, _SUM + dof : _SUM + 2 * dof]
        if self.order == OLDEST_FIRST:
            weight = np.exp(-self.decay * seen)
            seen += 1
            weights += weight
            total += weight[:, None] * targets
        else:
            # Of each slot the newest weighs 1: whatever decays beside it, the weights never vanish together.
            kept = np.exp(-self.decay * (tick - seen))
            seen[:] = tick
            weights *= kept
            weights += 1.0
            total *= kept[:, None]
            total += targets
        np.minimum(least, targets, out=least)
        most = rows[:, _SUM + 2 * dof :]
        np.maximum(most, targets, out=most)
        self._rows[at] = rows
        self._slot[at] = slots

    def _make_room(self, slots: int, dof: int) -> None:
        """Have places for so many slots in a row; slot s has place s modulo their number.

        Of each slot is kept, beside its number: the weight of all its predictions; what the next weight is told by,
        how many there were, or the tick of the newest; their weighted sum, the smallest and the largest of them.
        """
        if len(self._slot) >= slots:
            return
        size = 2 * slots
        slot, rows = np.full(size, _NO_SLOT), np.zeros((size, _SUM + 3 * dof))
        used = self._slot != _NO_SLOT
        at = self._slot[used] % size
        slot[at], self._dof = self._slot[used], dof
        if len(at):
            rows[at] = self._rows[used]
        self._slot, self._rows = slot, rows
        self._nothing = np.repeat([0.0, 0.0, 0.0, np.inf, -np.inf], [1, 1, dof, dof, dof])


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
        return self._chunk.part(start, start + count)

    @property
    def end_ns(self) -> int | None:
        """The end of the chunk."""
        return None if self._chunk is None else self._chunk.end_ns

    def reset(self) -> None:
        """Forget the chunk."""
        self._chunk = None


EMPTY = Timeline(np.empty(0, dtype=np.int64), np.empty((0, 0)))
"""The timeline that says stop and hold."""
