"""What `reach_cued` adds to the scene: three pads alike, a lamp whose colour names one of them, a lamp that says go.

The cue is lit from a reset until the arm has been commanded for half a second, then dark for good. A second later the
other lamp says go and stays lit. Between the two nothing that can be seen or measured tells which pad was meant. The
pause is longer than a chunk of labels: no chunk made while the cue is lit reaches into the motion.

All of it is part of the simulator's state: the pads as bodies that nothing moves, the rest as MuJoCo's user data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo_tools.simulation.mj import Data

Array = NDArray[np.float64]
PADS = ("left_pad", "middle_pad", "right_pad")
"""Left and right as the front camera sees them."""
CUE_LAMP, GO_LAMP = "cue_lamp", "go_lamp"
LAMPS = (CUE_LAMP, GO_LAMP)
CUE_NS = 500_000_000
GO_NS = 1_500_000_000
PAD_THICK_M = 0.004
_PAD_X_M, _PAD_Y_M = 0.50, (0.133 - 0.15, 0.133, 0.133 + 0.15)
_ASIDE_M = 0.015
COLOURS = np.array([[0.90, 0.10, 0.08], [0.10, 0.75, 0.15], [0.12, 0.25, 0.95]])
"""The cue's colour of each pad, RGB in [0, 1]."""
_COLOUR_VARIES, _DIMMEST = 0.06, 0.8
_DARK = np.array([0.07, 0.07, 0.07])
_GO = np.array([0.95, 0.95, 0.90])
# Order of the user data: cued pad, ns since the first command (-1: none yet), colour of the cue.
USER_DATA = 5
_CUED, _SINCE = 0, 1
_COLOUR = slice(2, 5)


@dataclass(frozen=True)
class Cue:
    """What a seed decides about pads and cue.

    Attributes:
        cued: Index of the pad that is meant, into `PADS`.
        pads_m: Centre of each pad's top in base_link, shape (3, 3).
        colour: Of the lit cue, RGB in [0, 1], shape (3,).
    """

    cued: int
    pads_m: Array
    colour: Array

    def place(self, data: Data) -> None:
        """Put pads and cue into a simulation that was reset; nothing was commanded yet."""
        data.mocap_pos[:] = self.pads_m
        data.userdata[:] = [self.cued, -1.0, *self.colour]


def sample_cue(seed: int, cued: int | None = None) -> Cue:
    """The cue that a seed names: pads take turns, so that three seeds in a row mean each of them once.

    Args:
        seed: Of everything.
        cued: Another pad than the seed names; nothing but the cue's colour follows from it.
    """
    rng = np.random.default_rng([seed, len(PADS)])
    places = np.column_stack([np.full(3, _PAD_X_M), _PAD_Y_M, np.full(3, PAD_THICK_M)])
    places[:, :2] += rng.uniform(-_ASIDE_M, _ASIDE_M, (3, 2))
    varied, dimmed = rng.uniform(-_COLOUR_VARIES, _COLOUR_VARIES, 3), rng.uniform(_DIMMEST, 1.0)
    cued = seed % len(PADS) if cued is None else cued
    return Cue(cued, places, np.clip(COLOURS[cued] + varied, 0.0, 1.0) * dimmed)


def begin(data: Data) -> None:
    """Note that the arm is commanded; only the first time counts."""
    data.userdata[_SINCE] = max(data.userdata[_SINCE], 0.0)


def pass_time(data: Data, dt_ns: int) -> None:
    """Let time pass, which counts from the first command on."""
    if data.userdata[_SINCE] >= 0:
        data.userdata[_SINCE] += dt_ns


def cued_pad(data: Data) -> int:
    """Index of the pad that is meant."""
    return int(data.userdata[_CUED])


def lamps(data: Data, shown: Cue | None = None) -> Array:
    """Colour of each of `LAMPS` now, RGB in [0, 1], shape (2, 3).

    Args:
        data: The simulation.
        shown: Light this cue instead, at the same times.
    """
    since_ns = data.userdata[_SINCE]
    colour = data.userdata[_COLOUR] if shown is None else shown.colour
    return np.stack([colour if since_ns < CUE_NS else _DARK, _GO if since_ns >= GO_NS else _DARK])
