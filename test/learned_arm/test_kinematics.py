"""Forward kinematics from joint frames: against the published parameters, and by its own laws."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learned_arm.errors import LearnedArmError
from learned_arm.kinematics import ForwardKinematics, parse_kinematics
from learned_arm.robot import load_robot, parse_robot

ROBOT = load_robot("ur5e_sim")
assert ROBOT.kinematics is not None
FORWARD = ForwardKinematics(ROBOT.kinematics, ROBOT.joints)
TOOL = FORWARD.links.index("tool0")
ANGLES = st.lists(st.floats(-6.28, 6.28), min_size=ROBOT.dof, max_size=ROBOT.dof).map(np.array)


def test_the_shipped_arm_is_the_one_that_is_simulated() -> None:
    from demo_tools.simulation.kinematics import tool0_in_base

    random = np.random.default_rng(0)
    configurations = random.uniform(-3, 3, (20, ROBOT.dof))
    for pose, configuration in zip(FORWARD.poses(configurations)[:, TOOL], configurations, strict=True):
        np.testing.assert_allclose(pose, tool0_in_base(configuration[:6]), atol=1e-12)


@given(ANGLES)
def test_every_pose_is_a_rigid_motion(angles: np.ndarray) -> None:
    for pose in FORWARD.poses(angles[None])[0]:
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
        assert np.linalg.det(pose[:3, :3]) == pytest.approx(1.0)
        np.testing.assert_array_equal(pose[3], [0, 0, 0, 1])


@given(ANGLES, ANGLES)
def test_configurations_do_not_mix(one: np.ndarray, other: np.ndarray) -> None:
    both = FORWARD.poses(np.stack([one, other]))
    np.testing.assert_array_equal(both[0], FORWARD.poses(one[None])[0])
    np.testing.assert_array_equal(both[1], FORWARD.poses(other[None])[0])


def test_a_sliding_joint_moves_along_its_axis_and_a_turned_frame_turns_it() -> None:
    rail = {"parent": "base", "child": "cart", "kind": "prismatic", "axis": [0, 0, 2], "rpy_rad": [0, np.pi / 2, 0]}
    value = {"base": "base", "joints": {"rail": rail}}
    forward = ForwardKinematics(parse_kinematics(value, "robot", ["rail"]), ["rail"])
    cart = forward.poses(np.array([[0.3]]))[0, forward.links.index("cart")]
    np.testing.assert_allclose(cart[:3, 3], [0.3, 0.0, 0.0], atol=1e-12)


def changed(*path_and_value: Any) -> dict[str, Any]:
    robot = copy.deepcopy(ROBOT.canonical())
    *path, key, value = path_and_value
    place: Any = robot["kinematics"]
    for step in path:
        place = place[step]
    place[key] = value
    return robot


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("joints", "elbow_joint", "parent", "nothing"), "joints hang on no link"),
        (("joints", "elbow_joint", "child", "tool0"), "two joints carry one link"),
        (("joints", "elbow_joint", "kind", "ball"), "unknown value; got ball"),
        (("joints", "elbow_joint", "axis", [0, 0, 0]), "not a direction"),
        (("joints", "elbow_joint", "xyz_m", [0, 0]), "wrong length; got 2"),
        (("joints", "tool0_fixed", "kind", "revolute"), "not a joint of the robot; got tool0_fixed"),
        (("joints", "elbow_joint", "colour", "blue"), "unknown key"),
        (("base", ""), "not a text"),
    ],
)
def test_a_wrong_tree_is_refused_in_one_line(change: tuple[Any, ...], words: str) -> None:
    with pytest.raises(LearnedArmError) as caught:
        parse_robot(changed(*change), "robot.yaml")
    assert words in str(caught.value) and "robot.yaml.kinematics" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_was_written_is_read_back_equal() -> None:
    assert parse_robot(ROBOT.canonical(), "again") == ROBOT
