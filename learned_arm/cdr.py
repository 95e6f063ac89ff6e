"""Reads raw ROS 2 messages (CDR) without ROS: the same bytes, live from a raw subscription or from a bag.

Source of the encoding: OMG DDS-XTYPES 1.3, 7.4.3 (plain CDR): a 4-byte header, primitives aligned to their own size
counted from the end of that header, strings with their length and a closing NUL, sequences with their length.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learned_arm.errors import LearnedArmError

_LITTLE_ENDIAN = b"\x00\x01"
_MOST_POINTS = 100_000
# Larger trajectories are rare, and are read point by point.
_MOST_POINTS_AT_ONCE, _MOST_JOINTS_AT_ONCE = 64, 64
_LONGEST_KNOWN, _MOST_SIZES, _MOST_A_SIZE = 4096, 64, 4
_STAMP = struct.Struct("<iI")
_AFTER_STAMP = 4 + _STAMP.size


@dataclass(frozen=True)
class ImageView:
    """A sensor_msgs/msg/Image; `data` views the message's bytes."""

    stamp_ns: int
    frame_id: str
    height: int
    width: int
    encoding: str
    is_bigendian: bool
    step: int
    data: memoryview


@dataclass(frozen=True)
class CompressedView:
    """A sensor_msgs/msg/CompressedImage; `data` views the message's bytes."""

    stamp_ns: int
    frame_id: str
    format: str
    data: memoryview


@dataclass(frozen=True)
class JointStateView:
    """A sensor_msgs/msg/JointState. An array the sender left out is empty."""

    stamp_ns: int
    names: tuple[str, ...]
    position: NDArray[np.float64]
    velocity: NDArray[np.float64]
    effort: NDArray[np.float64]
    frame_id: str = ""


@dataclass(frozen=True)
class TrajectoryView:
    """A trajectory_msgs/msg/JointTrajectory: `positions` has shape (points, joints)."""

    stamp_ns: int
    names: tuple[str, ...]
    time_from_start_ns: NDArray[np.int64]
    positions: NDArray[np.float64]


@lru_cache(maxsize=64)
def trajectory_points(count: int, joints: int) -> struct.Struct:
    """Points of a JointTrajectory with positions only, one behind the other, from the first's positions on.

    Each is its positions, three empty sequences (velocities, accelerations, effort), seconds, nanoseconds, and the
    number of the next one's positions. A point is 4 bytes more than a multiple of 8, so that nothing is filled up
    between them; what stands before the first one's positions is the caller's.
    """
    point = f"{joints}d3IiI"
    return struct.Struct("<" + "I".join([point] * count))


class _Known:
    """By the size of a message the bytes that say the same in each of a stream, and what they say: streams are few."""

    def __init__(self) -> None:
        self._found: dict[int, list[tuple[bytes, Any]]] = {}

    def find(self, raw: memoryview, start: int) -> tuple[int, Any] | None:
        """Where the bytes end that were seen before, and what they say."""
        for said, found in self._found.get(len(raw), ()):
            stop = start + len(said)
            if bytes(raw[start:stop]) == said:
                return stop, found
        return None

    def keep(self, raw: memoryview, start: int, stop: int, found: Any) -> None:
        """Remember them, a few a size."""
        if stop - start <= _LONGEST_KNOWN:
            if len(self._found) >= _MOST_SIZES:
                self._found.clear()
            self._found[len(raw)] = [(bytes(raw[start:stop]), found), *self._found.get(len(raw), ())][:_MOST_A_SIZE]


_LABELS, _LAYOUTS = _Known(), _Known()


class Reader:
    """Walks through one message."""

    def __init__(self, raw: bytes | memoryview) -> None:
        self._raw = memoryview(raw)
        if len(self._raw) < 4 or bytes(self._raw[:2]) != _LITTLE_ENDIAN:
            raise LearnedArmError("not a little-endian CDR message", got=bytes(self._raw[:4]), allowed="00 01 ...")
        self._at = 4

    def _take(self, size: int, alignment: int) -> int:
        start = self._at + (-(self._at - 4)) % alignment
        if size < 0 or start + size > len(self._raw):
            raise LearnedArmError("message ends early", got=len(self._raw), allowed=f"{start + size} bytes or more")
        self._at = start + size
        return start

    def unsigned(self) -> int:
        """uint32."""
        return struct.unpack_from("<I", self._raw, self._take(4, 4))[0]

    def byte(self) -> int:
        """uint8 or bool."""
        return self._raw[self._take(1, 1)]

    def double(self) -> float:
        """float64."""
        return struct.unpack_from("<d", self._raw, self._take(8, 8))[0]

    def stamp_ns(self) -> int:
        """builtin_interfaces Time or Duration, in nanoseconds."""
        seconds, nanoseconds = struct.unpack_from("<iI", self._raw, self._take(8, 4))
        return seconds * 1_000_000_000 + nanoseconds

    def text(self) -> str:
        """A string."""
        length = self.unsigned()
        start = self._take(length, 1)
        return bytes(self._raw[start : start + max(length - 1, 0)]).decode("utf-8", "replace")

    def texts(self) -> tuple[str, ...]:
        """A sequence of strings."""
        return tuple(self.text() for _ in range(self._count(4)))

    def labels(self) -> tuple[str, tuple[str, ...]]:
        """The frame_id and the sequence of names behind it, which are the same in every message of a stream."""
        start, known = self._at, _LABELS.find(self._raw, self._at)
        if known is not None:
            self._at, found = known
            return found
        found = self.text(), self.texts()
        _LABELS.keep(self._raw, start, self._at, found)
        return found

    def layout(self) -> tuple[str, int, int, str, bool, int]:
        """Of an image, behind its stamp: frame_id, height, width, encoding, is_bigendian, step; see `labels`."""
        start, known = self._at, _LAYOUTS.find(self._raw, self._at)
        if known is not None:
            self._at, found = known
            return found
        frame_id, height, width = self.text(), self.unsigned(), self.unsigned()
        found = frame_id, height, width, self.text(), bool(self.byte()), self.unsigned()
        _LAYOUTS.keep(self._raw, start, self._at, found)
        return found

    def floats(self) -> NDArray[np.float64]:
        """A sequence of float64, copied."""
        count = self._count(8)
        if count == 0:
            return np.empty(0)
        start = self._take(8 * count, 8)
        return np.frombuffer(self._raw, "<f8", count, start).astype(np.float64)

    def points(self, count: int, joints: int) -> tuple[list[int], list[tuple[float, ...]]] | None:
        """Times and positions of so many points at once; None, and nothing is taken, unless those are all they have."""
        if not (0 < count <= _MOST_POINTS_AT_ONCE and 0 < joints <= _MOST_JOINTS_AT_ONCE):
            return None
        kind = trajectory_points(count, joints)
        first = self._at + (-(self._at - 4)) % 4
        start = first + 4 + (-first) % 8
        if start + kind.size > len(self._raw):
            return None
        values = struct.unpack_from("<I", self._raw, first) + kind.unpack_from(self._raw, start)
        times, positions, size = [], [], joints + 6
        for at in range(0, len(values), size):
            if values[at] != joints or any(values[at + joints + 1 : at + joints + 4]):
                return None
            positions.append(values[at + 1 : at + joints + 1])
            times.append(values[at + size - 2] * 1_000_000_000 + values[at + size - 1])
        self._at = start + kind.size
        return times, positions

    def view(self) -> memoryview:
        """A sequence of uint8, not copied."""
        count = self._count(1)
        start = self._take(count, 1)
        return self._raw[start : start + count]

    def _count(self, smallest_entry: int) -> int:
        """Length of a sequence, bounded by what the message can hold."""
        count = self.unsigned()
        if count * smallest_entry > len(self._raw):
            raise LearnedArmError("sequence longer than its message", got=count, allowed=f"{len(self._raw)} bytes")
        return count


def header_stamp_ns(raw: bytes | memoryview) -> int:
    """Stamp of any message that begins with a std_msgs/msg/Header."""
    if len(raw) < _AFTER_STAMP or raw[:2] != _LITTLE_ENDIAN:
        return Reader(raw).stamp_ns()
    seconds, nanoseconds = _STAMP.unpack_from(raw, 4)
    return seconds * 1_000_000_000 + nanoseconds


def read_header(raw: bytes | memoryview) -> tuple[int, str]:
    """Stamp and frame_id of any message that begins with a std_msgs/msg/Header."""
    reader = Reader(raw)
    return reader.stamp_ns(), reader.text()


def read_image(raw: bytes | memoryview) -> ImageView:
    """Read a sensor_msgs/msg/Image. Its sizes are checked where it is decoded, not here."""
    reader = Reader(raw)
    stamp_ns, (frame_id, height, width, encoding, is_bigendian, step) = reader.stamp_ns(), reader.layout()
    return ImageView(stamp_ns, frame_id, height, width, encoding, is_bigendian, step, reader.view())


def read_compressed_image(raw: bytes | memoryview) -> CompressedView:
    """Read a sensor_msgs/msg/CompressedImage."""
    reader = Reader(raw)
    return CompressedView(reader.stamp_ns(), reader.text(), reader.text(), reader.view())


def read_joint_state(raw: bytes | memoryview) -> JointStateView:
    """Read a sensor_msgs/msg/JointState."""
    reader = Reader(raw)
    stamp_ns, (frame_id, names) = reader.stamp_ns(), reader.labels()
    return JointStateView(stamp_ns, names, reader.floats(), reader.floats(), reader.floats(), frame_id)


def read_joint_trajectory(raw: bytes | memoryview) -> TrajectoryView:
    """Read a trajectory_msgs/msg/JointTrajectory.

    Raises:
        LearnedArmError: A point has another number of positions than there are joints.
    """
    reader = Reader(raw)
    stamp_ns, (_, names) = reader.stamp_ns(), reader.labels()
    count = reader.unsigned()
    if count > _MOST_POINTS:
        raise LearnedArmError("too many trajectory points", got=count, allowed=f"[0, {_MOST_POINTS}]")
    points = reader.points(count, len(names))
    if points is not None:
        return TrajectoryView(stamp_ns, names, np.array(points[0], np.int64), np.array(points[1], np.float64))
    positions, times = [], []
    for _ in range(count):
        point = reader.floats()
        if len(point) != len(names):
            raise LearnedArmError("positions do not match joints", got=len(point), allowed=len(names))
        for _ in range(3):
            reader.floats()
        positions.append(point)
        times.append(reader.stamp_ns())
    return TrajectoryView(
        stamp_ns,
        names,
        np.array(times, dtype=np.int64),
        np.array(positions, dtype=np.float64).reshape(count, len(names)),
    )


def read_float64_array(raw: bytes | memoryview) -> NDArray[np.float64]:
    """Read the data of a std_msgs/msg/Float64MultiArray; its layout is skipped."""
    reader = Reader(raw)
    for _ in range(reader.unsigned()):
        reader.text()
        reader.unsigned()
        reader.unsigned()
    reader.unsigned()
    return reader.floats()


def read_wrench(raw: bytes | memoryview) -> NDArray[np.float64]:
    """Read a geometry_msgs/msg/WrenchStamped: force in N, then torque in Nm, shape (6,)."""
    reader = Reader(raw)
    reader.stamp_ns()
    reader.text()
    return np.array([reader.double() for _ in range(6)])


def read_float64(raw: bytes | memoryview) -> float:
    """Read a std_msgs/msg/Float64."""
    return Reader(raw).double()


def read_bool(raw: bytes | memoryview) -> bool:
    """Read a std_msgs/msg/Bool."""
    return bool(Reader(raw).byte())
