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
from learned_arm.timeline import Timeline, sound

NEWEST_FIRST = "newest_first"
OLDEST_FIRST = "oldest_first"
ORDERS = (NEWEST_FIRST, OLDEST_FIRST)
_WEIGHT, _SEEN, _SUM = range(3)


class Chunker(Protocol):
    """Turns the chunks of a policy into one stream of targets."""

    def needs_chunk(self, tick_ns: int) -> bool:
        """Whether the policy must be asked at this tick."""
        ...

    def push(self, tick_ns: int, chunk: Timeline) -> None:
        """Take the chunk of a tick: one target a tick, stamped on the grid."""
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
        self._nothing = np.empty(0)
        self.reset()

    def needs_chunk(self, tick_ns: int) -> bool:
        """Always: every tick adds a prediction."""
        return True

    def push(self, tick_ns: int, chunk: Timeline) -> None:
        """Add the chunk of a tick; what lies before both is forgotten."""
        tick, rest = divmod(tick_ns, self.period_ns)
        if self._tick is not None and tick <= self._tick:
            newest_ns = self._tick * self.period_ns
            raise LearnedArmError("chunk out of order", got=tick_ns, allowed=f"later than {newest_ns}")
        first, off = divmod(int(chunk.stamps_ns[0]), self.period_ns)
        count = len(chunk.stamps_ns)
        if rest or off or chunk.end_ns != (first + count - 1) * self.period_ns:
            stamps_ns = chunk.stamps_ns[:4].tolist()
            raise LearnedArmError("chunk off the grid", got=stamps_ns, allowed=f"every {self.period_ns}")
        self._make_room(min(tick, first), first + count, chunk.positions_rad.shape[1])
        self._add(tick, self._rows[first - self._first : first - self._first + count], chunk.positions_rad)
        self._tick = tick

    def timeline(self, first_ns: int, count: int) -> Timeline:
        """The averaged targets of the next slots."""
        first, rest = divmod(first_ns, self.period_ns)
        at, dof = first - self._first, self._dof
        if rest or not 0 <= at < len(self._rows):
            return EMPTY
        rows = self._rows[at : at + count]
        weights = rows[:, _WEIGHT]
        if not weights.all():
            rows = rows[: int(np.argmin(weights))]
            if not len(rows):
                return EMPTY
        averages = rows[:, _SUM : _SUM + dof] / rows[:, _WEIGHT, None]
        # An average lies between what it averages; rounding must not move predictions that agree.
        np.maximum(averages, rows[:, _SUM + dof : _SUM + 2 * dof], out=averages)
        np.minimum(averages, rows[:, _SUM + 2 * dof :], out=averages)
        return sound(np.arange(first, first + len(rows)) * self.period_ns, averages)

    @property
    def end_ns(self) -> int | None:
        """The furthest end of all chunks."""
        return (self._first + len(self._rows) - 1) * self.period_ns if len(self._rows) else None

    def reset(self) -> None:
        """Forget all chunks."""
        self._tick: int | None = None
        self._first, self._dof, self._rows = 0, 0, np.empty((0, 0))

    def _add(self, tick: int, rows: NDArray[np.float64], targets: NDArray[np.float64]) -> None:
        """Add predictions to what is kept of their slots."""
        dof = self._dof
        weights, seen, total = rows[:, _WEIGHT], rows[:, _SEEN], rows[:, _SUM : _SUM + dof]
        if self.order == OLDEST_FIRST:
            weight = np.exp(-self.decay * seen)
            seen += 1
            weights += weight
            total += weight[:, None] * targets
        else:
            # Of each slot the newest weighs 1: whatever decays beside it, the weights never vanish together.
            kept = np.exp(self.decay * (seen - tick))
            seen[:] = tick
            weights *= kept
            weights += 1.0
            total *= kept[:, None]
            total += targets
        least, most = rows[:, _SUM + dof : _SUM + 2 * dof], rows[:, _SUM + 2 * dof :]
        np.minimum(least, targets, out=least)
        np.maximum(most, targets, out=most)

    def _make_room(self, first: int, stop: int, dof: int) -> None:
        """Have a row for each slot from `first` on, to where the furthest chunk ends.

        Of each slot is kept: the weight of all its predictions; what the next weight is told by, how many there were,
        or the tick of the newest; their weighted sum, the smallest and the largest of them.
        """
        if dof != self._dof:
            self._dof, self._nothing = dof, np.repeat([0.0, np.inf, -np.inf], [_SUM + dof, dof, dof])
        kept = self._rows[max(first - self._first, 0) :]
        before = max(self._first - first, 0)
        rows = np.empty((max(stop - first, before + len(kept) if len(kept) else 0), len(self._nothing)))
        rows[:] = self._nothing
        if len(kept):
            rows[before : before + len(kept)] = kept
        self._first, self._rows = first, rows


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

    def push(self, tick_ns: int, chunk: Timeline) -> None:
        """Replace the chunk."""
        self._tick_ns, self._chunk = tick_ns, chunk

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
