"""The CDR readers agree with two independent writers, and meet broken bytes with nothing but LearnedArmError."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.typesys import Stores, get_typestore

from learned_arm import cdr
from learned_arm.errors import LearnedArmError

STORE = get_typestore(Stores.ROS2_JAZZY)
IMAGE, JOINTS = "sensor_msgs/msg/Image", "sensor_msgs/msg/JointState"
TRAJECTORY, ARRAY, BOOL = (
    "trajectory_msgs/msg/JointTrajectory",
    "std_msgs/msg/Float64MultiArray",
    "std_msgs/msg/Bool",
)
READERS: dict[str, Callable[[bytes], Any]] = {
    IMAGE: cdr.read_image,
    JOINTS: cdr.read_joint_state,
    TRAJECTORY: cdr.read_joint_trajectory,
    ARRAY: cdr.read_float64_array,
    BOOL: cdr.read_bool,
}

# A field that holds a message is a pair (type, fields); so every message is plain data for both writers.
Message = tuple[str, dict[str, Any]]
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9)
DOUBLES = st.lists(st.floats(width=64), max_size=5)


def time(stamp_ns: int, kind: str = "Time") -> Message:
    return f"builtin_interfaces/msg/{kind}", {"sec": stamp_ns // 10**9, "nanosec": stamp_ns % 10**9}


def header(stamp_ns: int, frame_id: str) -> Message:
    return "std_msgs/msg/Header", {"stamp": time(stamp_ns), "frame_id": frame_id}


STAMPS = st.integers(-(2**31) * 10**9, 2**31 * 10**9 - 1)
HEADERS = st.builds(header, STAMPS, WORDS)
IMAGES = st.fixed_dictionaries(
    {
        "header": HEADERS,
        "height": st.integers(0, 2**32 - 1),
        "width": st.integers(0, 2**32 - 1),
        "encoding": WORDS,
        "is_bigendian": st.integers(0, 1),
        "step": st.integers(0, 2**32 - 1),
        "data": st.binary(max_size=40),
    }
).map(lambda fields: (IMAGE, fields))
JOINT_STATES = st.fixed_dictionaries(
    {
        "header": HEADERS,
        "name": st.lists(WORDS, max_size=4),
        "position": DOUBLES,
        "velocity": DOUBLES,
        "effort": DOUBLES,
    }
).map(lambda fields: (JOINTS, fields))
ARRAYS = st.builds(
    lambda labels, offset, data: (
        ARRAY,
        {
            "layout": (
                "std_msgs/msg/MultiArrayLayout",
                {
                    "dim": [
                        ("std_msgs/msg/MultiArrayDimension", {"label": label, "size": 3, "stride": 7})
                        for label in labels
                    ],
                    "data_offset": offset,
                },
            ),
            "data": data,
        },
    ),
    st.lists(WORDS, max_size=3),
    st.integers(0, 2**32 - 1),
    DOUBLES,
)
BOOLS = st.booleans().map(lambda value: (BOOL, {"data": value}))


@st.composite
def trajectories(draw: st.DrawFn) -> Message:
    names = draw(st.lists(WORDS, max_size=3))
    floats = st.lists(st.floats(), min_size=len(names), max_size=len(names))
    # Those with nothing but positions are read all at once.
    others = st.just([]) if draw(st.booleans()) else DOUBLES
    points = [
        (
            "trajectory_msgs/msg/JointTrajectoryPoint",
            {
                "positions": draw(floats),
                "velocities": draw(others),
                "accelerations": draw(others),
                "effort": draw(others),
                "time_from_start": time(draw(STAMPS), "Duration"),
            },
        )
        for _ in range(draw(st.integers(0, 3)))
    ]
    return TRAJECTORY, {"header": draw(HEADERS), "joint_names": names, "points": points}


MESSAGES = st.one_of(IMAGES, JOINT_STATES, ARRAYS, BOOLS, trajectories())


def by_rosbags(message: Message) -> bytes:
    def made(value: Any) -> Any:
        if isinstance(value, tuple):
            return STORE.types[value[0]](**{key: made(each) for key, each in value[1].items()})
        if isinstance(value, bytes):
            return np.frombuffer(value, np.uint8)
        if isinstance(value, list) and not (value and isinstance(value[0], str | tuple)):
            return np.array(value, dtype=np.float64)
        return [made(each) for each in value] if isinstance(value, list) else value

    return bytes(STORE.serialize_cdr(made(message), message[0]))


def by_rclpy(message: Message) -> bytes:
    from rclpy.serialization import serialize_message

    def made(value: Any) -> Any:
        if isinstance(value, tuple):
            package, _, kind = value[0].split("/")
            return getattr(import_module(f"{package}.msg"), kind)(**{key: made(each) for key, each in value[1].items()})
        return [made(each) for each in value] if isinstance(value, list) else value

    return serialize_message(made(message))


def stamp_of(message: Message) -> int:
    return message[1]["sec"] * 10**9 + message[1]["nanosec"]


def assert_read(message: Message, raw: bytes) -> None:
    """What the reader finds in the bytes is what the message held."""
    kind, fields = message
    view = READERS[kind](raw)
    if kind == BOOL:
        assert view is fields["data"]
        return
    if kind == ARRAY:
        np.testing.assert_array_equal(view, np.array(fields["data"]))
        return
    assert view.stamp_ns == cdr.header_stamp_ns(raw) == stamp_of(fields["header"][1]["stamp"])
    assert cdr.read_header(raw) == (view.stamp_ns, fields["header"][1]["frame_id"])
    if kind == IMAGE:
        assert view.frame_id == fields["header"][1]["frame_id"] and view.data == fields["data"]
        assert (view.height, view.width, view.step) == (fields["height"], fields["width"], fields["step"])
        assert (view.encoding, view.is_bigendian) == (fields["encoding"], bool(fields["is_bigendian"]))
    elif kind == JOINTS:
        assert view.names == tuple(fields["name"]) and view.frame_id == fields["header"][1]["frame_id"]
        for key in ("position", "velocity", "effort"):
            np.testing.assert_array_equal(getattr(view, key), np.array(fields[key]))
    else:
        points = [point for _, point in fields["points"]]
        assert view.names == tuple(fields["joint_names"])
        assert view.positions.shape == (len(points), len(view.names))
        for row, point in zip(view.positions, points, strict=True):
            np.testing.assert_array_equal(row, point["positions"])
        assert view.time_from_start_ns.tolist() == [stamp_of(point["time_from_start"]) for point in points]


@given(MESSAGES)
def test_what_rosbags_wrote_is_read(message: Message) -> None:
    assert_read(message, by_rosbags(message))


@pytest.mark.ros
@given(MESSAGES)
def test_what_rclpy_wrote_is_read(message: Message) -> None:
    assert_read(message, by_rclpy(message))


@given(MESSAGES, st.data())
def test_a_message_cut_short_is_an_error(message: Message, data: st.DataObject) -> None:
    raw = by_rosbags(message)
    cut = raw[: data.draw(st.integers(0, len(raw) - 1))]
    with pytest.raises(LearnedArmError):
        READERS[message[0]](cut)


def read_or_refuse(raw: bytes) -> None:
    """No reader raises anything but LearnedArmError."""
    for read in (*READERS.values(), cdr.header_stamp_ns, cdr.read_header):
        with contextlib.suppress(LearnedArmError):
            read(raw)


@given(MESSAGES, st.data())
@settings(max_examples=300)
def test_spoilt_bytes_are_read_or_refused(message: Message, data: st.DataObject) -> None:
    raw = bytearray(by_rosbags(message))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
    read_or_refuse(bytes(raw))


@given(st.binary(max_size=200), st.booleans())
@settings(max_examples=300)
def test_random_bytes_are_read_or_refused(noise: bytes, begins_well: bool) -> None:
    read_or_refuse(b"\0\1\0\0" + noise if begins_well else noise)


def test_a_point_with_another_number_of_joints_is_refused() -> None:
    kind = "trajectory_msgs/msg/JointTrajectoryPoint"
    rest = {"velocities": [], "accelerations": [], "effort": [], "time_from_start": time(0, "Duration")}
    fields = {
        "header": header(0, ""),
        "joint_names": ["a", "b"],
        "points": [(kind, {"positions": [1.0], **rest})],
    }
    with pytest.raises(LearnedArmError, match="positions do not match joints; got 1; allowed: 2"):
        cdr.read_joint_trajectory(by_rosbags((TRAJECTORY, fields)))


def test_a_length_that_no_message_can_hold_costs_nothing() -> None:
    raw = b"\0\1\0\0" + struct.pack("<iII", 0, 0, 1) + b"\0\0\0\0" + struct.pack("<I", 2**32 - 1)
    for read in (cdr.read_joint_state, cdr.read_joint_trajectory, cdr.read_image):
        with pytest.raises(LearnedArmError):
            read(raw)


def test_big_endian_is_refused_by_name() -> None:
    with pytest.raises(LearnedArmError, match="not a little-endian CDR message"):
        cdr.read_bool(b"\0\0\0\0\1")


def test_the_bytes_of_an_image_are_not_copied() -> None:
    raw = by_rosbags(
        (
            IMAGE,
            {
                "header": header(1, "f"),
                "height": 1,
                "width": 2,
                "encoding": "mono8",
                "is_bigendian": 0,
                "step": 2,
                "data": b"ab",
            },
        )
    )
    assert cdr.read_image(raw).data.obj is raw
