"""Writes raw ROS 2 messages (CDR) without ROS, byte for byte what its own serialisation makes; see `learned_arm.cdr`.

Making a message of thirty Python objects and serialising it takes longer than everything that a tick of a policy does
besides decoding images and running the model.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from learned_arm.cdr import trajectory_points

_SECOND_NS = 1_000_000_000
_HEADER = b"\x00\x01\x00\x00"
_STAMP, _COUNT = struct.Struct("<iI"), struct.Struct("<I")
# The length of a sequence that is empty.
_NONE = bytes(4)


class Writer:
    """Builds one message."""

    def __init__(self) -> None:
        self._raw = bytearray(_HEADER)

    def unsigned(self, value: int) -> None:
        """uint32."""
        self.align(4)
        self._raw += struct.pack("<I", value)

    def stamp_ns(self, stamp_ns: int) -> None:
        """builtin_interfaces Time or Duration."""
        self.align(4)
        self._raw += struct.pack("<iI", *divmod(stamp_ns, _SECOND_NS))

    def text(self, value: str) -> None:
        """A string."""
        data = value.encode()
        self.unsigned(len(data) + 1)
        self._raw += data + b"\x00"

    def texts(self, values: Sequence[str]) -> None:
        """A sequence of strings."""
        self.unsigned(len(values))
        for value in values:
            self.text(value)

    def put(self, data: bytes) -> None:
        """Bytes as they are."""
        self._raw += data

    def align(self, size: int) -> None:
        """Fill up to a multiple of a size."""
        self._raw += bytes((len(_HEADER) - len(self._raw)) % size)

    def done(self) -> bytes:
        """The message."""
        return bytes(self._raw)


def joint_trajectory(
    stamp_ns: int, names: Sequence[str], time_from_start_ns: NDArray[np.int64], positions: NDArray[np.float64]
) -> bytes:
    """A trajectory_msgs/msg/JointTrajectory of positions, shape (points, joints), and the time of each point."""
    writer = Writer()
    writer.stamp_ns(stamp_ns)
    writer.put(_labels(tuple(names)))
    writer.unsigned(len(positions))
    if len(positions) > 0:
        count = len(names)
        writer.unsigned(count)
        writer.align(8 if names else 4)
        values: list[float] = []
        for at_ns, point in zip(time_from_start_ns.tolist(), positions.tolist(), strict=True):
            values += (*point, 0, 0, 0, *divmod(at_ns, _SECOND_NS), count)
        writer.put(trajectory_points(len(positions), count).pack(*values[:-1]))
    return writer.done()


def joint_state(stamp_ns: int, names: Sequence[str], position_rad: NDArray[np.float64], frame_id: str = "") -> bytes:
    """A sensor_msgs/msg/JointState with positions only, shape (joints,)."""
    values = np.ascontiguousarray(position_rad, dtype="<f8")
    stamp = _STAMP.pack(*divmod(stamp_ns, _SECOND_NS))
    between = _before_positions(tuple(names), frame_id, len(values))
    return b"".join((_HEADER, stamp, between, values.tobytes(), _NONE * 2))


def float64_array(values: NDArray[np.float64]) -> bytes:
    """A std_msgs/msg/Float64MultiArray without a layout, shape (values,)."""
    data = np.ascontiguousarray(values, dtype="<f8")
    # No dimension, no offset, how many there are, and what fills up to a double.
    return b"".join((_HEADER, _NONE * 2, _COUNT.pack(len(data)), _NONE if len(data) else b"", data.tobytes()))


@lru_cache(maxsize=64)
def _labels(names: tuple[str, ...], frame_id: str = "") -> bytes:
    """A frame_id and the names behind it, as they follow a stamp at the beginning of a message."""
    writer = Writer()
    writer.text(frame_id)
    writer.texts(names)
    return writer.done()[len(_HEADER) :]


@lru_cache(maxsize=64)
def _before_positions(names: tuple[str, ...], frame_id: str, count: int) -> bytes:
    """What lies between a JointState's stamp and its positions."""
    writer = Writer()
    writer.stamp_ns(0)
    begins = len(writer.done())
    writer.put(_labels(names, frame_id))
    writer.unsigned(count)
    if count:
        writer.align(8)
    return writer.done()[begins:]
