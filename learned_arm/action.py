"""Joint targets <-> labels, in every representation and both ways.

A chunk is `targets[k]`, k = 0 .. K-1: the target in force at `tick + (k + offset_ticks) * period`. With `m` the
measured joints and `c` the command in force at the tick, and dt one period:

| representation  | label k                                  |
|-----------------|------------------------------------------|
| absolute        | targets[k]                               |
| delta           | targets[k] - targets[k-1], targets[-1]=c |
| velocity        | delta / dt                               |
| chunk_relative  | targets[k] - m                           |
| tool_pose       | where the tools are at targets[k]        |
| tool_relative   | the same, seen from where they are at m  |

Deltas are taken against the previous *command*: against the measured state the motion shrinks by the servo's lag.
Groups that the contract keeps absolute are written as targets[k] in every representation; how poses of tools are, and
the joints that move none, says `tool_labels`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learned_arm.contract import TOOL_REPRESENTATIONS, Contract
from learned_arm.errors import LearnedArmError
from learned_arm.timeline import Timeline, sound


@dataclass(frozen=True)
class Reference:
    """What relative labels are relative to, at the tick: measured joints and command in force, rad, shape (dof,)."""

    measured: NDArray[np.float64]
    commanded: NDArray[np.float64]


class ActionCodec:
    """Encodes targets as labels and decodes labels to targets for a contract."""

    def __init__(self, contract: Contract) -> None:
        robot = contract.robot
        self.contract = contract
        self.dof, self.width = robot.dof, len(contract.label_names)
        self._tools = contract.tool_labels
        self.representation = contract.action.representation
        if self._tools is None and self.representation in TOOL_REPRESENTATIONS:
            raise LearnedArmError("labels of no tool", where="action.tools", got="none", allowed="links of the robot")
        self._absolute = np.zeros(robot.dof, dtype=bool)
        for group in contract.action.absolute_groups:
            self._absolute[robot.slices[group]] = True
        self._period_s = contract.period_ns / 1e9
        # Of a chunk at tick 0; chunks of a policy are all of one length.
        self._times_ns = np.empty(0, np.int64)

    def encode(self, targets: NDArray[np.float64], reference: Reference) -> NDArray[np.float32]:
        """Targets of shape (K, dof) in rad -> labels, float32, (K, width)."""
        targets = self._checked(targets, self.dof)
        self._check_reference(reference)
        if self._tools is not None:
            return self._tools.encode(targets, reference.measured).astype(np.float32)
        if self.representation == "absolute":
            labels = targets
        elif self.representation == "chunk_relative":
            labels = targets - reference.measured
        else:
            labels = np.diff(targets, axis=0, prepend=reference.commanded[None])
            if self.representation == "velocity":
                labels = labels / self._period_s
        return np.where(self._absolute, targets, labels).astype(np.float32)

    def decode(self, labels: NDArray[np.float32], reference: Reference) -> NDArray[np.float64]:
        """Labels of shape (K, width) -> targets in rad, (K, dof)."""
        values = self._checked(labels, self.width)
        if self.representation == "absolute":
            return values
        self._check_reference(reference)
        if self._tools is not None:
            return self._tools.decode(values, reference.measured, reference.commanded)
        if self.representation == "chunk_relative":
            targets = values + reference.measured
        else:
            steps = values * self._period_s if self.representation == "velocity" else values
            targets = np.cumsum(steps, axis=0) + reference.commanded
        return np.where(self._absolute, values, targets)

    def timeline(self, tick_ns: int, labels: NDArray[np.float32], reference: Reference) -> Timeline:
        """Labels of a tick -> targets, each stamped with the time at which it is in force."""
        # Sums of finite float32 numbers are finite in float64, as joints within limits are: nothing is left to check.
        targets = self.decode(labels, reference)
        return sound(self.times_ns(tick_ns, len(targets)), targets)

    def times_ns(self, tick_ns: int, count: int) -> NDArray[np.int64]:
        """When each target of a chunk is in force, ROS time, shape (count,)."""
        if len(self._times_ns) != count:
            first = self.contract.action.offset_ticks
            self._times_ns = np.arange(first, first + count, dtype=np.int64) * self.contract.period_ns
        return tick_ns + self._times_ns

    def _check_reference(self, reference: Reference) -> None:
        for name, values in (("measured", reference.measured), ("commanded", reference.commanded)):
            if values.shape != (self.dof,) or not np.isfinite(values).all():
                allowed = f"{self.dof} finite numbers"
                raise LearnedArmError("unusable reference of a chunk", where=name, got=values, allowed=allowed)

    @staticmethod
    def _checked(values: NDArray[np.floating], width: int) -> NDArray[np.float64]:
        if values.ndim != 2 or values.shape[1] != width:
            raise LearnedArmError("wrong shape of a chunk", got=values.shape, allowed=f"(steps, {width})")
        if not np.isfinite(values).all():
            raise LearnedArmError("chunk not finite", got="NaN or infinity", allowed="finite numbers")
        return np.asarray(values, dtype=np.float64)
