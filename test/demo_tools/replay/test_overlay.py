"""What stands where it stood looks the same; what does not is found, and which way it lies off."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from demo_tools.replay.overlay import overlay, side_by_side
from demo_tools.simulation.arm import ArmSimulation, CubePose
from demo_tools.simulation.cameras import CameraRig
from learned_arm.contract import load_contract
from learned_arm.errors import LearnedArmError


def table(x: int, y: int, noise: int = 0) -> np.ndarray:
    rng = np.random.default_rng(noise)
    picture = np.full((96, 128, 3), (184, 178, 168), np.int16)
    picture[y : y + 12, x : x + 12] = (200, 30, 25)
    return np.clip(picture + rng.integers(-6, 7, picture.shape), 0, 255).astype(np.uint8)


@given(st.tuples(st.integers(10, 100), st.integers(10, 70)), st.tuples(st.integers(10, 100), st.integers(10, 70)))
def test_the_way_is_where_the_thing_went(then: tuple[int, int], now: tuple[int, int]) -> None:
    moved = np.subtract(now, then)
    # Where the two places overlap, only their rims differ; the direction is still right.
    assume(np.abs(moved).max() >= 14)
    found = overlay(table(*then, noise=1), table(*now, noise=2))
    assert found.offset_px is not None
    assert np.allclose(found.offset_px, moved, atol=1.5)


def test_the_same_table_is_alike_whatever_the_noise() -> None:
    found = overlay(table(40, 40, 1), table(40, 40, 2))
    assert found.similarity > 0.9 and found.offset_px is None
    moved = overlay(table(40, 40, 1), table(70, 40, 2))
    assert moved.similarity < found.similarity - 0.3
    assert "30 px right" in moved.words() and "alike" in found.words()


def test_what_is_not_there_any_more_has_no_offset() -> None:
    assert overlay(table(40, 40), np.full((96, 128, 3), (184, 178, 168), np.uint8)).offset_px is None


def test_a_cube_put_aside_is_seen_by_the_camera_of_the_simulation() -> None:
    contract = load_contract("pick_cube")
    arm = ArmSimulation(contract)
    rig = CameraRig(arm)
    try:
        arm.reset(3)
        before, cube = rig.draw("front", arm.sight()).copy(), arm.cube
        # To the right of the front camera is along y, it looks back at the robot.
        arm.put_cube(CubePose(cube.position_m + np.array([0.0, 0.06, 0.0]), cube.quaternion))
        found = overlay(before, rig.draw("front", arm.sight()))
    finally:
        rig.close()
    assert found.offset_px is not None
    right, below = found.offset_px
    assert right > 4 and abs(below) < 3


def test_pictures_of_other_sizes_are_refused_and_of_other_heights_set_in_a_row() -> None:
    with pytest.raises(LearnedArmError, match="different sizes"):
        overlay(table(40, 40), table(40, 40)[:-2])
    one, two = overlay(table(40, 40), table(40, 40)), overlay(table(40, 40)[:50], table(40, 40)[:50])
    assert side_by_side({"b": two, "a": one}).shape == (96, 256, 3)
