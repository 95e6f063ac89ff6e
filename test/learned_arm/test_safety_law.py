"""The law of the door, over 20,000 seeded examples: no published command violates position, velocity or acceleration.

Each example is a stream of commands of an arm of random limits. Hypothesis draws what the stream is made of, in one
number, since each number that it draws costs it more than a step costs us; the others come from the example's own seed.
No helper of numpy compares them: that, too, keeps an example cheap.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learned_arm.robot import CommandSpec, JointGroup, JointStateSource, Limits, Robot
from learned_arm.safety import SafetyFilter

DOF, STEPS = 4, 5
SPEED_ROUNDING, RELATIVE = 5e-9, 1e-6  # rad/s, what float64 positions cost over a short step
# What a step is asked for: a stop, a place anywhere, a place near, a motion inside the limits, and nonsense.
KINDS = ("none", "anywhere", "near", "inside", "nan", "inf", "late", "dt")
STREAMS = len(KINDS) ** STEPS
DTS = (0.0, -0.01, math.nan, math.inf, -math.inf)


def random_filter(random: np.random.Generator) -> SafetyFilter:
    """Limits over three decades."""
    low = random.uniform(-6, 3, DOF)
    span, velocity = 10 ** random.uniform(-1, 1, DOF), 10 ** random.uniform(-1.3, 1, DOF)
    acceleration, step = 10 ** random.uniform(-1, 2, DOF), 10 ** random.uniform(-2, 1, DOF)
    joints = tuple(f"joint_{index}" for index in range(DOF))
    limits = Limits(
        tuple(zip(low.tolist(), (low + span).tolist(), strict=True)),
        tuple(velocity.tolist()),
        tuple(acceleration.tolist()),
        (1e9,) * DOF,
        tuple(step.tolist()),
    )
    group = JointGroup("arm", joints, limits, CommandSpec("forward_position", "/commands"))
    return SafetyFilter(Robot("made", 100, (JointStateSource("/j", 0.05),), (group,), tuple(low), None, None))


def start_viable(safety: SafetyFilter, random: np.random.Generator) -> None:
    """Anywhere inside, as fast as braking can still end, to the very edge in one of four joints."""
    position = random.uniform(safety.low, safety.high)
    safety.start(position)
    share = random.uniform(-1, 1, DOF)
    share = np.where(random.random(DOF) < 0.25, np.sign(share), share)
    gap = np.where(share > 0, safety.high - position, position - safety.low)
    safety.velocity_rad_s = share * np.minimum(safety.velocity, np.sqrt(2 * safety.acceleration * gap))


def inside(safety: SafetyFilter, dt_s: float, random: np.random.Generator) -> np.ndarray:
    """A place that keeps every limit, from which braking ends inside, reached by no catching up."""
    speed, acceleration = safety.velocity_rad_s, safety.acceleration
    wanted = speed + random.uniform(-0.999, 0.999, DOF) * acceleration * dt_s
    wanted = np.clip(wanted, -safety.velocity, safety.velocity)
    ahead = np.where(wanted > 0, safety.high - safety.position_rad, safety.position_rad - safety.low)
    too_fast = np.abs(wanted) * dt_s + wanted**2 / (2 * acceleration) >= ahead * (1 - 1e-9)
    braked = np.sign(speed) * np.maximum(np.abs(speed) - acceleration * dt_s * 0.999999, 0.0)
    return safety.position_rad + np.where(too_fast, braked, wanted) * dt_s


def passes(safety: SafetyFilter, target: np.ndarray, dt_s: float) -> np.ndarray:
    """Joints whose target keeps every limit and leaves a way to brake."""
    wanted = (target - safety.position_rad) / dt_s
    ahead = np.where(wanted > 0, safety.high - target, target - safety.low)
    return (
        (ahead >= 0)
        & (wanted**2 / (2 * safety.acceleration) <= ahead)
        & (np.abs(wanted) <= safety.velocity)
        & (np.abs(wanted - safety.velocity_rad_s) <= safety.acceleration * dt_s)
    )


def kinds_of(stream: int) -> list[str]:
    """What the steps of a stream are asked for: the digits of its number."""
    return [KINDS[stream // len(KINDS) ** step % len(KINDS)] for step in range(STEPS)]


def test_a_number_stands_for_every_stream() -> None:
    assert kinds_of(5 + 8 * 3) == ["inf", "inside", "none", "none", "none"]
    assert len({tuple(kinds_of(stream)) for stream in range(STREAMS)}) == STREAMS


@pytest.mark.slow
@given(st.integers(0, 2**32 - 1), st.integers(0, STREAMS - 1))
@settings(max_examples=20_000)
def test_no_published_command_violates_a_limit(seed: int, stream: int) -> None:
    random = np.random.default_rng(seed)
    safety = random_filter(random)
    start_viable(safety, random)
    following = True
    for kind in kinds_of(stream):
        before, speed = safety.position_rad, safety.velocity_rad_s
        dt_s = float(10 ** random.uniform(-4, -1)) if kind != "late" else float(random.uniform(0.1, 3.0))
        measured = before + random.uniform(-0.1, 0.1, DOF)
        target: np.ndarray | None = random.uniform(-12, 12, DOF)
        if kind == "none":
            target = None
        elif kind == "near":
            target = before + speed * dt_s + random.normal(0, 1, DOF) * safety.acceleration * dt_s**2
        elif kind == "inside":
            target, measured = inside(safety, dt_s, random), before
        elif kind in ("nan", "inf"):
            bad = math.nan if kind == "nan" else math.inf
            (target if random.random() < 0.7 else measured)[random.integers(DOF)] = bad
        elif kind == "dt":
            dt_s = DTS[random.integers(len(DTS))]
        result = safety.step(target, measured, dt_s)
        sent = result.sent_rad
        assert np.isfinite(sent).all()
        if kind == "dt":
            assert result.clamps == ("dt",)
            assert (sent == before).all() and (safety.velocity_rad_s == speed).all()
            continue
        moved = (sent - before) / dt_s
        assert (sent >= safety.low).all() and (sent <= safety.high).all()
        assert (np.abs(moved) <= safety.velocity * (1 + RELATIVE) + SPEED_ROUNDING).all()
        assert (np.abs(moved - speed) <= safety.acceleration * dt_s * (1 + RELATIVE) + SPEED_ROUNDING).all()
        assert not safety.not_viable.any() and "not_viable" not in result.clamps
        if target is None or kind in ("nan", "inf"):
            braked = np.copysign(np.maximum(np.abs(speed) - safety.acceleration * dt_s, 0.0), speed)
            assert (np.abs(safety.velocity_rad_s - braked) <= RELATIVE * (1 + np.abs(braked))).all()
            assert kind == "none" or "not_finite" in result.clamps
        elif kind == "inside" and following:
            reached = np.abs(target - measured) <= safety.step_from_measured
            good = reached & passes(SafetyBefore(safety, before, speed), target, dt_s)
            assert (sent[good] == target[good]).all()
            assert not good.all() or result.clamps == ()
        following = kind in ("none", "nan", "inf") or (target is not None and bool((sent == target).all()))


class SafetyBefore(SafetyFilter):
    """A filter's limits with the state before its step."""

    def __init__(self, safety: SafetyFilter, position: np.ndarray, speed: np.ndarray) -> None:
        self.__dict__.update(safety.__dict__)
        self.position_rad, self.velocity_rad_s = position, speed


@given(st.integers(0, 2**32 - 1), st.sampled_from(["none", "anywhere", "nan"]))
@settings(max_examples=2_000)
def test_from_a_state_that_is_not_viable_nothing_but_the_strongest_braking_is_commanded(seed: int, kind: str) -> None:
    random = np.random.default_rng(seed)
    safety = random_filter(random)
    start_viable(safety, random)
    lost = int(random.integers(DOF))
    gap = (safety.high - safety.position_rad)[lost]
    stoppable = min(safety.velocity[lost], math.sqrt(2 * safety.acceleration[lost] * gap))
    safety.velocity_rad_s[lost] = stoppable * random.uniform(1.01, 3.0) + 0.01
    assert safety.not_viable[lost]
    while safety.not_viable.any():
        before, speed = safety.position_rad, safety.velocity_rad_s
        dt_s = float(10 ** random.uniform(-3, -1))
        asked = {"none": None, "nan": np.full(DOF, math.nan)}.get(kind, random.uniform(-12, 12, DOF))
        result = safety.step(asked, before, dt_s)
        assert result.clamps == ("not_viable",)
        braked = np.copysign(np.maximum(np.abs(speed) - safety.acceleration * dt_s, 0.0), speed)
        assert (safety.velocity_rad_s == braked).all()
        assert (result.sent_rad == before + braked * dt_s).all()
        if safety.at_rest:
            return
