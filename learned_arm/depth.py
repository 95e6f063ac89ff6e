"""Depth images -> what a policy sees of them: grey, bright where near, black where nothing was measured.

Distances come as REP 118 has them: millimetres in 16UC1, metres in 32FC1, and 0 or NaN where there is none. As
pictures they go through the same videos and networks as every other camera. Between the darkest distance and black is a
gap that a video's codec does not close: what was not measured never looks near.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from learned_arm import cdr
from learned_arm.errors import LearnedArmError

ENCODINGS = {"16UC1": ("u2", 1e-3), "32FC1": ("f4", 1.0)}
"""By encoding the numbers of a message, and one of them in metres."""
_LARGEST_SIDE = 16_384
_DARKEST, _BRIGHTEST = 48, 255


@dataclass(frozen=True)
class DepthRange:
    """Which distances a policy tells apart: all nearer ones look like `near_m`, all farther ones like `far_m`."""

    near_m: float
    far_m: float

    def shade(self, metres: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Distances, any shape -> 255 (near) to 48 (far), 0 where nothing was measured."""
        share = (self.far_m - np.clip(metres, self.near_m, self.far_m)) / (self.far_m - self.near_m)
        with np.errstate(invalid="ignore"):
            shades = np.where(metres > 0.0, _DARKEST + np.rint((_BRIGHTEST - _DARKEST) * share), 0.0)
        return shades.astype(np.uint8)


def read_metres(view: cdr.ImageView, size: tuple[int, int] | None = None) -> NDArray[np.float32]:
    """Distances of an image, shape (height, width); 0 or NaN where nothing was measured, infinite where it was too far.

    Args:
        view: The message.
        size: Wanted height and width; None: its own. Between two distances there is none: the nearest pixel is taken.

    Raises:
        LearnedArmError: Unknown encoding, or the sizes that the message states do not fit its bytes.
    """
    if view.encoding not in ENCODINGS:
        raise LearnedArmError("not a depth encoding", where=view.frame_id, got=view.encoding, allowed=list(ENCODINGS))
    kind, unit_m = ENCODINGS[view.encoding]
    number = np.dtype((">" if view.is_bigendian else "<") + kind)
    sides_fit = 0 < view.height <= _LARGEST_SIDE and 0 < view.width <= _LARGEST_SIDE
    row_bytes = view.width * number.itemsize
    if not sides_fit or view.step < row_bytes or view.step * view.height != len(view.data):
        got = f"{view.width}x{view.height}, step {view.step}, {len(view.data)} bytes of {view.encoding}"
        raise LearnedArmError(
            "image sizes do not fit its data", where=view.frame_id, got=got, allowed="height*step bytes"
        )
    rows = np.frombuffer(view.data, np.uint8).reshape(view.height, view.step)[:, :row_bytes]
    metres = np.ascontiguousarray(rows).view(number).astype(np.float32) * np.float32(unit_m)
    if size is not None and metres.shape != size:
        metres = cv2.resize(metres, (size[1], size[0]), interpolation=cv2.INTER_NEAREST)
    return np.asarray(metres, np.float32)
