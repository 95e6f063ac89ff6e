"""Raw messages for benchmarks: made once, stamped in place, so that the source costs next to nothing."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image, JointState

from learned_arm.kept_memory import keep_freed_memory
from learned_arm.ros import messages

WIDTH, HEIGHT = 640, 480
_STAMP = struct.Struct("<iI")
_STAMP_AT = 4  # behind the CDR header


class Stamped:
    """A serialised message that begins with a std_msgs/msg/Header.

    A process that has one keeps freed memory: a camera's driver fills the same buffers again and again.
    """

    def __init__(self, message: Any) -> None:
        keep_freed_memory()
        self._raw = bytearray(serialize_message(message))

    def at(self, stamp_ns: int) -> bytes:
        """The message with this stamp."""
        _STAMP.pack_into(self._raw, _STAMP_AT, *divmod(stamp_ns, 1_000_000_000))
        return bytes(self._raw)


def image(seed: int = 0) -> Image:
    """A 640x480 rgb8 picture of noise, which no step can shortcut."""
    pixels = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    message = Image(height=HEIGHT, width=WIDTH, encoding="rgb8", step=WIDTH * 3)
    message.header.frame_id = "camera"
    message.data.frombytes(pixels.tobytes())
    return message


def joint_state(joints: Sequence[str], positions_rad: Sequence[float]) -> JointState:
    """Measured positions of every joint."""
    return messages.joint_state(0, joints, np.asarray(positions_rad, dtype=np.float64))
