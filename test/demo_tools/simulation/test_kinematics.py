import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo_tools.simulation import kinematics
from learned_arm.errors import LearnedArmError

JOINTS = st.lists(st.floats(-3.0, 3.0), min_size=6, max_size=6).map(np.array)
HOME_DOWN = np.array([0.0, -1.5708, 1.5708, -1.5708, -1.5708, 0.0])


@pytest.mark.parametrize(
    ("position_rad", "tool0_m"),
    [
        ([0.0, 0.0, 0.0, 0.0, 0.0, 0.0], [0.8172, 0.2329, 0.0628]),
        ([0.0, -1.57, 0.0, -1.57, 0.0, 0.0], [0.0001, 0.2329, 1.0794]),
        ([0.0, -1.5707, 0.0, 0.0, 0.0, 0.0], [0.0998, 0.2329, 0.9797]),
    ],
    ids=["zeros", "up", "home"],
)
def test_published_poses(position_rad: list[float], tool0_m: list[float]) -> None:
    assert np.allclose(kinematics.tool0_in_base(np.array(position_rad))[:3, 3], tool0_m, atol=1e-3)


@given(JOINTS)
@settings(max_examples=50, deadline=None)
def test_frames_are_rigid(position_rad: np.ndarray) -> None:
    for frame in kinematics.joint_frames(position_rad):
        assert np.allclose(frame[:3, :3] @ frame[:3, :3].T, np.eye(3), atol=1e-12)
        assert np.linalg.det(frame[:3, :3]) == pytest.approx(1.0)


@given(JOINTS)
@settings(max_examples=50, deadline=None)
def test_jacobian_is_the_derivative(position_rad: np.ndarray) -> None:
    step = 1e-6
    for joint, column in enumerate(kinematics.jacobian(position_rad).T):
        ahead, behind = position_rad.copy(), position_rad.copy()
        ahead[joint] += step
        behind[joint] -= step
        after, before = kinematics.tool0_in_base(ahead), kinematics.tool0_in_base(behind)
        turned = kinematics.rotation_vector(after[:3, :3] @ before[:3, :3].T)
        numeric = np.concatenate([after[:3, 3] - before[:3, 3], turned]) / (2 * step)
        assert np.allclose(column, numeric, atol=1e-5)


def test_inverse_undoes_forward() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        position_rad = HOME_DOWN + rng.uniform(-0.2, 0.2, 6)
        found = kinematics.inverse(kinematics.tool0_in_base(position_rad), HOME_DOWN)
        assert np.allclose(found, position_rad, atol=1e-6)


def test_out_of_reach_is_said() -> None:
    target = kinematics.tool0_in_base(HOME_DOWN)
    target[0, 3] = 2.0
    with pytest.raises(LearnedArmError, match="out of reach"):
        kinematics.inverse(target, HOME_DOWN)
    with pytest.raises(LearnedArmError, match="wrong length"):
        kinematics.tool0_in_base(np.zeros(7))
