"""Where one plan goes over into the next without a jump."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Seam:
    """The distance from a new plan to the old one, of which less is left at every slot, by the largest jump.

    Attributes:
        start_ns: First slot of the new plan.
        distance_rad: From the new plan to the one in force there, shape (dof,).
        moving: 1 for a joint that an earlier seam moves at that slot already, else 0: it begins a tick later, so that
            two seams together move it by no more than one.
    """

    start_ns: int
    distance_rad: NDArray[np.float64]
    moving: NDArray[np.int64]

    def left(self, slots_ns: NDArray[np.int64], period_ns: int, max_jump_rad: float) -> NDArray[np.float64]:
        """What is left of the distance at some slots, without its sign, shape (slots, dof)."""
        steps = (slots_ns - self.start_ns)[:, None] // period_ns + 1 - self.moving
        return np.maximum(np.abs(self.distance_rad) - steps * max_jump_rad, 0.0)
