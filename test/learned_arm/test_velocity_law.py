"""Speeds for a velocity controller: bounded whatever comes in, zero where the arm shall stand still."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from learned_arm.command_spec import VelocitySettings
from learned_arm.velocity_law import VelocityLaw

DOF = 3
HIGHEST = np.array([0.5, 1.0, 3.0])
NUMBERS = st.one_of(st.floats(-10, 10), st.floats())
VECTORS = st.lists(NUMBERS, min_size=DOF, max_size=DOF).map(np.array)
FINITE = st.lists(st.floats(-10, 10), min_size=DOF, max_size=DOF).map(np.array)
SETTINGS = st.builds(VelocitySettings, st.floats(0, 20), st.floats(1e-6, 10))


@given(SETTINGS, VECTORS, VECTORS, st.none() | VECTORS)
def test_no_speed_is_ever_beyond_its_limit_or_not_a_number(
    settings: VelocitySettings, speed: np.ndarray, sent: np.ndarray, measured: np.ndarray | None
) -> None:
    command = VelocityLaw(HIGHEST, settings).command(speed, sent, measured)
    assert np.isfinite(command).all() and (np.abs(command) <= HIGHEST).all()
    if not np.isfinite(speed).all():
        assert not command.any()


@given(SETTINGS, FINITE)
def test_at_rest_on_target_and_wherever_the_arm_shall_hold_it_is_zero(
    settings: VelocitySettings, at: np.ndarray
) -> None:
    law, still = VelocityLaw(HIGHEST, settings), np.zeros(DOF)
    assert not law.command(still, at, at.copy()).any()
    assert not law.command(still, at, None).any()


@given(SETTINGS, FINITE, FINITE, FINITE)
def test_the_correction_leads_to_the_target_and_keeps_its_bound(
    settings: VelocitySettings, speed: np.ndarray, sent: np.ndarray, measured: np.ndarray
) -> None:
    law = VelocityLaw(HIGHEST, settings)
    speed = np.clip(speed, -HIGHEST, HIGHEST)
    added = law.command(speed, sent, measured) - law.command(speed, sent, None)
    assert (np.abs(added) <= settings.correction_rad_s + 1e-12).all()
    assert (added * (sent - measured) >= 0.0).all()


@given(SETTINGS, FINITE, st.integers(0, DOF - 1), st.sampled_from([np.nan, np.inf]))
def test_a_measurement_that_is_none_corrects_nothing(
    settings: VelocitySettings, speed: np.ndarray, joint: int, bad: float
) -> None:
    law, measured = VelocityLaw(HIGHEST, settings), np.zeros(DOF)
    measured[joint] = bad
    speed = np.clip(speed, -HIGHEST, HIGHEST)
    np.testing.assert_array_equal(law.command(speed, np.ones(DOF), measured), speed)


@given(st.floats(0.5, 10), st.floats(-0.3, 0.3), st.integers(0, 5))
def test_an_ideal_drive_with_a_delay_arrives_and_stays(gain: float, off: float, delay: int) -> None:
    """A ramp of one second, the arm `off` at its start, measured `delay` control periods late."""
    law, period_s = VelocityLaw(np.ones(1), VelocitySettings(gain, 0.3)), 0.01
    at = [np.array([off])] * (delay + 1)
    sent = np.zeros(1)
    for step in range(2000):
        speed = np.array([0.5 if step < 100 else 0.0])
        sent = sent + speed * period_s
        at.append(at[-1] + law.command(speed, sent, at[-1 - delay]) * period_s)
    assert abs(float(at[-1][0]) - 0.5) < 1e-3
