"""Compressed images: decoded as what they are, and refused where they lie."""

from __future__ import annotations

import contextlib
import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rosbags.typesys import Stores, get_typestore

from learned_arm.errors import LearnedArmError
from learned_arm.pictures import COMPRESSED, decode, decode_small, look

STORE = get_typestore(Stores.ROS2_JAZZY)
SHADES = np.linspace(0, 255, 40 * 60 * 3).reshape(40, 60, 3).astype(np.uint8)


def message(data: bytes, form: str = "rgb8; jpeg compressed bgr8") -> bytes:
    kind = "sensor_msgs/msg/CompressedImage"
    header = STORE.types["std_msgs/msg/Header"](STORE.types["builtin_interfaces/msg/Time"](1, 2), "lens")
    found = STORE.types[kind](header, form, np.frombuffer(data, np.uint8))
    return bytes(STORE.serialize_cdr(found, kind))


def coded(rgb: np.ndarray, ending: str) -> bytes:
    return cv2.imencode(ending, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes()


JPEG, PNG = coded(SHADES, ".jpg"), coded(SHADES, ".png")


def test_a_png_is_what_it_was_and_a_jpeg_nearly() -> None:
    np.testing.assert_array_equal(decode(message(PNG, "png"), message=COMPRESSED), SHADES)
    assert np.abs(decode(message(JPEG), message=COMPRESSED).astype(int) - SHADES).max() < 40
    view = look(message(JPEG), COMPRESSED)
    assert (view.stamp_ns, view.frame_id, view.height, view.width) == (1_000_000_002, "lens", 40, 60)


@pytest.mark.parametrize("size", [(20, 30), (96, 96), (40, 60)])
def test_it_is_brought_to_the_size_as_a_raw_one_is(size: tuple[int, int]) -> None:
    way = cv2.INTER_AREA if size == (20, 30) else cv2.INTER_LINEAR
    wanted = SHADES if size == (40, 60) else cv2.resize(SHADES, size[::-1], interpolation=way)
    out = np.zeros((2, *size, 3), np.uint8)
    decode(message(PNG), size, COMPRESSED, out[1])
    assert np.abs(out[1].astype(int) - wanted).max() <= 1 and not out[0].any()
    assert decode_small(message(PNG), COMPRESSED, largest_height=20).shape == (20, 30, 3)


def test_a_grey_or_deep_picture_becomes_rgb() -> None:
    grey = SHADES[..., 0]
    found = decode(message(cv2.imencode(".png", grey)[1].tobytes()), message=COMPRESSED)
    np.testing.assert_array_equal(found, np.repeat(grey[..., None], 3, axis=2))
    deep = (grey.astype(np.uint16) << 8) | 0x55
    found = decode(message(cv2.imencode(".png", deep)[1].tobytes()), message=COMPRESSED)
    assert np.abs(found[..., 0].astype(int) - grey).max() <= 1


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a compressed image"),
        (b"GIF89a" + bytes(40), "not a compressed image"),
        (JPEG[:100], "not a compressed image|cannot be decoded"),
        (PNG[:60], "cannot be decoded"),
        (PNG[:16] + struct.pack(">II", 16_384, 16_384) + PNG[24:], "size of a compressed image"),
        (PNG[:16] + struct.pack(">II", 0, 40) + PNG[24:], "size of a compressed image"),
    ],
)
def test_what_lies_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(LearnedArmError, match=words):
        decode(message(data), (8, 8), COMPRESSED)


@given(st.sampled_from([JPEG, PNG]), st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=8))
def test_flipped_bytes_give_a_picture_or_are_refused(data: bytes, flips: list[tuple[int, int]]) -> None:
    broken = bytearray(data)
    for place, value in flips:
        broken[place % len(broken)] = value
    with contextlib.suppress(LearnedArmError):
        assert decode(message(bytes(broken)), (8, 8), COMPRESSED).shape == (8, 8, 3)
