"""The sweep as a picture: what passes, with its interval, and how closely it follows the recording."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from demo_tools.statistics import wilson_interval
from demo_tools.sweep.run import Row

_GOOD, _BAD, _ERRORS = "#2a7f4f", "#b3402e", "#d0a23c"


def draw(rows: Sequence[Row], recommended: Row | None, title: str, path: Path) -> None:
    """Write a PNG.

    Args:
        rows: Designs, in the order in which they are drawn from the top.
        recommended: The row that is marked.
        title: Over it.
        path: Where it goes.
    """
    places = np.arange(len(rows))[::-1]
    # A Figure of its own: pyplot would keep global state and choose a window system.
    figure = Figure(figsize=(11, 1.6 + 0.24 * len(rows)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    for place, row in zip(places, rows, strict=True):
        low, high = wilson_interval(row.passed, row.count)
        share = row.passed / max(row.count, 1)
        left.barh(place, share, color=_GOOD if share >= 0.95 else _BAD, height=0.7)
        left.plot([low, high], [place, place], color="black", linewidth=1.2)
        left.plot(row.passed_with_errors / max(row.count, 1), place, marker="D", color=_ERRORS, markersize=4)
        right.barh(place, max(row.tracking_rad, 1e-6), color="#4f6d8f", height=0.7)
        right.plot(max(row.step_rad, 1e-6), place, marker="o", color="black", markersize=4)
    left.set_yticks(places, [f"{'> ' if row is recommended else ''}{row.design}" for row in rows], fontsize=8)
    left.set_xlim(0, 1.02)
    left.set_xlabel("replays that pass (line: Wilson 95 %; diamond: with label errors)")
    right.set_xscale("log")
    right.set_xlabel("error of the worst joint, rad\n(dot: of single labels)")
    left.set_ylim(-0.8, len(rows) - 0.2)
    figure.suptitle(title)
    figure.savefig(path, dpi=110)
