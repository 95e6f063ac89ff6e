"""The safety filter: no command leaves the limits, whatever is asked; what is inside comes back equal, bit for bit."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learned_arm.robot import load_robot, parse_robot
from learned_arm.safety import SafetyFilter, braking_speed

SHIPPED = load_robot("ur5e_sim").canonical()
DT_S = 0.01
ROUNDING = 5e-9  # rad/s, what the filter itself allows and what float64 positions cost over a short step
RELATIVE = 1e-6
NO_JERK_LIMIT = 1e12


@dataclass(frozen=True)
class Joint:
    """Limits of one joint and a state: shares of the range and of the largest speed that braking can still end."""

    low: float
    span: float
    velocity: float
    acceleration: float
    place: float
    speed: float

    @property
    def high(self) -> float:
        return self.low + self.span

    @property
    def position_rad(self) -> float:
        return self.low + self.place * self.span

    @property
    def velocity_rad_s(self) -> float:
        gap = self.high - self.position_rad if self.speed > 0 else self.position_rad - self.low
        return self.speed * min(self.velocity, math.sqrt(2 * self.acceleration * max(gap, 0.0)))


JOINT = st.builds(
    Joint,
    low=st.floats(-6, 3),
    span=st.floats(0.1, 6),
    velocity=st.floats(0.05, 10),
    acceleration=st.floats(0.1, 100),
    place=st.floats(0, 1),
    speed=st.floats(-0.999, 0.999),
)
STEP_FROM_MEASURED = st.floats(0.01, 20)
DT = st.floats(1e-4, 0.1)


def filter_of(joints: list[Joint], step_from_measured: float = 20.0, *, at_rest: bool = False) -> SafetyFilter:
    robot = copy.deepcopy(SHIPPED)
    count = len(joints)
    robot["groups"] = {
        "arm": {
            "joints": [f"joint_{index}" for index in range(count)],
            "limits": {
                "position_rad": [[joint.low, joint.high] for joint in joints],
                "velocity_rad_s": [joint.velocity for joint in joints],
                "acceleration_rad_s2": [joint.acceleration for joint in joints],
                "jerk_rad_s3": [1.0] * count,
                "step_from_measured_rad": [step_from_measured] * count,
            },
            "command": SHIPPED["groups"]["arm"]["command"],
        }
    }
    robot["group_order"], robot["home_rad"] = ["arm"], {"arm": [joint.low for joint in joints]}
    del robot["kinematics"], robot["clearance"]
    made = SafetyFilter(parse_robot(robot, "made"))
    # These laws are those of the limits that rank above jerk; test_jerk_law.py has the ones of jerk.
    made.jerk = np.full(count, NO_JERK_LIMIT)
    made.start(np.array([joint.position_rad for joint in joints]))
    if not at_rest:
        made.velocity_rad_s = np.array([joint.velocity_rad_s for joint in joints])
    return made


def assert_inside(safety: SafetyFilter, before: np.ndarray, speed: np.ndarray, sent: np.ndarray, dt_s: float) -> None:
    """One published step keeps position, velocity and acceleration, and leaves a way to brake."""
    moved = (sent - before) / dt_s
    assert np.isfinite(sent).all()
    span = safety.high - safety.low
    assert (sent >= safety.low - RELATIVE * span).all() and (sent <= safety.high + RELATIVE * span).all()
    assert (np.abs(moved) <= safety.velocity * (1 + RELATIVE) + ROUNDING).all()
    assert (np.abs(moved - speed) <= safety.acceleration * dt_s * (1 + RELATIVE) + ROUNDING).all()
    braking = safety.velocity_rad_s**2 / (2 * safety.acceleration)
    ahead = np.where(safety.velocity_rad_s > 0, safety.high - sent, sent - safety.low)
    assert (braking <= ahead + RELATIVE * span).all()


ASKED = st.floats(-12, 12) | st.sampled_from([math.nan, math.inf, -math.inf, 1e300, -6.0, 0.0])
STEPS = st.lists(
    st.tuples(
        st.none() | st.tuples(ASKED, ASKED),
        st.tuples(st.floats(-7, 7) | st.just(math.nan), st.floats(-7, 7)),
        DT | st.sampled_from([0.0, -0.01, math.nan, math.inf, 1e-6, 3.0]),
    ),
    min_size=1,
    max_size=12,
)


@given(st.tuples(JOINT, JOINT), STEP_FROM_MEASURED, STEPS)
@settings(max_examples=400)
def test_nothing_that_is_sent_leaves_a_limit(joints: tuple[Joint, Joint], step: float, steps: list) -> None:
    safety = filter_of(list(joints), step)
    for target, measured, dt_s in steps:
        before, speed = safety.position_rad.copy(), safety.velocity_rad_s.copy()
        result = safety.step(None if target is None else np.array(target), np.array(measured), dt_s)
        np.testing.assert_array_equal(result.sent_rad, safety.position_rad)
        if not (dt_s > 0 and math.isfinite(dt_s)):
            assert result.clamps == ("dt",)
            np.testing.assert_array_equal(result.sent_rad, before)
            np.testing.assert_array_equal(safety.velocity_rad_s, speed)
        else:
            assert_inside(safety, before, speed, result.sent_rad, dt_s)
        if target is not None and not np.isfinite(target).all() and dt_s > 0 and math.isfinite(dt_s):
            assert "not_finite" in result.clamps


@given(JOINT, st.lists(st.tuples(st.floats(-1, 1), DT), min_size=1, max_size=20))
@settings(max_examples=300)
def test_a_motion_inside_the_limits_comes_back_equal(joint: Joint, motion: list[tuple[float, float]]) -> None:
    safety = filter_of([joint])
    for share, dt_s in motion:
        position, speed = safety.position_rad[0], safety.velocity_rad_s[0]
        reach = joint.acceleration * dt_s * 0.999
        wanted = float(np.clip(speed + share * reach, -joint.velocity, joint.velocity))
        ahead = joint.high - position if wanted > 0 else position - joint.low
        if abs(wanted) * dt_s + wanted**2 / (2 * joint.acceleration) >= ahead:
            wanted = speed - math.copysign(min(abs(speed), reach), speed)
        target = np.array([position + wanted * dt_s])
        if not joint.low <= target[0] <= joint.high:
            return
        result = safety.step(target, np.array([position]), dt_s)
        assert result.clamps == ()
        np.testing.assert_array_equal(result.sent_rad, target)


@given(JOINT, DT)
def test_a_hold_brakes_along_the_limit_and_then_keeps(joint: Joint, dt_s: float) -> None:
    safety = filter_of([joint])
    per_step = joint.acceleration * dt_s
    while not safety.at_rest:
        speed = safety.velocity_rad_s[0]
        safety.step(None, np.zeros(1), dt_s)
        expected = math.copysign(max(abs(speed) - per_step, 0.0), speed)
        assert safety.velocity_rad_s[0] == pytest.approx(expected, abs=1e-9)
        if abs(speed) > 1000 * per_step:
            return  # long since clear
    kept = safety.position_rad.copy()
    for _ in range(3):
        np.testing.assert_array_equal(safety.step(None, np.zeros(1), dt_s).sent_rad, kept)


@given(JOINT, st.floats(0, 1), STEP_FROM_MEASURED)
@settings(max_examples=150)
def test_a_place_that_stays_is_reached_and_not_run_past(joint: Joint, place: float, step: float) -> None:
    safety = filter_of([joint], step, at_rest=True)
    start, target = safety.position_rad.copy(), np.array([min(joint.low + place * joint.span, joint.high)])
    side = np.sign(target - start)
    way_s = (
        joint.span / joint.velocity
        + 2 * math.sqrt(joint.span / joint.acceleration)
        + joint.velocity / joint.acceleration
    )
    if way_s > 20 or step < joint.velocity**2 / joint.acceleration:
        return
    for _ in range(int(2 * way_s / DT_S) + 20):
        sent = safety.step(target, safety.position_rad, DT_S).sent_rad
        assert ((target - sent) * side >= -1e-9).all()
        if safety.at_rest and sent == target:
            return
    pytest.fail(f"not there: {safety.position_rad} of {target}")


@given(JOINT, ASKED | st.none(), DT)
def test_what_is_too_fast_to_stop_is_braked_as_strongly_as_allowed(
    joint: Joint, asked: float | None, dt_s: float
) -> None:
    safety = filter_of([joint])
    gap = joint.high - joint.position_rad
    speed = max(1.5 * math.sqrt(2 * joint.acceleration * gap), joint.velocity) + 3 * joint.acceleration * dt_s
    safety.velocity_rad_s = np.array([speed])
    sent = safety.step(None if asked is None else np.array([asked]), np.zeros(1), dt_s).sent_rad
    assert sent[0] == pytest.approx(joint.position_rad + (speed - joint.acceleration * dt_s) * dt_s, abs=1e-9)


@given(JOINT, ASKED.filter(math.isfinite))
def test_outside_its_range_an_arm_only_moves_back(joint: Joint, asked: float) -> None:
    safety = filter_of([joint])
    safety.start(np.array([joint.high + 0.1]))
    for _ in range(20):
        before = safety.position_rad[0]
        safety.step(np.array([asked]), safety.position_rad, DT_S)
        assert safety.position_rad[0] <= before


@given(st.floats(0, 10), st.floats(0.1, 100), DT, st.lists(DT, min_size=1, max_size=5))
def test_the_braking_speed_ends_within_the_gap_whatever_steps_follow(
    gap: float, acceleration: float, dt_s: float, later: list[float]
) -> None:
    speed = float(braking_speed(np.array([gap]), np.array([acceleration]), dt_s)[0])
    way = speed * dt_s
    while speed > 0 and later:
        speed = max(speed - acceleration * later[0], 0.0)
        way += speed * later[0]
        later = [*later[1:], later[0]] if speed / acceleration / later[0] < 1000 else []
    assert way <= gap * (1 + 1e-9) + 1e-12


def test_the_reasons_are_named() -> None:
    joint = Joint(low=-1.0, span=2.0, velocity=1.0, acceleration=10.0, place=0.5, speed=0.0)

    def clamps(target: float, measured: float = 0.0, step: float = 20.0) -> tuple[str, ...]:
        return filter_of([joint], step).step(np.array([target]), np.array([measured]), DT_S).clamps

    assert clamps(0.0005) == ()
    assert clamps(0.005) == ("acceleration",)
    assert clamps(0.5) == ("velocity", "acceleration")
    assert clamps(5.0)[0] == "position"
    assert clamps(0.0, measured=0.5, step=0.1)[0] == "step_from_measured"
    assert clamps(math.nan) == ("not_finite",) == clamps(0.0, measured=math.nan)
