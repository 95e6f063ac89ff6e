"""Statistics of columns and images as LeRobotDataset v3.0 keeps them: min, max, mean, std, count and quantiles."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
_LEVELS = 256


def column_statistics(values: NDArray[Any]) -> dict[str, list[Any]]:
    """Statistics of a column.

    Args:
        values: Shape (N,) or (N, D), N >= 1.

    Returns:
        Lists of length D (1 for a scalar column); `count` is [N].
    """
    rows = values.reshape(len(values), -1).astype(np.float64)
    found: dict[str, list[Any]] = {
        "min": rows.min(axis=0).tolist(),
        "max": rows.max(axis=0).tolist(),
        "mean": rows.mean(axis=0).tolist(),
        "std": rows.std(axis=0).tolist(),
        "count": [len(rows)],
    }
    for name, share in QUANTILES.items():
        found[name] = np.quantile(rows, share, axis=0).tolist()
    return found


def image_histogram(frames: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How often each level occurs in each channel, shape (3, 256). Histograms of parts add up to that of the whole."""
    return np.stack([np.bincount(frames[..., channel].ravel(), minlength=_LEVELS) for channel in range(3)])


def image_statistics(histogram: NDArray[np.int64], frames: int) -> dict[str, list[Any]]:
    """Exact statistics of images from their histogram, in [0, 1], lists of shape (3, 1, 1); `count` is [frames]."""
    levels = np.arange(_LEVELS) / (_LEVELS - 1)
    total = histogram.sum(axis=1)
    mean = histogram @ levels / total
    variance = (histogram * (levels - mean[:, None]) ** 2).sum(axis=1) / total
    present = histogram > 0
    cumulative = histogram.cumsum(axis=1)
    values = {
        "min": levels[present.argmax(axis=1)],
        "max": levels[_LEVELS - 1 - present[:, ::-1].argmax(axis=1)],
        "mean": mean,
        "std": np.sqrt(variance),
    }
    for name, share in QUANTILES.items():
        values[name] = levels[(cumulative >= share * total[:, None]).argmax(axis=1)]
    found: dict[str, list[Any]] = {name: each.reshape(3, 1, 1).tolist() for name, each in values.items()}
    found["count"] = [frames]
    return found
