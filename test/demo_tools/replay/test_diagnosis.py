"""The cause is sought where what happened first parts from what was recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo_tools.replay.diagnosis import Cause, diagnose
from demo_tools.replay.evidence import Array, Evidence, event_s, respond

PERIOD_S = 0.05
JOINTS = ("shoulder", "elbow", "wrist", "jaw")
TICKS = np.arange(80)
LAG_S = 0.06


def moves() -> Array:
    """Three joints that move, each its own way, and a jaw that closes; shape (80, 4)."""
    s = TICKS / TICKS[-1]
    jaw = np.where(TICKS < 50, 0.0, np.where(TICKS < 60, 0.06 * (TICKS - 50), 0.6))
    return np.stack([np.sin(2.5 * s), 1.0 - np.cos(3.0 * s), 0.6 * s**2, jaw], axis=1)


def followed(sent: Array, lag_s: float = LAG_S) -> Array:
    """What an arm measures that follows after a lag, and a jaw that an object stops at 0.4."""
    times = TICKS * PERIOD_S
    found = np.stack([np.interp(times - lag_s, times, column) for column in sent.T], axis=1)
    found[:, 3] = np.minimum(found[:, 3], 0.4)
    return found


def evidence(told: Array | None = None, **changes: object) -> Evidence:
    """A replay that went as recorded but for what is changed; what is not said follows from the labels."""
    recorded = moves()
    told = recorded if told is None else told
    base = Evidence(
        joints=JOINTS,
        gripper=(3,),
        period_s=PERIOD_S,
        expected_ticks=len(recorded),
        initial_error_rad=np.zeros(4),
        recorded_sent=recorded,
        recorded_measured=followed(recorded),
        told=told,
        played=told,
        sent=told,
        measured=followed(told) if len(told) == len(recorded) else followed(recorded)[: len(told)],
        relative_to_command=False,
    )
    return replace(base, **changes)  # pyright: ignore[reportArgumentType]


def named(found: Evidence) -> tuple[Cause, str]:
    """The likeliest cause and its joint."""
    first = diagnose(found)[0]
    return first.cause, first.joint


def changed(change: Callable[[Array], object]) -> Array:
    targets = moves()
    change(targets)
    return targets


def test_a_replay_like_its_recording_leaves_the_world() -> None:
    (finding,) = diagnose(evidence())
    assert finding.cause is Cause.WORLD


def swap(targets: Array) -> None:
    targets[:, [0, 1]] = targets[:, [1, 0]]


def flip(targets: Array) -> None:
    targets[:, 0] = 2 * targets[0, 0] - targets[:, 0]


def offset(targets: Array) -> None:
    targets[:, 1] += 0.035


def scale(targets: Array) -> None:
    targets[:, :3] *= 0.9


def late(targets: Array) -> None:
    targets[:] = targets[np.maximum(TICKS - 3, 0)]


def jaw_late(targets: Array) -> None:
    targets[:, 3] = targets[np.maximum(TICKS - 4, 0), 3]


def fast(targets: Array) -> None:
    targets[:] = targets[np.minimum(2 * TICKS, TICKS[-1])]


def noisy(targets: Array) -> None:
    targets[:, :3] += np.random.default_rng(0).normal(0.0, 0.02, (len(targets), 3))


@pytest.mark.parametrize(
    ("change", "cause", "joint"),
    [
        (swap, Cause.JOINTS_SWAPPED, "shoulder, elbow"),
        (flip, Cause.SIGN, "shoulder"),
        (offset, Cause.JOINT_OFFSET, "elbow"),
        (scale, Cause.SCALE, "shoulder, elbow, wrist"),
        (late, Cause.LABEL_TIME, ""),
        (jaw_late, Cause.GRIPPER_LABELS, "jaw"),
        (fast, Cause.RATE, ""),
        (noisy, Cause.LABELS_DIFFER, "shoulder, elbow, wrist"),
    ],
)
def test_labels_unlike_what_was_sent_are_named(change: Callable[[Array], object], cause: Cause, joint: str) -> None:
    assert named(evidence(changed(change))) == (cause, joint)


@pytest.mark.parametrize("part", [slice(0, 50), slice(20, 80)])
def test_labels_that_lack_ticks_are_cut_off(part: slice) -> None:
    assert diagnose(evidence(moves()[part]))[0].cause is Cause.LABELS_CUT


def test_an_arm_that_begins_elsewhere_is_named_before_what_follows_from_it() -> None:
    error = np.array([0.0, 0.04, 0.0, 0.0])
    found = evidence(measured=followed(moves()) + error, initial_error_rad=error)
    assert named(found) == (Cause.INITIAL_STATE, "elbow")


def test_deltas_decoded_against_another_reference_drift() -> None:
    drifted = moves() * np.array([0.8, 0.8, 0.8, 1.0])
    found = evidence(played=drifted, sent=drifted, measured=followed(drifted), relative_to_command=True)
    assert diagnose(found)[0].cause is Cause.REFERENCE


def test_a_limit_that_changes_what_was_asked_for_is_named_with_its_joint() -> None:
    clipped = changed(lambda targets: np.minimum(targets[:, 0], 0.5, out=targets[:, 0]))
    assert named(evidence(sent=clipped, measured=followed(clipped))) == (Cause.LIMITS, "shoulder")


def test_a_door_that_objects_to_an_arm_already_astray_is_no_cause() -> None:
    astray = followed(moves()) + np.array([0.05, 0.0, 0.0, 0.0])
    clipped = changed(lambda targets: np.minimum(targets[:, 0], 0.9, out=targets[:, 0]))
    assert all(each.cause is not Cause.LIMITS for each in diagnose(evidence(sent=clipped, measured=astray)))


def test_an_arm_that_follows_later_with_less_or_aside_is_told_apart() -> None:
    assert diagnose(evidence(measured=followed(moves(), LAG_S + 0.1)))[0].cause is Cause.LATENCY
    # Around the middle of its early motion, where an offset would not explain it.
    weak = followed(moves())
    middle = weak[:32, 1].mean()
    weak[:, 1] = middle + 0.7 * (weak[:, 1] - middle)
    assert named(evidence(measured=weak)) == (Cause.GAIN, "elbow")
    aside = followed(moves()) + np.array([0.0, 0.0, 0.05, 0.0])
    assert named(evidence(measured=aside)) == (Cause.ARM_OFFSET, "wrist")


def test_an_arm_that_is_held_up_on_its_way_met_something() -> None:
    stopped = followed(moves())
    stopped[60:, :3] = stopped[60, :3]
    assert diagnose(evidence(measured=stopped))[0].cause is Cause.WORLD


def test_a_jaw_that_closes_on_nothing_found_the_object_gone() -> None:
    empty = followed(moves())
    empty[:, 3] = moves()[:, 3]
    assert diagnose(evidence(measured=empty))[0].cause in (Cause.WORLD, Cause.GRIPPER)


def test_a_replay_that_never_began_is_no_error() -> None:
    nothing = np.empty((0, 4))
    found = evidence(told=nothing, played=nothing, sent=nothing, measured=nothing)
    assert diagnose(found)[0].cause in (Cause.WORLD, Cause.LABELS_CUT)


@given(lag_s=st.floats(-0.3, 0.3), gain=st.floats(0.5, 1.5), aside=st.floats(-0.2, 0.2))
def test_lag_gain_and_offset_of_a_smooth_motion_are_found(lag_s: float, gain: float, aside: float) -> None:
    times: Array = np.arange(200, dtype=np.float64) * PERIOD_S

    def motion(at_s: Array) -> Array:
        return np.sin(1.3 * np.clip(at_s, 2.0, 8.0)) + 0.3 * np.sin(2.9 * np.clip(at_s, 2.0, 8.0))

    later: Array = times - lag_s
    found = respond(motion(times), gain * motion(later) + aside, PERIOD_S)
    assert found.gain == pytest.approx(gain, abs=0.05)
    assert found.lag_s == pytest.approx(lag_s, abs=0.04)


def test_a_joint_at_rest_has_neither_lag_nor_gain() -> None:
    still = np.full(50, 0.7)
    found = respond(still, still + 0.01, PERIOD_S)
    assert (found.lag_s, found.gain, found.offset_rad) == (0.0, 1.0, pytest.approx(0.01))


def test_events_of_a_gripper_have_time_and_way() -> None:
    jaw = np.concatenate([np.zeros(10), np.full(20, 0.6), np.zeros(10)])
    assert event_s(jaw, PERIOD_S) == ((0.5, 1), (1.5, -1))
    assert event_s(np.zeros(30), PERIOD_S) == ()
