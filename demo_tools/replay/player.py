"""What a replay plays: labels through the codec that the policy's output goes through, in the dataset's precision; or,
as the baseline that they are held against, what the door sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from demo_tools.dataset.ticks import EpisodeTicks
from learned_arm.action import ActionCodec, Reference
from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_arm.timeline import Timeline

PRECISIONS = ("float32", "float16")


@dataclass(frozen=True)
class Manner:
    """How labels are played.

    Attributes:
        execute_ticks: Ticks of a chunk that are played before the next one is decoded; None: half the horizon.
        precision: What a label is rounded to, `float32` (what a dataset keeps) or `float16`.
        hold: Each target of a chunk is kept until the next one is due, instead of a straight line to it.
        shift_ticks: By how much later than their labels say the targets are played.
        error_share: Standard deviation of an error added to every label, as a share of the labels' own: what somebody
            who has learned them does to them.
        seed: Of the error.
        against_measured: Labels that are relative to the command are decoded against what is measured: a mistake that
            is often made.
    """

    execute_ticks: int | None = None
    precision: str = "float32"
    hold: bool = False
    shift_ticks: int = 0
    error_share: float = 0.0
    seed: int = 0
    against_measured: bool = False


class Player(Protocol):
    """Gives targets tick by tick.

    Attributes:
        execute_ticks: Ticks that are played before what comes next is decided anew.
    """

    execute_ticks: int

    def __len__(self) -> int: ...

    def step(self, index: int, tick_ns: int, live: Reference) -> Timeline:
        """Targets from tick `index` on, see `LabelPlayer.step`."""
        ...

    def told(self, index: int) -> NDArray[np.float64]:
        """The target that was recorded for a tick, shape (dof,); after `step` of that tick."""
        ...


class SentPlayer:
    """Plays what the door sent, as often as it sent it, whatever the arm does meanwhile.

    Args:
        contract: Robot and tick.
        ticks: Of an episode, with what was sent.

    Raises:
        LearnedArmError: It is not known what was sent.
    """

    execute_ticks = 1

    def __init__(self, contract: Contract, ticks: EpisodeTicks) -> None:
        if ticks.sent is None:
            raise LearnedArmError(
                "what was sent is not known", where="replay", got=contract.action.source, allowed="labels from sent"
            )
        self._ticks, self._sent = ticks, ticks.sent
        self._reach_ns = (contract.action.offset_ticks + 1) * contract.period_ns

    def __len__(self) -> int:
        return len(self._ticks)

    def step(self, index: int, tick_ns: int, live: Reference) -> Timeline:
        """What was sent from tick `index` on, up to one tick past its label; past the end the last is held."""
        from_ns, stamps_ns = int(self._ticks.ticks_ns[index]), self._sent.stamps_ns
        start, stop = np.searchsorted(stamps_ns, (from_ns, from_ns + self._reach_ns + 1)).tolist()
        end_ns = tick_ns + self._reach_ns
        if start == len(stamps_ns):
            return Timeline(np.array([end_ns], np.int64), self._sent.positions_rad[-1:])
        part = self._sent.part(start, max(stop, start + 1))
        later = part.stamps_ns + (tick_ns - from_ns)
        if later[-1] >= end_ns:
            return Timeline(later, part.positions_rad)
        return Timeline(np.append(later, end_ns), np.concatenate([part.positions_rad, part.positions_rad[-1:]]))

    def told(self, index: int) -> NDArray[np.float64]:
        """The target that was recorded for a tick, shape (dof,)."""
        return self._ticks.targets[index]


class LabelPlayer:
    """Plays an episode's labels chunk by chunk.

    A chunk is encoded against what was *recorded* at its tick, as the dataset holds it, and decoded against what the
    robot measures *now*, as a policy's output is: labels that hold only on paper fail here.

    Args:
        contract: Representation, horizon and offset of the labels.
        targets_rad: Absolute target in force at tick + offset, per tick, shape (N, dof).
        measured_rad: Recorded measured joints, shape (N, dof).
        commanded_rad: Recorded command in force, shape (N, dof).
        manner: See `Manner`.
    """

    def __init__(
        self,
        contract: Contract,
        targets_rad: NDArray[np.float64],
        measured_rad: NDArray[np.float64],
        commanded_rad: NDArray[np.float64],
        manner: Manner | None = None,
    ) -> None:
        self._codec, self._manner = ActionCodec(contract), manner or Manner()
        self._contract = contract
        # The dataset keeps targets and states as float32: the precision is part of what is tested.
        self._targets = targets_rad.astype(np.float32).astype(np.float64)
        self._measured = measured_rad.astype(np.float32).astype(np.float64)
        self._commanded = commanded_rad.astype(np.float32).astype(np.float64)
        self._horizon = contract.action.horizon
        self.execute_ticks = self._manner.execute_ticks or max(self._horizon // 2, 1)
        self._error_rad = self._spread() * self._manner.error_share
        self._rng = np.random.default_rng(self._manner.seed)
        self._chunk_start = -1
        self._chunk = self._told = np.empty((0, contract.robot.dof))

    def __len__(self) -> int:
        return len(self._targets)

    def step(self, index: int, tick_ns: int, live: Reference) -> Timeline:
        """Targets from tick `index` on, to the end of the chunk in play.

        Args:
            index: Tick of the episode, 0 .. len - 1.
            tick_ns: The same tick in the time of the replay.
            live: What the robot measures and obeys at this tick.
        """
        start = index - index % self.execute_ticks
        if start != self._chunk_start or index == start:
            labels = self._labels(start)
            labels = labels + (self._rng.normal(size=labels.shape) * self._error_rad[: len(labels)]).astype(np.float32)
            labels = labels.astype(self._manner.precision).astype(np.float32)
            self._chunk = self._codec.decode(labels, self._reference(live))
            self._told = self._codec.decode(labels, self._recorded(start))
            self._chunk_start = start
        rest = self._chunk[index - start :]
        stamps_ns = self._codec.times_ns(tick_ns + self._manner.shift_ticks * self._contract.period_ns, len(rest))
        timeline = Timeline(stamps_ns, rest)
        return held(timeline, self._contract.robot.control_period_ns) if self._manner.hold else timeline

    def told(self, index: int) -> NDArray[np.float64]:
        """The target that the label of a tick names, taken at its word, shape (dof,); after `step` of that tick."""
        return self._told[index - self._chunk_start]

    def _recorded(self, start: int) -> Reference:
        return Reference(self._measured[start], self._commanded[start])

    def _reference(self, live: Reference) -> Reference:
        return Reference(live.measured, live.measured) if self._manner.against_measured else live

    def _labels(self, start: int) -> NDArray[np.float32]:
        """The chunk of a tick as the dataset holds it, shape (K, width)."""
        return self._codec.encode(self._targets[start : start + self._horizon], self._recorded(start))

    def _spread(self) -> NDArray[np.float64]:
        """Standard deviation over the episode of each step of a chunk, shape (horizon, width)."""
        spread = np.zeros((self._horizon, self._codec.width))
        if self._manner.error_share > 0:
            whole = range(max(len(self) - self._horizon + 1, 1))
            chunks = np.stack([self._labels(start) for start in whole])
            spread[: chunks.shape[1]] = chunks.std(axis=0)
        return spread


def held(timeline: Timeline, control_period_ns: int) -> Timeline:
    """A timeline whose points are kept up to one control tick before the next: steps instead of lines."""
    stamps_ns = np.stack([timeline.stamps_ns[:-1], timeline.stamps_ns[1:] - control_period_ns], axis=1).ravel()
    positions = np.repeat(timeline.positions_rad, 2, axis=0)[:-1]
    return Timeline(np.append(stamps_ns, timeline.stamps_ns[-1:]), positions)
