"""Says whether a simulated episode solves its task. A state counts only when it lasts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo_tools.simulation.scene import CUBE_M
from learned_arm.errors import LearnedArmError

Array = NDArray[np.float64]
HELD_NS = 250_000_000
LIFT_M = 0.05
REACH_ABOVE_M = 0.08
REACH_WITHIN_M = 0.02


@dataclass(frozen=True)
class Situation:
    """What a judge looks at.

    Attributes:
        tcp: Frame of the point between the finger pads in base_link, 4 x 4.
        jaw_m: Opening between the pads.
        cube_m: Cube's centre in base_link, shape (3,).
        fingers_touching: How many finger pads touch the cube.
    """

    tcp: Array
    jaw_m: float
    cube_m: Array
    fingers_touching: int


def picked(now: Situation) -> bool:
    """The cube is at least 5 cm above the table and held: between the fingers, and touched by both."""
    in_tcp = now.tcp[:3, :3].T @ (now.cube_m - now.tcp[:3, 3])
    between = abs(in_tcp[0]) < now.jaw_m / 2 and abs(in_tcp[1]) < CUBE_M / 2 and abs(in_tcp[2]) < 0.03
    return bool(now.cube_m[2] >= CUBE_M / 2 + LIFT_M and between and now.fingers_touching == 2)


def reached(now: Situation) -> bool:
    """The tool is within 2 cm of the point 8 cm above the cube."""
    goal = now.cube_m + np.array([0.0, 0.0, REACH_ABOVE_M])
    return bool(np.linalg.norm(now.tcp[:3, 3] - goal) <= REACH_WITHIN_M)


TASKS: dict[str, Callable[[Situation], bool]] = {"pick_cube": picked, "reach_cube": reached}


class Judge:
    """Success over time: `now` while the task's state has lasted 0.25 s, `ever` once it did.

    Raises:
        LearnedArmError: There is no judge for the task.
    """

    def __init__(self, task: str) -> None:
        if task not in TASKS:
            raise LearnedArmError("no judge for this task", where="simulation", got=task, allowed=list(TASKS))
        self._holds = TASKS[task]
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self.ever = False
        self.now = False
        self._since_ns: int | None = None

    def see(self, now_ns: int, situation: Situation) -> None:
        """Look at the situation at a time; times must grow."""
        if not self._holds(situation):
            self._since_ns, self.now = None, False
            return
        if self._since_ns is None:
            self._since_ns = now_ns
        self.now = now_ns - self._since_ns >= HELD_NS
        self.ever = self.ever or self.now
