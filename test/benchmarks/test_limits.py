"""The checker of the fault rig finds what leaves the limits and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.faults.limits import violations
from learned_arm.robot import load_robot
from learned_arm.safety import SafetyFilter

ROBOT = load_robot("ur5e_sim")
HOME = np.array(ROBOT.home_rad)
PERIOD_NS, JUMP_NS, START_NS = ROBOT.control_period_ns, 2 * 10**9, 100 * 10**9


def stamps(count: int) -> np.ndarray:
    return START_NS + np.arange(count) * PERIOD_NS


def found(path: np.ndarray, at_ns: np.ndarray | None = None, seen_ns: np.ndarray | None = None) -> list[str]:
    at_ns = stamps(len(path)) if at_ns is None else at_ns
    seen_ns = stamps(len(path)) if seen_ns is None else seen_ns
    return violations(ROBOT, at_ns.tolist(), path, seen_ns.tolist(), JUMP_NS)


def filtered(seed: int, count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """What the safety filter makes of wild targets, in steps of uneven length."""
    rng, safety = np.random.default_rng(seed), SafetyFilter(ROBOT)
    safety.start(HOME)
    path, at_ns, target = [HOME, HOME], [START_NS - PERIOD_NS, START_NS], HOME
    for _ in range(count):
        step_ns = int(rng.uniform(0.3, 2.0) * PERIOD_NS)
        if rng.random() < 0.1:
            target = HOME + rng.normal(0, 1, ROBOT.dof)
        path.append(safety.step(target, path[-1], step_ns / 1e9).sent_rad)
        at_ns.append(at_ns[-1] + step_ns)
    return np.array(path), np.array(at_ns)


@pytest.mark.parametrize("seed", range(5))
def test_what_the_door_lets_pass_is_inside(seed: int) -> None:
    path, at_ns = filtered(seed)
    assert found(path, at_ns, at_ns) == []


@pytest.mark.parametrize("joint", range(ROBOT.dof))
def test_a_step_too_large_is_found_on_every_joint(joint: int) -> None:
    path = np.tile(HOME, (50, 1))
    path[25:, joint] += 0.005
    assert any(ROBOT.joints[joint] in each and "rad/s^2" in each for each in found(path))


def test_a_speed_or_a_place_outside_is_found() -> None:
    speeding = HOME + np.outer(np.arange(30) * 0.04, np.eye(ROBOT.dof)[0])
    assert any("at +4.0000 rad/s" in each for each in found(speeding))
    outside = np.tile(HOME, (5, 1))
    outside[:, 2] = 3.2
    assert any("elbow_joint at 3.200000 rad, outside its limits" in each for each in found(outside))
    outside[:, 2] = np.nan
    assert any("elbow_joint at nan rad" in each for each in found(outside))


def test_a_clock_that_is_set_is_no_motion_and_hides_none() -> None:
    path, at_ns = filtered(7)
    for jump_ns in (JUMP_NS, -JUMP_NS):
        jumped_ns = at_ns + np.where(np.arange(len(at_ns)) >= 100, jump_ns, 0)
        assert found(path, jumped_ns, at_ns) == []
        torn = path.copy()
        torn[100:, 0] += 0.05
        assert found(torn, jumped_ns, at_ns) != []


def test_after_a_pause_the_arm_begins_at_rest_and_where_it_was() -> None:
    path, at_ns = np.tile(HOME, (20, 1)), stamps(20) + np.where(np.arange(20) >= 10, 10**9, 0)
    assert found(path, at_ns, at_ns) == []
    torn = path.copy()
    torn[10:, 1] += 0.02
    assert found(torn, at_ns, at_ns) == ["shoulder_lift_joint jumps by +0.020000 rad after a pause"]
    # Also where what was sent before it is seen only after it, and the pause is half a jump of the clock.
    late_ns = np.where(np.arange(20) == 9, at_ns + 1_020_000_000, at_ns)
    assert found(path, at_ns + np.where(np.arange(20) >= 10, 20_000_000, 0), late_ns) == []
    fast = path.copy()
    fast[11:, 1] += np.arange(9) * 0.01 + 0.01
    assert any("rad/s^2" in each for each in found(fast, at_ns, at_ns))
