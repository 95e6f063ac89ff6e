"""Messages as plain data, and frames in a form in which equal rotations are equal."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("rclpy")

from geometry_msgs.msg import Quaternion, Transform, Vector3
from rcl_interfaces.msg import ParameterValue
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, JointState

from learned_arm.canonical import canonical_json
from learned_arm.contract import load_contract
from learned_arm.ros.looks import frame, read
from learned_arm.ros.plain import LONGEST, parameter_value, plain

pytestmark = pytest.mark.ros


def test_a_message_becomes_its_fields() -> None:
    message = JointState(name=["a"], position=[1.5])
    message.header.frame_id = "teleop"
    found = plain(message)
    assert found["header"] == {"stamp": {"sec": 0, "nanosec": 0}, "frame_id": "teleop"}
    assert (found["name"], found["position"], found["effort"]) == (["a"], [1.5], [])
    assert canonical_json(plain(CameraInfo()))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        ([b"\x01", b"\xff"], ["01", "ff"]),
        ([1.0, math.inf], [1.0, "inf"]),
        ([True, False], [True, False]),
        ("text", "text"),
        (7, 7),
    ],
)
def test_values_of_parameters(value: object, expected: object) -> None:
    assert parameter_value(Parameter("p", value=value).to_parameter_msg().value) == expected


def test_a_parameter_that_is_not_set_is_none() -> None:
    assert parameter_value(ParameterValue()) is None


def test_a_long_sequence_is_told_by_length_and_hash() -> None:
    one, two = plain([0] * (LONGEST + 1)), plain([1] * (LONGEST + 1))
    assert one["length"] == LONGEST + 1
    assert one["sha256"] != two["sha256"]


def test_a_rotation_has_one_form_and_noise_below_a_millionth_none() -> None:
    def transform(sign: float, noise: float) -> Transform:
        turn = Quaternion(x=sign * 0.6, y=0.0, z=sign * -0.0, w=sign * (0.8 + noise))
        return Transform(translation=Vector3(x=0.1 + noise, y=-0.0, z=0.0), rotation=turn)

    expected = {"translation_m": [0.1, 0.0, 0.0], "quaternion": [0.6, 0.0, 0.0, 0.8]}
    for sign in (1.0, -1.0):
        for noise in (0.0, 1e-8, -1e-8):
            found = frame(transform(sign, noise))
            assert found == expected
            assert "-0.0" not in str(found)
    half_turn = [frame(Transform(rotation=Quaternion(x=x, w=w))) for x, w in ((1.0, 1e-9), (-1.0, 1e-9))]
    assert half_turn[0] == half_turn[1]


@pytest.mark.parametrize("raw", [b"", b"\0\1\0\0", b"\0\1\0\0" + b"\xff" * 60])
def test_a_message_that_is_none_is_named(raw: bytes) -> None:
    contract = load_contract("pick_cube")
    topics = ("/front/camera_info", "/front/image_raw", "/joint_states", "/robot_description")
    found = read(contract, {topic: [raw] for topic in topics}, {"/tf_static": "no publisher"})
    told = [found["cameras"]["front"]["info"], found["cameras"]["front"]["image"]]
    told += [found["joint_names"]["/joint_states"], found["robot_description"]]
    assert [list(each) for each in told] == [["unreachable"]] * 4
    assert found["tf_static"] == {}
