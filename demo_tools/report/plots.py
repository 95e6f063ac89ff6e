"""The report's plots, each as an SVG data URI in one look."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from demo_tools.replay.evidence import Evidence
from demo_tools.replay.tracking import DIVERGENCE_RAD
from demo_tools.report.predictions import Predictions

INK, MUTED, GRID = "#1d2733", "#5c6b7a", "#e4e9ee"
BLUE, ORANGE, GREEN = "#2563a8", "#d1661c", "#2e7d4f"
_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": "#c3ccd5",
    "axes.labelcolor": MUTED,
    "axes.titlesize": 9.5,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    # Paths instead of fonts: the page looks the same where a font is missing.
    "svg.fonttype": "path",
    "svg.hashsalt": "learned_arm",
}
_COLUMNS = 4
_HALF_IN, _FULL_IN = 5.9, 12.0
# A joint that hardly moves is shown as such: its panel spans at least this much.
_SMALLEST_SPAN_RAD = 0.1


def loss_plot(curves: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Loss over iterations, one line a name, on a logarithmic scale where all values allow it."""
    with _figure(_HALF_IN, 3.1) as (figure, uri):
        axes = figure.subplots()
        for (name, points), color in zip(curves.items(), (BLUE, ORANGE, GREEN, MUTED), strict=False):
            steps, values = [step for step, _ in points], [value for _, value in points]
            marker = "o" if len(points) <= 12 else None
            axes.plot(steps, values, color=color, label=name, marker=marker, markersize=3.5)
        if all(value > 0 for points in curves.values() for _, value in points):
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("iteration")
        axes.set_ylabel("loss")
        axes.margins(x=0.01)
        axes.legend(loc="upper right")
    return uri()


def prediction_plot(predictions: Predictions) -> str:
    """Recorded targets and first predicted steps over time, a panel a joint."""
    joints = predictions.joints
    rows = -(-len(joints) // _COLUMNS)
    with _figure(_FULL_IN, 2.05 * rows) as (figure, uri):
        panels = figure.subplots(rows, _COLUMNS, sharex=True, squeeze=False).ravel()
        for index, joint in enumerate(joints):
            panel = panels[index]
            panel.plot(
                predictions.time_s,
                predictions.recorded_rad[:, index],
                color=INK,
                linewidth=2.4,
                alpha=0.35,
                label="recorded",
            )
            panel.plot(
                predictions.time_s,
                predictions.predicted_rad[:, index],
                color=ORANGE,
                linewidth=1.2,
                label="predicted",
            )
            panel.set_title(f"{short_joint(joint)}  (mean error {predictions.mean_error_rad[index] * 1e3:.1f} mrad)")
            panel.margins(x=0.01)
            low, high = panel.get_ylim()
            if high - low < _SMALLEST_SPAN_RAD:
                panel.set_ylim((low + high - _SMALLEST_SPAN_RAD) / 2, (low + high + _SMALLEST_SPAN_RAD) / 2)
            if index % _COLUMNS == 0:
                panel.set_ylabel("rad")
        for index in range(len(joints), len(panels)):
            panels[index].axis("off")
        for index in range(max(len(joints) - _COLUMNS, 0), len(joints)):
            panels[index].set_xlabel("s")
            panels[index].tick_params(labelbottom=True)
        handles, labels = panels[0].get_legend_handles_labels()
        if len(joints) < len(panels):
            panels[-1].legend(handles, labels, loc="center")
        else:
            panels[0].legend(handles, labels)
    return uri()


def tracking_plot(errors_rad: Mapping[str, Sequence[float]], threshold_rad: float | None) -> str:
    """Largest replayed-against-recorded error of every episode, a row of points a joint."""
    with _figure(_HALF_IN, 0.33 * len(errors_rad) + 0.8) as (figure, uri):
        axes = figure.subplots()
        joints = list(errors_rad)
        for row, joint in enumerate(joints):
            values = [value * 1e3 for value in errors_rad[joint]]
            axes.plot(
                values,
                _spread_rows(row, len(values)),
                "o",
                color=BLUE,
                alpha=0.45,
                markersize=3.5,
                markeredgewidth=0,
            )
        largest = max((value for values in errors_rad.values() for value in values), default=0.0)
        if threshold_rad is not None and threshold_rad < 4 * largest:
            axes.axvline(threshold_rad * 1e3, color=ORANGE, linewidth=1.2, linestyle="--")
            axes.annotate(
                "counts as diverged",
                (threshold_rad * 1e3, -0.62),
                color=ORANGE,
                ha="right",
                va="center",
                fontsize=8,
                xytext=(-4, 0),
                textcoords="offset points",
            )
        axes.set_yticks(range(len(joints)), [short_joint(joint) for joint in joints])
        axes.set_ylim(len(joints) - 0.5, -0.85)
        axes.set_xlim(left=0)
        axes.set_xlabel("largest error of an episode, mrad")
        _no_grid(axes, "y")
    return uri()


def replay_plot(traces: Evidence) -> str:
    """Joints over time, those that went furthest aside first: recorded, replayed, and what the labels said."""
    count = min(len(traces.measured), len(traces.recorded_measured))
    time_s = np.arange(count) * traces.period_s
    aside = np.abs(traces.measured[:count] - traces.recorded_measured[:count]).max(axis=0)
    aside = np.maximum(aside, np.abs(traces.told[:count] - traces.recorded_sent[:count]).max(axis=0))
    worst = sorted(range(len(traces.joints)), key=lambda place: -aside[place])[: _COLUMNS - len(traces.gripper)]
    places = [*worst, *(place for place in traces.gripper if place not in worst)]
    with _figure(_FULL_IN, 2.5) as (figure, uri):
        panels = figure.subplots(1, len(places), sharex=True, squeeze=False).ravel()
        for panel, place in zip(panels, places, strict=True):
            lines = (
                (traces.recorded_measured[:count, place], INK, 2.4, 0.35, "-", "recorded"),
                (traces.measured[:count, place], ORANGE, 1.4, 1.0, "-", "replayed"),
                (traces.told[:count, place], BLUE, 1.0, 0.8, ":", "labels"),
            )
            for values, color, width, alpha, style, label in lines:
                panel.plot(time_s, values, color=color, linewidth=width, alpha=alpha, linestyle=style, label=label)
            apart = np.flatnonzero(np.abs(lines[1][0] - lines[0][0]) > DIVERGENCE_RAD)
            if len(apart):
                panel.axvline(time_s[apart[0]], color=ORANGE, linewidth=0.8, linestyle="--")
            panel.set_title(f"{short_joint(traces.joints[place])}  (up to {1e3 * aside[place]:.0f} mrad aside)")
            panel.margins(x=0.01)
            low, high = panel.get_ylim()
            if high - low < _SMALLEST_SPAN_RAD:
                panel.set_ylim((low + high - _SMALLEST_SPAN_RAD) / 2, (low + high + _SMALLEST_SPAN_RAD) / 2)
            panel.set_xlabel("s")
        panels[0].set_ylabel("rad")
        panels[0].legend(loc="best")
    return uri()


def short_joint(joint: str) -> str:
    """A joint's name as a plot has room for it."""
    return joint.removesuffix("_joint").replace("_", " ")


def _spread_rows(row: int, count: int) -> list[float]:
    """Rows a little apart, in a fixed pattern, so that equal values stay visible."""
    return [row + 0.24 * ((index * 0.618) % 1.0 - 0.5) * 2 for index in range(count)]


def _no_grid(axes: Axes, axis: Any) -> None:
    axes.grid(False, axis=axis)
    axes.tick_params(axis=axis, length=0)


class _Uri:
    """Filled when the figure is done."""

    text = ""

    def __call__(self) -> str:
        return self.text


@contextmanager
def _figure(width_in: float, height_in: float) -> Iterator[tuple[Figure, _Uri]]:
    uri = _Uri()
    with matplotlib.rc_context(_STYLE):
        # A Figure of its own: pyplot would keep global state and choose a window system.
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        yield figure, uri
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    uri.text = f"data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue().encode()).decode()}"


def loss_curves(value: Any) -> dict[str, list[tuple[float, float]]]:
    """The curves in a training's `loss.json`: (iteration, loss) by name.

    Raises:
        KeyError: It holds none.
    """
    curves: dict[str, list[tuple[float, float]]] = {}
    for point in value["curve"]:
        for name in ("train", "validation"):
            if name in point:
                curves.setdefault(name, []).append((float(point["iteration"]), float(point[name])))
    if not curves:
        raise KeyError("no point in the curve")
    return curves
