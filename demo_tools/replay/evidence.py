"""What a replay leaves behind, stage by stage: what was told then and now, what the arm did then and now."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# A joint that moves less than this shows neither its sign nor its lag.
MOVING_RAD = 0.03
_LONGEST_LAG_S = 0.6
_LAG_STEP_S = 0.005


@dataclass(frozen=True)
class Evidence:
    """The traces of one replay. Row k of each belongs to tick k; targets are those in force one label offset later.

    Joints that slide are in what stands for a radian, see `Robot.per_rad`.

    Attributes:
        joints: Names, joint order.
        gripper: Places of the joints whose labels stay absolute: grippers.
        period_s: Of a tick.
        expected_ticks: Ticks that the recording has.
        initial_error_rad: How far each joint was from the recorded initial position, shape (dof,).
        recorded_sent: What the arm was told when it was recorded, rad, shape (N, dof).
        recorded_measured: What it measured then, rad, shape (N, dof).
        told: What the labels say, taken at their word: decoded against what was recorded, rad, shape (M, dof), M <= N.
        played: What they came to: decoded against the live arm, rad, shape (M, dof).
        sent: What the door made of it, rad, shape (M, dof); NaN where nothing was heard.
        measured: What the arm measured now, rad, shape (M, dof).
        relative_to_command: Whether labels are relative to the command in force.
    """

    joints: tuple[str, ...]
    gripper: tuple[int, ...]
    period_s: float
    expected_ticks: int
    initial_error_rad: Array
    recorded_sent: Array
    recorded_measured: Array
    told: Array
    played: Array
    sent: Array
    measured: Array
    relative_to_command: bool

    @property
    def arm(self) -> tuple[int, ...]:
        """Places of the joints that are no gripper."""
        return tuple(place for place in range(len(self.joints)) if place not in self.gripper)

    def part(self, ticks: int) -> Evidence:
        """Of its first ticks."""
        first = {name: getattr(self, name)[:ticks] for name in ("told", "played", "sent", "measured")}
        then = {name: getattr(self, name)[:ticks] for name in ("recorded_sent", "recorded_measured")}
        return replace(self, **first, **then)

    def moving(self) -> tuple[int, ...]:
        """Places of arm joints that moved enough in the recording to tell something."""
        span = np.ptp(self.recorded_sent, axis=0)
        return tuple(place for place in self.arm if span[place] > MOVING_RAD)

    def response(self, now: bool) -> dict[int, Response]:
        """By moving joint how the arm followed what it was told, now or when it was recorded."""
        told, did = (self.sent, self.measured) if now else (self.recorded_sent, self.recorded_measured)
        count = min(len(told), len(did))
        return {place: respond(told[:count, place], did[:count, place], self.period_s) for place in self.moving()}

    def statement(self) -> dict[str, Any]:
        """Figures for the verdict: per moving joint lag and offset now against then, and the gripper's events."""
        then, now = self.response(False), self.response(True)
        return {
            "lag_ms": {self.joints[each]: [_ms(then[each].lag_s), _ms(now[each].lag_s)] for each in then},
            "offset_rad": {self.joints[each]: round(now[each].offset_rad - then[each].offset_rad, 5) for each in then},
            "gripper": {
                self.joints[each]: {
                    "recorded_s": _seconds(self.recorded_measured[:, each], self.period_s),
                    "replayed_s": _seconds(self.measured[:, each], self.period_s),
                }
                for each in self.gripper
            },
        }


@dataclass(frozen=True)
class Response:
    """How one signal follows another.

    Attributes:
        lag_s: By how much it comes later.
        gain: Slope of the straight line through one over the other, at that lag.
        offset_rad: Mean of what is left at that lag.
        residual_rad: Root mean square of what line and lag do not explain.
    """

    lag_s: float
    gain: float
    offset_rad: float
    residual_rad: float


def respond(told: Array, did: Array, period_s: float) -> Response:
    """Lag, gain and offset of one signal against another, both sampled once a period, shape (M,).

    The lag is where a straight line through one over the other leaves least; searched in steps of 5 ms, the signals
    joined by lines.
    """
    known = np.isfinite(told) & np.isfinite(did)
    told, did = told[known], did[known]
    if len(told) < 3:
        return Response(0.0, 1.0, 0.0, 0.0)
    times = np.arange(len(told)) * period_s
    steps = round(_LONGEST_LAG_S / _LAG_STEP_S)
    lags = np.arange(-steps, steps + 1) * _LAG_STEP_S
    shifted = np.stack([np.interp(times - lag, times, told) for lag in lags])
    centred, follows = shifted - shifted.mean(axis=1, keepdims=True), did - did.mean()
    spreads = (centred**2).mean(axis=1)
    shared = (centred * follows).mean(axis=1)
    cost = (follows**2).mean() - np.divide(shared**2, spreads, out=np.zeros_like(shared), where=spreads > 1e-12)
    # Among lags that explain it alike the smallest: a joint at rest has none.
    good = np.flatnonzero(cost <= cost.min() + 1e-12)
    best = good[np.argmin(np.abs(lags[good]))]
    line = shifted[best]
    spread = float(line.std())
    gain = float(np.cov(line, did, bias=True)[0, 1] / spread**2) if spread > 1e-6 else 1.0
    left = did - did.mean() - gain * (line - line.mean())
    return Response(float(lags[best]), gain, float((did - line).mean()), float(np.sqrt((left**2).mean())))


def event_s(position_rad: Array, period_s: float) -> tuple[tuple[float, int], ...]:
    """When a gripper passes the middle of its own travel, in seconds, and whether it closes (1) or opens (-1)."""
    low, high = float(np.min(position_rad)), float(np.max(position_rad))
    if len(position_rad) < 2 or high - low < MOVING_RAD:
        return ()
    above = position_rad > (low + high) / 2
    at = np.flatnonzero(above[1:] != above[:-1]) + 1
    return tuple((float(index * period_s), 1 if above[index] else -1) for index in at)


def _seconds(position_rad: Array, period_s: float) -> list[list[float]]:
    return [[round(when_s, 3), way] for when_s, way in event_s(position_rad, period_s)]


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 1)
