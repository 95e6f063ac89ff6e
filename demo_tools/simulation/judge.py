"""Says whether a simulated episode solves its task. A state counts only when it lasts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from demo_tools.simulation.scene import CUBE_M, PAD_HALF_WIDTH_M, PAD_TIP_M, PEG_TIP_M
from learned_arm.errors import LearnedArmError

Array = NDArray[np.float64]
HELD_NS = 250_000_000
LIFT_M = 0.05
REACH_ABOVE_M = 0.08
REACH_WITHIN_M = 0.02
PAD_WITHIN_M = 0.04
INSERTED_M, PEG_WITHIN_M = 0.02, 0.004


@dataclass(frozen=True)
class Situation:
    """What a judge looks at.

    Attributes:
        tcp: Frame of the point between the finger pads in base_link, 4 x 4.
        jaw_m: Opening between the pads.
        cube_m: Centre of the cube, of the pad that is meant or of the socket's top, in base_link, shape (3,).
        fingers_touching: How many finger pads touch the cube or the peg.
        others_m: Centres of the pads that are not meant, shape (n, 3).
    """

    tcp: Array
    jaw_m: float
    cube_m: Array
    fingers_touching: int
    others_m: Array = field(default_factory=lambda: np.empty((0, 3)))


def picked(now: Situation) -> bool:
    """The cube is at least 5 cm above the table and held: between the fingers, and touched by both."""
    in_tcp = now.tcp[:3, :3].T @ (now.cube_m - now.tcp[:3, 3])
    # A cube may be held by its edge, as far as its sides and the pads overlap.
    beside_m, below_m = CUBE_M / 2 + PAD_HALF_WIDTH_M, CUBE_M / 2 + PAD_TIP_M
    between = abs(in_tcp[0]) < now.jaw_m / 2 and abs(in_tcp[1]) < beside_m and abs(in_tcp[2]) < below_m
    return bool(now.cube_m[2] >= CUBE_M / 2 + LIFT_M and between and now.fingers_touching == 2)


def inserted(now: Situation) -> bool:
    """The tip of the peg is at least 2 cm down in the hole, and both pads hold the peg."""
    tip_m = now.tcp[:3, 3] + PEG_TIP_M * now.tcp[:3, 2]
    beside_m, above_m = float(np.linalg.norm((tip_m - now.cube_m)[:2])), float(tip_m[2] - now.cube_m[2])
    return beside_m <= PEG_WITHIN_M and above_m <= -INSERTED_M and now.fingers_touching == 2


def reached(now: Situation) -> bool:
    """The tool is within 2 cm of the point 8 cm above the cube."""
    goal = now.cube_m + np.array([0.0, 0.0, REACH_ABOVE_M])
    return bool(np.linalg.norm(now.tcp[:3, 3] - goal) <= REACH_WITHIN_M)


def _over(now: Situation, pad_m: Array) -> bool:
    goal = pad_m + np.array([0.0, 0.0, REACH_ABOVE_M])
    return bool(np.linalg.norm(now.tcp[:3, 3] - goal) <= PAD_WITHIN_M)


def over_cued_pad(now: Situation) -> bool:
    """The tool is within 4 cm of the point 8 cm above the pad that is meant."""
    return _over(now, now.cube_m)


def over_other_pad(now: Situation) -> bool:
    """The same above a pad that is not meant."""
    return any(_over(now, pad_m) for pad_m in now.others_m)


def never(_now: Situation) -> bool:
    """No state is wrong for good."""
    return False


@dataclass(frozen=True)
class Rule:
    """What a task is about.

    Attributes:
        holds: Whether a situation is the one wanted.
        spoils: Whether it is one after which the task cannot be solved any more, when it lasts as long.
        things: What lies in the scene, see `scene.build_model`.
    """

    holds: Callable[[Situation], bool]
    spoils: Callable[[Situation], bool] = never
    things: str = "cube"


TASKS: dict[str, Rule] = {
    "pick_cube": Rule(picked),
    "pick_moving": Rule(picked, things="belt"),
    "insert_peg": Rule(inserted, things="peg"),
    "reach_cube": Rule(reached),
    "reach_cued": Rule(over_cued_pad, over_other_pad, "pads"),
}


class Judge:
    """Success over time: `now` while the task's state has lasted 0.25 s, `ever` once it did.

    Attributes:
        rule: Of the task.
        now: Whether the task is solved at this moment.
        ever: Whether it was at any moment.
        spoiled: Whether it cannot be solved any more.

    Raises:
        LearnedArmError: There is no judge for the task.
    """

    def __init__(self, task: str) -> None:
        if task not in TASKS:
            raise LearnedArmError("no judge for this task", where="simulation", got=task, allowed=list(TASKS))
        self.rule = TASKS[task]
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self.ever = self.now = self.spoiled = False
        self._right, self._wrong = _Lasting(), _Lasting()

    def see(self, now_ns: int, situation: Situation) -> None:
        """Look at the situation at a time; times must grow."""
        self.spoiled = self._wrong.see(now_ns, self.rule.spoils(situation)) or self.spoiled
        self.now = self._right.see(now_ns, self.rule.holds(situation)) and not self.spoiled
        self.ever = self.ever or self.now


class _Lasting:
    """Whether something has been true for 0.25 s."""

    def __init__(self) -> None:
        self._since_ns: int | None = None

    def see(self, now_ns: int, holds: bool) -> bool:
        if not holds:
            self._since_ns = None
            return False
        if self._since_ns is None:
            self._since_ns = now_ns
        return now_ns - self._since_ns >= HELD_NS
