"""The joint targets of a recording over time: what was in force at a tick, and whether anything was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo_tools.dataset.sources import source_index
from learned_arm.cdr import JointStateView
from learned_arm.errors import LearnedArmError
from learned_arm.timeline import Timeline

# Slower than this, over one tick, the arm counts as stopped.
_STILL_RAD_S = 0.02


@dataclass(frozen=True)
class TargetTrack:
    """Targets in force, from the first moment at which every joint has one.

    Attributes:
        stamps_ns: When something was said about targets, increasing, shape (M,).
        positions_rad: Targets in force from then on, joint order, shape (M, dof).
        sources: Who commanded from then on, index into `SOURCE_NAMES`, shape (M,).
        rests: Where the door said that nobody commands: what is in force then is held however long it is silent,
            shape (M,).
        last_ns: When a target was last given; what is in force afterwards is only held.
        max_age_ns: Longest silence over which a target counts as in force.
    """

    stamps_ns: NDArray[np.int64]
    positions_rad: NDArray[np.float64]
    sources: NDArray[np.int64]
    rests: NDArray[np.bool_]
    last_ns: int
    max_age_ns: int

    @property
    def first_ns(self) -> int:
        """When the first target came into force."""
        return int(self.stamps_ns[0])

    def at(self, times_ns: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The newest target stamped at or before each time.

        Args:
            times_ns: Shape (N,).

        Returns:
            Targets, shape (N, dof), and whether each was in force: not before the first one, and not after a silence.
            Rows that are not in force hold no meaning.
        """
        known, in_force = self._in_force(times_ns)
        return self.positions_rad[known], in_force

    def sources_at(self, times_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Who commanded at each time, index into `SOURCE_NAMES`; unnamed where no target was in force."""
        known, in_force = self._in_force(times_ns)
        return np.where(in_force, self.sources[known], source_index(""))

    def _in_force(self, times_ns: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        index = np.searchsorted(self.stamps_ns, times_ns, side="right") - 1
        known = np.maximum(index, 0)
        fresh = (times_ns - self.stamps_ns[known] <= self.max_age_ns) | self.rests[known]
        return known, (index >= 0) & fresh

    def since(self, from_ns: int) -> Timeline:
        """All targets from a time on, as often as they were given."""
        kept = (self.stamps_ns >= from_ns) & (self.stamps_ns <= self.last_ns)
        return Timeline(self.stamps_ns[kept], self.positions_rad[kept])

    def stopped_at_end(self, period_ns: int) -> bool:
        """Whether the targets stood still over the last period, so that the last one may be held on."""
        times = np.array([self.last_ns - period_ns, self.last_ns], dtype=np.int64)
        positions, in_force = self.at(times)
        return bool(in_force.all()) and is_still(positions, period_ns)


def is_still(positions_rad: NDArray[np.float64], period_ns: int) -> bool:
    """Whether joints sampled once a period, shape (N, dof), moved slower than counts as a motion."""
    steps = np.abs(np.diff(positions_rad, axis=0))
    return bool((steps <= _STILL_RAD_S * period_ns / 1e9).all())


class TargetCollector:
    """Collects a stream of stamped targets; each message names the joints that were commanded.

    A joint that a message leaves out keeps its last target, as its driver does; a message that names none says only
    that nothing new was commanded. Its frame_id says who commanded.
    """

    def __init__(self, joints: tuple[str, ...]) -> None:
        self._at = {joint: index for index, joint in enumerate(joints)}
        self._current = np.full(len(joints), np.nan)
        self._stamps: list[int] = []
        self._rows: list[NDArray[np.float64]] = []
        self._sources: list[int] = []
        self._rests: list[bool] = []
        self._newest_ns: int | None = None
        self._last_ns = 0

    def add(self, view: JointStateView) -> None:
        """Take a message. One stamped at or before the newest is dropped, as everywhere.

        Raises:
            LearnedArmError: The values do not match the names or are not finite.
        """
        if self._newest_ns is not None and view.stamp_ns <= self._newest_ns:
            return
        self._newest_ns = view.stamp_ns
        if view.names:
            if len(view.position) != len(view.names) or not np.isfinite(view.position).all():
                allowed = f"{len(view.names)} finite numbers"
                raise LearnedArmError("targets cannot be used", got=view.position.tolist(), allowed=allowed)
            self._current = self._current.copy()
            for name, value in zip(view.names, view.position, strict=True):
                if name in self._at:
                    self._current[self._at[name]] = value
            self._last_ns = view.stamp_ns
        if not np.isnan(self._current).any():
            self._stamps.append(view.stamp_ns)
            self._rows.append(self._current)
            self._sources.append(source_index(view.frame_id))
            self._rests.append(not view.names and not view.frame_id)

    def track(self, max_age_ns: int, complete: bool = False) -> TargetTrack | None:
        """What was collected; None when not every joint was ever given a target.

        Args:
            max_age_ns: Longest silence over which a target counts as in force.
            complete: Whether no message was lost, so that a silence in which nobody commands is one.
        """
        if not self._rows:
            return None
        return TargetTrack(
            np.array(self._stamps, dtype=np.int64),
            np.stack(self._rows),
            np.array(self._sources, dtype=np.int64),
            np.array(self._rests, dtype=bool) & complete,
            self._last_ns,
            max_age_ns,
        )
