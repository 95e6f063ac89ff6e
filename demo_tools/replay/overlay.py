"""Is the table as it was? The recorded first image over the live one, how alike they are, and which way things lie off.

For a person who puts things back by hand: what is where it was looks like one picture, what is not is seen twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from learned_arm.errors import LearnedArmError

Picture = NDArray[np.uint8]
# Smaller differences are noise and light; the share of the picture that must differ before an offset means something.
_DIFFERENT, _LEAST_SHARE = 40, 5e-4
_MARGIN_PX = 6


@dataclass(frozen=True)
class Overlay:
    """One camera's comparison.

    Attributes:
        picture: Both images blended, uint8 RGB, shape (height, width, 3).
        similarity: Correlation of the two as grey pictures, 1 for the same, 0 for unrelated ones.
        offset_px: By how much what differs lies to the right and below of where it was; None where nothing differs, or
            where what differs is not the same thing elsewhere.
    """

    picture: Picture
    similarity: float
    offset_px: tuple[float, float] | None

    def words(self) -> str:
        """For a status."""
        alike = f"{self.similarity:.3f} alike"
        if self.offset_px is None:
            return alike
        right, below = self.offset_px
        sides = (
            f"{abs(right):.0f} px {'right' if right > 0 else 'left'}",
            f"{abs(below):.0f} px {'below' if below > 0 else 'above'}",
        )
        return f"{alike}, off by {' and '.join(sides)}"


def overlay(recorded: Picture, live: Picture) -> Overlay:
    """Compare two images of a camera.

    Args:
        recorded: As the episode began, uint8 RGB.
        live: As it looks now, of the same shape.

    Raises:
        LearnedArmError: They are of different sizes.
    """
    if recorded.shape != live.shape:
        raise LearnedArmError("images of different sizes", where="overlay", got=live.shape, allowed=recorded.shape)
    blended = cv2.addWeighted(recorded, 0.5, live, 0.5, 0.0)
    return Overlay(np.asarray(blended, dtype=np.uint8), _similarity(recorded, live), _offset_px(recorded, live))


def side_by_side(found: Mapping[str, Overlay]) -> Picture:
    """The pictures of all cameras in a row, by name, as high as the highest."""
    height = max(each.picture.shape[0] for each in found.values())
    padded = [
        np.pad(found[name].picture, ((0, height - found[name].picture.shape[0]), (0, 0), (0, 0)))
        for name in sorted(found)
    ]
    return np.ascontiguousarray(np.concatenate(padded, axis=1))


def _similarity(recorded: Picture, live: Picture) -> float:
    one, two = (cv2.cvtColor(each, cv2.COLOR_RGB2GRAY).astype(np.float64) for each in (recorded, live))
    one, two = one - one.mean(), two - two.mean()
    spread = float(np.sqrt((one**2).sum() * (two**2).sum()))
    if spread == 0.0:
        return 1.0 if np.array_equal(recorded, live) else 0.0
    return float((one * two).sum() / spread)


def _offset_px(recorded: Picture, live: Picture) -> tuple[float, float] | None:
    """Where what was recorded there is found again, looked for only where the two differ."""
    different = np.abs(recorded.astype(np.int16) - live.astype(np.int16)).max(axis=2) > _DIFFERENT
    if different.mean() < _LEAST_SHARE:
        return None
    rows, columns = np.nonzero(different)
    low = np.maximum([rows.min() - _MARGIN_PX, columns.min() - _MARGIN_PX], 0)
    high = np.minimum([rows.max() + _MARGIN_PX + 1, columns.max() + _MARGIN_PX + 1], different.shape)
    part = tuple(slice(int(start), int(stop)) for start, stop in zip(low, high, strict=True))
    # What the one has and the other has not, against the ground that both share.
    ground = np.median(np.concatenate([recorded[part][~different[part]], live[part][~different[part]]]), axis=0)
    if not np.isfinite(ground).all():
        return None
    then, now = (np.abs(each[part].astype(np.float64) - ground).max(axis=2) for each in (recorded, live))
    then, now = np.where(then > _DIFFERENT, then, 0.0), np.where(now > _DIFFERENT, now, 0.0)
    if not then.any() or not now.any():
        return None
    places = [_centre(each * different[part]) for each in (then, now)]
    right, below = (float(after - before) for before, after in zip(*places, strict=True))
    return right, below


def _centre(weights: NDArray[np.float64]) -> tuple[float, float]:
    """Centre of gravity, x and y in pixels."""
    total = float(weights.sum())
    if total == 0.0:
        return 0.0, 0.0
    y, x = np.indices(weights.shape)
    return float((x * weights).sum() / total), float((y * weights).sum() / total)
