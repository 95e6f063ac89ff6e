"""What is written raw is what two independent writers would have written, and is read again as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from rosbags.typesys import Stores, get_typestore

from learned_arm import cdr, cdr_write

STORE = get_typestore(Stores.ROS2_JAZZY)
KIND = "trajectory_msgs/msg/JointTrajectory"
STATE, ARRAY = "sensor_msgs/msg/JointState", "std_msgs/msg/Float64MultiArray"
STAMPS = st.integers(-(2**31) * 10**9, 2**31 * 10**9 - 1)
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9)


@st.composite
def trajectories(draw: st.DrawFn) -> cdr.TrajectoryView:
    names = tuple(draw(st.lists(WORDS, max_size=4)))
    points = draw(st.integers(0, 4))
    times = np.array([draw(STAMPS) for _ in range(points)], np.int64)
    values = [[draw(st.floats()) for _ in names] for _ in range(points)]
    return cdr.TrajectoryView(draw(STAMPS), names, times, np.array(values, np.float64).reshape(points, len(names)))


def by_rosbags(view: cdr.TrajectoryView) -> bytes:
    types: dict[str, Any] = STORE.types

    def stamp(kind: str, at_ns: int) -> Any:
        return types[f"builtin_interfaces/msg/{kind}"](*divmod(at_ns, 10**9))

    nothing = np.empty(0)
    points = [
        types["trajectory_msgs/msg/JointTrajectoryPoint"](
            positions, nothing, nothing, nothing, stamp("Duration", at_ns)
        )
        for at_ns, positions in zip(view.time_from_start_ns.tolist(), view.positions, strict=True)
    ]
    header = types["std_msgs/msg/Header"](stamp("Time", view.stamp_ns), "")
    return bytes(STORE.serialize_cdr(types[KIND](header, list(view.names), points), KIND))


@given(trajectories())
def test_a_trajectory_is_written_to_the_byte_and_read_again(view: cdr.TrajectoryView) -> None:
    raw = cdr_write.joint_trajectory(view.stamp_ns, view.names, view.time_from_start_ns, view.positions)
    assert raw == by_rosbags(view)
    again = cdr.read_joint_trajectory(raw)
    assert (again.stamp_ns, again.names) == (view.stamp_ns, view.names)
    np.testing.assert_array_equal(again.time_from_start_ns, view.time_from_start_ns)
    np.testing.assert_array_equal(again.positions, view.positions)


@given(STAMPS, st.lists(WORDS, max_size=5), WORDS, st.data())
def test_a_joint_state_is_written_to_the_byte_and_read_again(
    stamp_ns: int, names: list[str], frame_id: str, data: st.DataObject
) -> None:
    position = np.array(data.draw(st.lists(st.floats(), min_size=len(names), max_size=len(names))), np.float64)
    raw = cdr_write.joint_state(stamp_ns, names, position, frame_id)
    types: dict[str, Any] = STORE.types
    header = types["std_msgs/msg/Header"](types["builtin_interfaces/msg/Time"](*divmod(stamp_ns, 10**9)), frame_id)
    message = types[STATE](header, names, position, np.empty(0), np.empty(0))
    assert raw == bytes(STORE.serialize_cdr(message, STATE))
    again = cdr.read_joint_state(raw)
    assert (again.stamp_ns, again.names, again.frame_id) == (stamp_ns, tuple(names), frame_id)
    np.testing.assert_array_equal(again.position, position)


@given(st.lists(st.floats(), max_size=9))
def test_an_array_is_written_to_the_byte_and_read_again(values: list[float]) -> None:
    raw = cdr_write.float64_array(np.array(values, np.float64))
    types: dict[str, Any] = STORE.types
    message = types[ARRAY](types["std_msgs/msg/MultiArrayLayout"]([], 0), np.array(values, np.float64))
    assert raw == bytes(STORE.serialize_cdr(message, ARRAY))
    np.testing.assert_array_equal(cdr.read_float64_array(raw), values)
