"""Recorded labels -> targets, through the codec that the policy's output goes through, in the dataset's precision."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from learned_arm.action import ActionCodec, Reference
from learned_arm.contract import Contract
from learned_arm.timeline import Timeline


class LabelPlayer:
    """Plays an episode's labels chunk by chunk.

    A chunk is encoded against what was *recorded* at its tick, as the dataset holds it, and decoded against what the
    robot measures *now*, as a policy's output is: labels that hold only on paper fail here.

    Args:
        contract: Representation, horizon and offset of the labels.
        targets_rad: Absolute target in force at tick + offset, per tick, shape (N, dof).
        measured_rad: Recorded measured joints, shape (N, dof).
        commanded_rad: Recorded command in force, shape (N, dof).
        execute_ticks: Ticks of a chunk that are played before the next one is decoded.
    """

    def __init__(
        self,
        contract: Contract,
        targets_rad: NDArray[np.float64],
        measured_rad: NDArray[np.float64],
        commanded_rad: NDArray[np.float64],
        execute_ticks: int | None = None,
    ) -> None:
        self._codec = ActionCodec(contract)
        # The dataset keeps targets and states as float32: the precision is part of what is tested.
        self._targets = targets_rad.astype(np.float32).astype(np.float64)
        self._measured = measured_rad.astype(np.float32).astype(np.float64)
        self._commanded = commanded_rad.astype(np.float32).astype(np.float64)
        self._horizon = contract.action.horizon
        self.execute_ticks = execute_ticks or max(self._horizon // 2, 1)
        self._chunk_start = -1
        self._chunk = np.empty((0, contract.robot.dof))

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
            recorded = Reference(self._measured[start], self._commanded[start])
            labels = self._codec.encode(self._targets[start : start + self._horizon], recorded)
            self._chunk = self._codec.decode(labels, live)
            self._chunk_start = start
        rest = self._chunk[index - start :]
        return Timeline(self._codec.times_ns(tick_ns, len(rest)), rest)
