"""Why a replay went wrong: the first stage at which what happened parts from what was recorded, and how.

From the labels to the world every stage takes what the one before it gave: labels say something, the door lets it
through, the arm follows, the object answers. A stage that got what it got in the recording and gave something else is
where the cause is; what differs behind it follows from it. So the stages are looked at in their order, and what is
found at an early one ranks above what is found later.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import Any

import numpy as np

from demo_tools.replay.evidence import Array, Evidence, event_s, respond

# What a label may be off by: the float32 of a dataset and the rounding of a small message.
_SAME_RAD = 2e-3
_INITIAL_RAD = 0.01
_LAG_S = 0.012
_TIME_S = 0.025
_GAIN = 0.03
_GRIPPER_S = 0.06
_GRIPPER_RAD = 0.06
# What a hypothesis leaves unexplained must be this small a share of what there was to explain.
_EXPLAINED = 0.25
_RATES = (0.5, 2.0)
# What a replay begins with, before it meets anything; and what a figure needs.
_EARLY = 0.4
_FEWEST_TICKS = 8


class Cause(StrEnum):
    """What may be wrong, by stage."""

    INITIAL_STATE = "initial state"
    LABELS_CUT = "labels are cut off"
    JOINTS_SWAPPED = "joints swapped"
    SIGN = "sign of a joint"
    RATE = "rate of the labels"
    LABEL_TIME = "labels are shifted in time"
    JOINT_OFFSET = "offset of a joint in the labels"
    SCALE = "scale of the labels"
    GRIPPER_LABELS = "gripper labels"
    LABELS_DIFFER = "labels differ from what was sent"
    REFERENCE = "labels decoded against another reference"
    LIMITS = "limits changed what was requested"
    LATENCY = "the arm follows later"
    GAIN = "the arm follows with another gain"
    ARM_OFFSET = "the arm ends up aside"
    GRIPPER = "the gripper moves otherwise"
    WORLD = "the object was not where or what it was"
    UNSTEADY = "the same labels do not do the same twice"


@dataclass(frozen=True)
class Finding:
    """One likely cause.

    Attributes:
        cause: What.
        joint: Which joint or joints, empty for all.
        evidence: The figures that say so, in words.
    """

    cause: Cause
    joint: str
    evidence: str

    def statement(self) -> dict[str, Any]:
        """As JSON."""
        return {"cause": self.cause.value, "joint": self.joint, "evidence": self.evidence}


def diagnose(found: Evidence) -> tuple[Finding, ...]:
    """Likely causes, the likeliest first; never empty."""
    stages = (_initial, _labels, _reference, _limits, _arm, _gripper)
    findings = tuple(finding for stage in stages for finding in stage(found))
    if findings:
        return findings
    return (Finding(Cause.WORLD, "", "labels, commands and motion were those of the recording"),)


def _initial(found: Evidence) -> Iterator[Finding]:
    error = found.initial_error_rad
    for place in np.flatnonzero(error > _INITIAL_RAD):
        yield Finding(Cause.INITIAL_STATE, found.joints[place], f"began {error[place]:.4f} rad aside")


# -- labels ------------------------------------------------------------------------------------------------------------


def _labels(found: Evidence) -> Iterator[Finding]:
    count = len(found.told)
    if count == 0:
        return
    truth = _as_long(found.recorded_sent, count)
    off = [place for place in found.arm if np.abs(found.told[:, place] - truth[:, place]).max() > _SAME_RAD]
    whole = _cut(found) if off or count < found.expected_ticks else None
    if whole is not None:
        yield whole
        return
    if off:
        yield _how_labels_differ(found, off)
    for place in found.gripper:
        error = np.abs(found.told[:, place] - truth[:, place]).max()
        if error > _SAME_RAD and not off:
            lag_s = respond(truth[:, place], found.told[:, place], found.period_s).lag_s
            how = f"{1e3 * lag_s:+.0f} ms" if abs(lag_s) > _TIME_S else f"up to {error:.3f} rad off"
            yield Finding(Cause.GRIPPER_LABELS, found.joints[place], how)


def _cut(found: Evidence) -> Finding | None:
    """Labels that are a part of the recording: from later on, or up to earlier than its end."""
    count, missing = len(found.told), found.expected_ticks - len(found.told)
    if missing <= 0:
        return None
    for start in (0, missing):
        part = found.recorded_sent[start : start + count]
        if np.abs(found.told - part).max() <= _SAME_RAD:
            where = "beginning" if start else "end"
            return Finding(Cause.LABELS_CUT, "", f"{missing} of {found.expected_ticks} ticks missing at the {where}")
    return None


def _how_labels_differ(found: Evidence, off: list[int]) -> Finding:
    """The simplest change that turns what was sent into what the labels say."""
    told, truth, period_s = found.told, _as_long(found.recorded_sent, len(found.told)), found.period_s
    names = ", ".join(found.joints[place] for place in off)
    for one, two in combinations(off, 2):
        crossed = np.abs(told[:, [one, two]] - truth[:, [two, one]]).max()
        if crossed <= _SAME_RAD:
            return Finding(Cause.JOINTS_SWAPPED, f"{found.joints[one]}, {found.joints[two]}", "each says the other's")
    for rate in _RATES:
        if _explained(told, _stretched(found.recorded_sent, rate, len(told)), truth, off):
            return Finding(Cause.RATE, "", f"played at {rate:g} times the pace")
    lags = {place: respond(truth[:, place], told[:, place], period_s) for place in off}
    moving = [place for place in off if place in found.moving()]
    lag_s = float(np.median([lags[place].lag_s for place in moving])) if moving else 0.0
    if abs(lag_s) > _TIME_S and _explained(told, _delayed(truth, lag_s, period_s), truth, off):
        return Finding(Cause.LABEL_TIME, "", f"{1e3 * lag_s:+.0f} ms")
    lines = {place: _line(truth[:, place], told[:, place]) for place in off}
    apart = {place: _rms(told[:, place] - truth[:, place]) for place in off}
    if all(left <= max(_EXPLAINED * apart[place], _SAME_RAD) for place, (*_, left) in lines.items()):
        gains = {place: gain for place, (gain, _, _) in lines.items() if place in found.moving()}
        flipped = [place for place, gain in gains.items() if gain < -0.5]
        if flipped:
            return Finding(Cause.SIGN, ", ".join(found.joints[each] for each in flipped), "moves the other way")
        if any(abs(gain - 1) > _GAIN for gain in gains.values()):
            mean = float(np.mean(list(gains.values())))
            return Finding(Cause.SCALE, names, f"{mean:.3f} times what was sent")
        aside = {found.joints[place]: round(float((told - truth)[:, place].mean()), 4) for place in off}
        return Finding(Cause.JOINT_OFFSET, names, f"by {aside} rad")
    return Finding(Cause.LABELS_DIFFER, names, f"up to {np.abs(told - truth).max():.4f} rad")


def _as_long(recorded: Array, count: int) -> Array:
    """So many rows of a recording; past its end it is held."""
    return recorded[np.minimum(np.arange(count), len(recorded) - 1)]


def _explained(told: Array, guess: Array, truth: Array, off: list[int]) -> bool:
    return _rms((told - guess)[:, off]) <= max(_EXPLAINED * _rms((told - truth)[:, off]), _SAME_RAD / 2)


def _line(truth: Array, told: Array) -> tuple[float, float, float]:
    """Slope and offset of a line through one over the other, and what it leaves."""
    spread = float(truth.std())
    gain = float(np.cov(truth, told, bias=True)[0, 1] / spread**2) if spread > 1e-4 else 1.0
    offset = float(told.mean() - gain * truth.mean())
    return gain, offset, _rms(told - gain * truth - offset)


def _stretched(recorded: Array, rate: float, count: int) -> Array:
    ticks = np.arange(len(recorded))
    at = np.arange(count) * rate
    return np.stack([np.interp(at, ticks, column) for column in recorded.T], axis=1)


def _delayed(signal: Array, lag_s: float, period_s: float) -> Array:
    times = np.arange(len(signal)) * period_s
    return np.stack([np.interp(times - lag_s, times, column) for column in signal.T], axis=1)


# -- from the labels to the arm ----------------------------------------------------------------------------------------


def _reference(found: Evidence) -> Iterator[Finding]:
    """Labels relative to the command must come to the same targets whatever the arm does meanwhile."""
    if not found.relative_to_command or len(found.told) < 2:
        return
    arm = list(found.arm)
    off = np.abs(found.played - found.told)[:, arm].max()
    if off > 2 * _SAME_RAD:
        yield Finding(Cause.REFERENCE, "", f"targets drift {off:.4f} rad from what the labels say")


def _limits(found: Evidence) -> Iterator[Finding]:
    """What the door let through was something else, where in the recording it was not."""
    changed = np.nan_to_num(np.abs(found.sent - found.played))
    too_much = np.flatnonzero(changed.max(axis=1, initial=0.0) > _SAME_RAD)
    if not len(too_much):
        return
    first = int(too_much[0])
    # An arm that has left its way already makes labels jump and the door object: that is a consequence.
    count = min(first + 1, len(found.recorded_measured))
    if np.abs(found.measured[:count] - found.recorded_measured[:count]).max() > _SAME_RAD:
        return
    for place in np.flatnonzero(changed.max(axis=0) > _SAME_RAD):
        yield Finding(Cause.LIMITS, found.joints[place], f"by up to {changed[:, place].max():.4f} rad")


def _arm(found: Evidence) -> Iterator[Finding]:
    """How the arm follows, against how it followed in the recording; what moves it furthest aside comes first.

    A controller that is another one shows from the first motion on. Where only the rest of the replay differs, the arm
    met something on its way.
    """
    if len(found.measured) < _FEWEST_TICKS:
        return
    beginning = found.part(max(int(_EARLY * len(found.measured)), _FEWEST_TICKS))
    early = sorted(_unlike(beginning), key=lambda each: -each[0])
    if early:
        yield from (finding for _, finding in early)
    elif late := sorted(_unlike(found), key=lambda each: -each[0]):
        joints = ", ".join(dict.fromkeys(finding.joint or "all" for _, finding in late))
        yield Finding(Cause.WORLD, joints, "the arm was held up on its way, having followed as recorded before")


def _unlike(found: Evidence) -> Iterator[tuple[float, Finding]]:
    """Findings with how far each moves the arm aside, rad."""
    then, now = found.response(False), found.response(True)
    speed = {place: float(np.abs(np.diff(found.sent[:, place])).mean()) / found.period_s for place in then}
    later_s = {place: now[place].lag_s - then[place].lag_s for place in then}
    slow = [place for place, by_s in later_s.items() if by_s > _LAG_S]
    if len(slow) > len(then) / 2:
        by_s = float(np.median(list(later_s.values())))
        yield by_s * max(speed.values()), Finding(Cause.LATENCY, "", f"{1e3 * by_s:.0f} ms later than recorded")
    for place in then:
        joint, before, after = found.joints[place], then[place], now[place]
        gain, offset = after.gain - before.gain, after.offset_rad - before.offset_rad
        if abs(gain) > _GAIN:
            effect = abs(gain) * float(found.sent[:, place].std())
            yield effect, Finding(Cause.GAIN, joint, f"{after.gain:.3f}, recorded {before.gain:.3f}")
        if abs(offset) > 2 * _SAME_RAD:
            yield abs(offset), Finding(Cause.ARM_OFFSET, joint, f"{offset:+.4f} rad beside where it was told to be")
        if place in slow and len(slow) <= len(then) / 2:
            effect = later_s[place] * speed[place]
            yield effect, Finding(Cause.GAIN, joint, f"follows {1e3 * later_s[place]:.0f} ms later, others do not")


def _gripper(found: Evidence) -> Iterator[Finding]:
    """Events in another order or at another time; a jaw that closes further found nothing there."""
    count = min(len(found.measured), len(found.recorded_measured))
    for place in found.gripper:
        if count < 2:
            return
        then = event_s(found.recorded_measured[:count, place], found.period_s)
        now = event_s(found.measured[:, place], found.period_s)
        if [way for _, way in then] != [way for _, way in now]:
            yield Finding(Cause.GRIPPER, found.joints[place], f"events {now}, recorded {then}")
        elif any(abs(a - b) > _GRIPPER_S for (a, _), (b, _) in zip(now, then, strict=True)):
            late_ms = 1e3 * max(a - b for (a, _), (b, _) in zip(now, then, strict=True))
            yield Finding(Cause.GRIPPER, found.joints[place], f"{late_ms:+.0f} ms")
        else:
            wider = float(found.measured[-1, place] - found.recorded_measured[count - 1, place])
            if abs(wider) > _GRIPPER_RAD:
                how = "further closed" if wider > 0 else "wider open"
                yield Finding(Cause.WORLD, found.joints[place], f"the jaw ends {abs(wider):.3f} rad {how}")


def _rms(values: Array) -> float:
    return float(np.sqrt((values**2).mean()))
