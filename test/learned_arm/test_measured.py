"""The measured arm: whole and fresh on every topic, or not there."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learned_arm.cdr import JointStateView
from learned_arm.errors import LearnedArmError
from learned_arm.measured import MeasuredArm
from learned_arm.robot import load_robot, parse_robot

CONTENT = copy.deepcopy(load_robot("ur5e_sim").canonical())
CONTENT["joint_states"] = [{"topic": "/arm", "max_age_s": 0.05}, {"topic": "/gripper", "max_age_s": 0.2}]
ROBOT = parse_robot(CONTENT, "two topics")
ARM, GRIPPER = ROBOT.joints[:6], ROBOT.joints[6:]
MS = 1_000_000


def view(names: tuple[str, ...], values: Sequence[float], stamp_ns: int = 0) -> JointStateView:
    nothing = np.empty(0)
    return JointStateView(stamp_ns, names, np.array(values), nothing, nothing)


@pytest.fixture
def measured() -> MeasuredArm:
    made = MeasuredArm(ROBOT)
    made.take("/arm", view(ARM, [0, 1, 2, 3, 4, 5]), 100 * MS)
    made.take("/gripper", view(GRIPPER, [0.5]), 100 * MS)
    return made


def test_it_is_whole_only_with_every_topic() -> None:
    measured = MeasuredArm(ROBOT)
    measured.take("/arm", view(ARM, [0, 1, 2, 3, 4, 5]), 0)
    assert measured.position_rad is None and measured.silence(0) == "joint states of /gripper never heard"
    measured.take("/gripper", view(("other", *GRIPPER), [9, 0.5]), 0)
    np.testing.assert_array_equal(measured.position_rad, [0, 1, 2, 3, 4, 5, 0.5])
    assert measured.silence(0) == ""


@given(st.permutations(range(6)))
def test_joints_go_by_name(order: list[int]) -> None:
    measured = MeasuredArm(ROBOT)
    measured.take("/gripper", view(GRIPPER, [0.5]), 0)
    measured.take("/arm", view(tuple(ARM[index] for index in order), [float(index) for index in order]), 0)
    np.testing.assert_array_equal(measured.position_rad, [0, 1, 2, 3, 4, 5, 0.5])


@pytest.mark.parametrize(
    ("topic", "after_ms", "words"),
    [
        ("/arm", 150, ""),
        ("/arm", 151, "joint states of /arm silent for 51 ms, allowed 50 ms"),
        ("/gripper", 300, ""),
        ("/gripper", 301, "joint states of /gripper silent for 201 ms, allowed 200 ms"),
    ],
)
def test_each_topic_has_its_own_age(measured: MeasuredArm, topic: str, after_ms: int, words: str) -> None:
    other = "/gripper" if topic == "/arm" else "/arm"
    names, values = (GRIPPER, [0.5]) if topic == "/arm" else (ARM, [0, 1, 2, 3, 4, 5])
    measured.take(other, view(names, values), after_ms * MS)
    assert measured.silence(after_ms * MS) == words


BAD = {
    "a joint it gave before": (view(ARM[1:], [1.0] * 5), "missing joint shoulder_pan_joint"),
    "twice": (view((*ARM, ARM[0]), [1.0] * 7), "duplicate joint"),
    "not finite": (view(ARM, [float("nan")] * 6), "joint position not finite"),
    "too few": (view(ARM, [1.0] * 5), "positions do not match joint names"),
    "another topic's": (view((*ARM, *GRIPPER), [1.0] * 7), "/gripper, /arm: a joint on two topics"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_used_changes_nothing_and_counts_as_silence(measured: MeasuredArm, name: str) -> None:
    bad, words = BAD[name]
    with pytest.raises(LearnedArmError, match=words):
        measured.take("/arm", bad, 140 * MS)
    np.testing.assert_array_equal(measured.position_rad, [0, 1, 2, 3, 4, 5, 0.5])
    assert "silent" in measured.silence(151 * MS)


def test_a_topic_without_a_joint_of_the_robot_is_refused() -> None:
    with pytest.raises(LearnedArmError, match=r"/arm: no joint of this robot; got \['tail'\]"):
        MeasuredArm(ROBOT).take("/arm", view(("tail",), [0.0]), 0)
