"""Stamped targets and what they ask for at a time: linear between points, nothing before the first or past the last."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learned_arm.errors import LearnedArmError


@dataclass(frozen=True)
class Timeline:
    """Targets of all joints over time.

    Attributes:
        stamps_ns: ROS time of each point, increasing, shape (K,).
        positions_rad: Targets in joint order, shape (K, dof).
    """

    stamps_ns: NDArray[np.int64]
    positions_rad: NDArray[np.float64]

    def __post_init__(self) -> None:
        stamps, positions = self.stamps_ns, self.positions_rad
        if stamps.ndim != 1 or positions.ndim != 2 or len(stamps) != len(positions):
            raise LearnedArmError(
                "timeline of odd shape", got=(stamps.shape, positions.shape), allowed="(K,), (K, dof)"
            )
        if not np.isfinite(positions).all():
            raise LearnedArmError("timeline not finite", got="NaN or infinity", allowed="finite positions")
        if (stamps[1:] <= stamps[:-1]).any():
            raise LearnedArmError(
                "timeline stamps do not increase", got=stamps[:8].tolist(), allowed="increasing stamps"
            )

    @property
    def empty(self) -> bool:
        """Whether there is no point: a source's way to say stop and hold."""
        return len(self.stamps_ns) == 0

    @property
    def end_ns(self) -> int:
        """Time of the last point."""
        return int(self.stamps_ns[-1])

    def part(self, start: int, stop: int) -> Timeline:
        """Some of its points, by their numbers; what is left of a sound timeline is sound."""
        return sound(self.stamps_ns[start:stop], self.positions_rad[start:stop])

    def later(self, by_ns: int) -> Timeline:
        """The same targets at other times."""
        return sound(self.stamps_ns + by_ns, self.positions_rad)

    def reaches(self, now_ns: int) -> bool:
        """Whether it asks for anything at a time."""
        stamps = self.stamps_ns
        return len(stamps) > 0 and bool(stamps[0] <= now_ns <= stamps[-1])

    def at(self, now_ns: int) -> NDArray[np.float64] | None:
        """Target at a time, shape (dof,); None before the first and past the last point."""
        if not self.reaches(now_ns):
            return None
        stamps = self.stamps_ns
        after = int(np.searchsorted(stamps, now_ns))
        if stamps[after] == now_ns:
            return self.positions_rad[after]
        start, end = int(stamps[after - 1]), int(stamps[after])
        share = (now_ns - start) / (end - start)
        return self.positions_rad[after - 1] + share * (self.positions_rad[after] - self.positions_rad[after - 1])

    def followed_by(self, newer: Timeline, now_ns: int) -> Timeline:
        """This timeline from now to the newer one's first point, then the newer one, as a controller replaces.

        Where the newer one begins in the future, the target of now stays what it is and is joined to it by a line;
        points of the past are dropped.
        """
        if newer.empty or newer.stamps_ns[0] <= now_ns:
            return newer
        here = self.at(now_ns)
        if here is None:
            return newer
        start, stop = np.searchsorted(self.stamps_ns, (now_ns + 1, newer.stamps_ns[0])).tolist()
        now = np.array([now_ns], dtype=np.int64)
        return sound(
            np.concatenate([now, self.stamps_ns[start:stop], newer.stamps_ns]),
            np.concatenate([here[None], self.positions_rad[start:stop], newer.positions_rad]),
        )


def at_point(stamp_ns: int, position_rad: NDArray[np.float64]) -> Timeline:
    """A timeline of one point."""
    return Timeline(np.array([stamp_ns], dtype=np.int64), np.asarray(position_rad, dtype=np.float64)[None].copy())


def sound(stamps_ns: NDArray[np.int64], positions_rad: NDArray[np.float64]) -> Timeline:
    """A timeline that needs no check: finite positions at increasing stamps, as many of one as of the other."""
    found = object.__new__(Timeline)
    found.__dict__.update(stamps_ns=stamps_ns, positions_rad=positions_rad)
    return found
