"""Image messages -> RGB: raw, compressed (sensor_msgs/msg/CompressedImage) and depth ones; the others are Images.

What a message says of its size is checked before anything is made as large.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from learned_arm import cdr, depth
from learned_arm.errors import LearnedArmError

RAW, COMPRESSED, DEPTH = "raw", "compressed", "depth"
_IMAGE = "sensor_msgs/msg/Image"
TYPES = {RAW: _IMAGE, COMPRESSED: "sensor_msgs/msg/CompressedImage", DEPTH: _IMAGE}
"""Message type by the word that a contract has for it."""
Pixels = NDArray[np.uint8]
ANY_DEPTH = depth.DepthRange(0.0, 5.0)
"""What is shown of distances where nobody says what matters."""
_CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}
_TO_RGB = {
    "bgr8": cv2.COLOR_BGR2RGB,
    "rgba8": cv2.COLOR_RGBA2RGB,
    "bgra8": cv2.COLOR_BGRA2RGB,
    "mono8": cv2.COLOR_GRAY2RGB,
}
_LARGEST_SIDE = 16_384
_LARGEST_COMPRESSED_PIXELS = 64_000_000
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
# Start of frame, all kinds of coding but those that mark tables (ITU-T T.81, table B.1).
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}


def look(raw: bytes | memoryview, message: str = RAW) -> cdr.ImageView:
    """What an image message says of itself; of a compressed one `encoding` is its format and `step` 0.

    Args:
        raw: The message's bytes.
        message: `raw`, `compressed` or `depth`.

    Raises:
        LearnedArmError: It is no such message, or its picture is neither JPEG nor PNG.
    """
    if message != COMPRESSED:
        return cdr.read_image(raw)
    view = cdr.read_compressed_image(raw)
    height, width = _coded_size(view)
    return cdr.ImageView(view.stamp_ns, view.frame_id, height, width, view.format, False, 0, view.data)


def decode(
    raw: bytes | memoryview,
    size: tuple[int, int] | None = None,
    message: str = RAW,
    out: Pixels | None = None,
    shown: depth.DepthRange = ANY_DEPTH,
) -> Pixels:
    """Decode an image message to RGB.

    Args:
        raw: The message's bytes.
        size: Wanted height and width; None: its own.
        message: `raw`, `compressed` or `depth`.
        out: Where to write it, C order, of the shape below; by default into a new array.
        shown: Which distances are told apart.

    Returns:
        uint8, shape (height, width, 3). Shrinks by area, enlarges linearly; of distances the nearest one is taken.

    Raises:
        LearnedArmError: Unknown encoding, or the sizes that the message states do not fit its bytes.
    """
    view = look(raw, message)
    size = (view.height, view.width) if size is None else size
    if message == DEPTH:
        shades = shown.shade(depth.read_metres(view, size))
        out = np.empty((*size, 3), np.uint8) if out is None else out
        out[:] = shades[..., None]
        return out
    pixels, to_rgb = (_raw_pixels if message == RAW else _coded_pixels)(view)
    out = np.empty((*size, 3), np.uint8) if out is None else out
    height, width = size
    if (view.height, view.width) != size:
        shrinks = height * width < view.height * view.width
        way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        target = out if to_rgb is None else None
        pixels = cv2.resize(pixels, (width, height), dst=target, interpolation=way)
    if to_rgb is not None:
        pixels = cv2.cvtColor(pixels, to_rgb, dst=out)
    elif (view.height, view.width) == size:
        out[:] = pixels
    return out


def decode_small(
    raw: bytes | memoryview, message: str = RAW, shown: depth.DepthRange = ANY_DEPTH, largest_height: int = 144
) -> Pixels:
    """Decode an image message to RGB for people to look at: as it is, or shrunk to a height.

    Raises:
        LearnedArmError: See `decode`.
    """
    view = look(raw, message)
    height, width = view.height, view.width
    if height > largest_height:
        height, width = largest_height, max(round(view.width * largest_height / view.height), 1)
    return decode(raw, (height, width), message, shown=shown)


def _raw_pixels(view: cdr.ImageView) -> tuple[Pixels, int | None]:
    """The pixels where they lie, and how they become RGB; None: they are."""
    if view.encoding not in _CHANNELS:
        raise LearnedArmError("unknown image encoding", where=view.frame_id, got=view.encoding, allowed=list(_CHANNELS))
    channels = _CHANNELS[view.encoding]
    sides_fit = 0 < view.height <= _LARGEST_SIDE and 0 < view.width <= _LARGEST_SIDE
    if not sides_fit or view.step < view.width * channels or view.step * view.height != len(view.data):
        got = f"{view.width}x{view.height}, step {view.step}, {len(view.data)} bytes of {view.encoding}"
        raise LearnedArmError(
            "image sizes do not fit its data", where=view.frame_id, got=got, allowed="height*step bytes"
        )
    pixels = np.frombuffer(view.data, np.uint8)
    if view.step != view.width * channels:
        pixels = pixels.reshape(view.height, view.step)[:, : view.width * channels]
    return pixels.reshape(view.height, view.width, channels), _TO_RGB.get(view.encoding)


def _coded_pixels(view: cdr.ImageView) -> tuple[Pixels, int | None]:
    pixels = cv2.imdecode(np.frombuffer(view.data, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None or pixels.shape[:2] != (view.height, view.width):
        got = f"{len(view.data)} bytes of {view.encoding}"
        raise LearnedArmError("compressed image cannot be decoded", where=view.frame_id, got=got, allowed="a whole one")
    return np.asarray(pixels, np.uint8), cv2.COLOR_BGR2RGB


def _coded_size(view: cdr.CompressedView) -> tuple[int, int]:
    """Height and width that a JPEG or PNG states."""
    data = bytes(view.data[: len(_PNG)])
    read: Callable[[memoryview], tuple[int, int] | None] | None = (
        _png_size if data == _PNG else _jpeg_size if data[:2] == _JPEG else None
    )
    size = None if read is None else read(view.data)
    if size is None:
        raise LearnedArmError(
            "not a compressed image", where=view.frame_id, got=view.format or "no format", allowed="JPEG or PNG"
        )
    height, width = size
    sides_fit = 0 < height <= _LARGEST_SIDE and 0 < width <= _LARGEST_SIDE
    if not sides_fit or height * width > _LARGEST_COMPRESSED_PIXELS:
        raise LearnedArmError(
            "size of a compressed image",
            where=view.frame_id,
            got=f"{width}x{height}",
            allowed=f"sides of 1 to {_LARGEST_SIDE}, {_LARGEST_COMPRESSED_PIXELS} pixels in all",
        )
    return size


def _png_size(data: memoryview) -> tuple[int, int] | None:
    """Of the header chunk, which comes first (PNG specification, 11.2.2)."""
    if len(data) < 24 or bytes(data[12:16]) != b"IHDR":
        return None
    width, height = struct.unpack_from(">II", data, 16)
    return height, width


def _jpeg_size(data: memoryview) -> tuple[int, int] | None:
    """Of the frame header, behind any other segments (ITU-T T.81, B.2.2)."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            # A fill byte.
            at += 1
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return height, width
        at += 2 + max(length, 2)
    return None
