"""Plain data -> ROS messages. The way back is `learned_arm.cdr`, which needs no ROS."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image, JointState

from learned_arm import cdr_write
from learned_arm.pictures import COMPRESSED
from learned_arm.timeline import Timeline

_SECOND_NS = 1_000_000_000
LEVELS = {"ok": DiagnosticStatus.OK, "warn": DiagnosticStatus.WARN, "error": DiagnosticStatus.ERROR}


def time_message(stamp_ns: int) -> Time:
    """A stamp."""
    return Time(sec=stamp_ns // _SECOND_NS, nanosec=stamp_ns % _SECOND_NS)


def doubles(values: NDArray[np.float64]) -> array:
    """A float64 sequence, without a Python object an element."""
    return array("d", np.ascontiguousarray(values, dtype=np.float64).tobytes())


def joint_state(
    stamp_ns: int, names: Sequence[str], position_rad: NDArray[np.float64], frame_id: str = ""
) -> JointState:
    """A JointState with positions only."""
    message = JointState()
    message.header.stamp = time_message(stamp_ns)
    if frame_id:
        message.header.frame_id = frame_id
    message.name = list(names)
    message.position = doubles(position_rad)
    return message


def image_type(message: str) -> type:
    """Class of what a camera of a contract carries."""
    return CompressedImage if message == COMPRESSED else Image


def rgb_image(stamp_ns: int, pixels: NDArray[np.uint8]) -> Image:
    """An rgb8 image of uint8 RGB, shape (height, width, 3)."""
    height, width, _ = pixels.shape
    message = Image(height=height, width=width, encoding="rgb8", step=3 * width)
    message.header.stamp = time_message(stamp_ns)
    message.data = array("B", np.ascontiguousarray(pixels).tobytes())
    return message


def targets(stamp_ns: int, joints: Sequence[str], timeline: Timeline | None) -> bytes:
    """A source's timeline as a raw JointTrajectory whose points count from the stamp; None or empty means stop."""
    if timeline is None:
        return cdr_write.joint_trajectory(stamp_ns, joints, np.empty(0, np.int64), np.empty((0, len(joints))))
    return cdr_write.joint_trajectory(stamp_ns, joints, timeline.stamps_ns - stamp_ns, timeline.positions_rad)


def status(name: str, level: str, text: str, values: Mapping[str, object]) -> DiagnosticStatus:
    """A DiagnosticStatus; `level` is ok, warn or error."""
    entries = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    return DiagnosticStatus(level=LEVELS[level], name=name, message=text, values=entries)


def status_values(message: DiagnosticStatus) -> dict[str, str]:
    """The key-value pairs of a status."""
    return {entry.key: entry.value for entry in message.values}
