import numpy as np
import pytest

from demo_tools.simulation import gl
from demo_tools.simulation.arm import ArmSimulation, sample_start
from demo_tools.simulation.cameras import CameraRig
from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError


def red(image: np.ndarray) -> np.ndarray:
    """Where the cube is seen, bool of shape (height, width)."""
    wide = image.astype(int)
    return (wide[..., 0] > 100) & (wide[..., 1] < 60) & (wide[..., 2] < 60)


def test_cameras_see_the_cube_from_every_start(pick: Contract) -> None:
    arm = ArmSimulation(pick)
    rig = CameraRig(arm)
    for seed in range(20):
        arm.reset(seed)
        image = rig.draw("front", arm.sight())
        assert image.shape == (96, 96, 3) and image.dtype == np.uint8
        assert red(image).sum() >= 15
    rig.close()


def test_drawing_repeats_and_does_not_touch_the_physics(pick: Contract) -> None:
    arm, rig = ArmSimulation(pick), None
    rig = CameraRig(arm)
    before = arm.state()
    first = rig.draw("wrist", arm.sight())
    assert np.array_equal(first, rig.draw("wrist", arm.sight()))
    assert np.array_equal(before, arm.state())
    rig.close()


def test_a_decoy_shows_another_cube_and_the_same_arm(pick: Contract) -> None:
    arm = ArmSimulation(pick)
    arm.reset(0)
    rig = CameraRig(arm)
    other = sample_start(pick, 1)
    decoy = rig.draw("front", arm.sight(other))
    true = rig.draw("front", arm.sight())
    assert not np.array_equal(red(decoy), red(true))
    elsewhere = ~(red(decoy) | red(true))
    assert (decoy[elsewhere] == true[elsewhere]).mean() > 0.99
    arm.reset(1)
    moved_arm = rig.draw("front", arm.sight())
    assert np.array_equal(red(decoy), red(moved_arm))
    rig.close()


def test_missing_gl_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUJOCO_GL")
    monkeypatch.setattr(gl, "available_backends", tuple)
    with pytest.raises(LearnedArmError, match="apt-get install -y libegl1 libgl1-mesa-dri"):
        gl.require_gl()
