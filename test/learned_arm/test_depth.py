"""Depth images: distances in either unit and either byte order, and no distance that nobody measured."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rosbags.typesys import Stores, get_typestore

from demo_tools.dataset import video
from learned_arm.depth import DepthRange, read_metres
from learned_arm.errors import LearnedArmError
from learned_arm.pictures import DEPTH, RAW, decode, decode_small, look

STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = STORE.types
RANGE = DepthRange(0.2, 1.2)
MILLIMETRES = np.array([[0, 100, 200], [700, 1200, 65535]], np.uint16)


def message(numbers: np.ndarray, encoding: str, padding: int = 0, **lies: Any) -> bytes:
    kind = "sensor_msgs/msg/Image"
    height, width = numbers.shape
    rows = np.full((height, width * numbers.itemsize + padding), 0xAB, np.uint8)
    rows[:, : width * numbers.itemsize] = np.ascontiguousarray(numbers).view(np.uint8)
    header = TYPES["std_msgs/msg/Header"](TYPES["builtin_interfaces/msg/Time"](1, 2), "lens")
    truth = {"height": height, "width": width, "step": rows.shape[1], "data": rows.reshape(-1)}
    big = int(numbers.dtype.byteorder == ">")
    return bytes(
        STORE.serialize_cdr(TYPES[kind](header=header, encoding=encoding, is_bigendian=big, **{**truth, **lies}), kind)
    )


@pytest.mark.parametrize("padding", [0, 4])
@pytest.mark.parametrize("order", ["<", ">"])
def test_millimetres_and_metres_in_either_byte_order_look_alike(order: Literal["<", ">"], padding: int) -> None:
    metres = (MILLIMETRES / 1000).astype(np.float32)
    # 255 to 48 from near to far, halfway between the two in the middle, and black where nothing was measured.
    expected = np.array([[0, 255, 255], [152, 48, 48]], np.uint8)[..., None].repeat(3, axis=2)
    for numbers, encoding in ((MILLIMETRES, "16UC1"), (metres, "32FC1")):
        raw = message(numbers.astype(numbers.dtype.newbyteorder(order)), encoding, padding)
        np.testing.assert_array_equal(decode(raw, message=DEPTH, shown=RANGE), expected)


@pytest.mark.parametrize("nothing", [0.0, np.nan, -1.0, -np.inf])
def test_nothing_measured_is_black(nothing: float) -> None:
    raw = message(np.full((4, 4), nothing, np.float32), "32FC1")
    assert not decode(raw, message=DEPTH, shown=RANGE).any()


@given(hnp.arrays(np.uint16, st.tuples(st.integers(1, 12), st.integers(1, 12))), st.integers(1, 12), st.integers(1, 12))
def test_another_size_makes_no_distance_that_was_not_there(numbers: np.ndarray, height: int, width: int) -> None:
    raw = message(numbers, "16UC1")
    whole, resized = read_metres(look(raw, DEPTH)), read_metres(look(raw, DEPTH), (height, width))
    assert resized.shape == (height, width) and set(resized.ravel()) <= set(whole.ravel())
    assert decode_small(raw, DEPTH).shape == (*numbers.shape, 3)


@pytest.mark.parametrize(
    ("lies", "words"),
    [
        ({"encoding": "rgb8"}, "not a depth encoding"),
        ({"step": 5}, "image sizes do not fit its data"),
        ({"height": 3}, "image sizes do not fit its data"),
        ({"width": 4}, "image sizes do not fit its data"),
        ({"height": 0, "step": 0, "data": np.empty(0, np.uint8)}, "image sizes do not fit its data"),
    ],
)
def test_a_depth_image_that_lies_is_refused(lies: dict[str, Any], words: str) -> None:
    encoding = lies.pop("encoding", "16UC1")
    with pytest.raises(LearnedArmError, match=words):
        decode(message(MILLIMETRES, encoding, **lies), message=DEPTH, shown=RANGE)


def test_what_was_not_measured_never_looks_near_also_behind_a_video() -> None:
    rng, size = np.random.default_rng(0), (96, 96)
    metres = np.linspace(0.2, 1.2, 96 * 96, dtype=np.float32).reshape(size)[None].repeat(8, axis=0)
    holes = rng.random(metres.shape) < 0.05
    holes[:, 40:60, 30:50] = True
    frames = RANGE.shade(np.where(holes, 0.0, metres).astype(np.float32))[..., None].repeat(3, axis=3)
    decoded = np.stack(list(video.decode(video.encode(frames, 20))))[..., 0]
    halfway = int(RANGE.shade(np.array([0.7], np.float32))[0])
    assert np.quantile(decoded[holes], 0.99) < halfway and np.median(decoded[holes]) < 24


def test_depth_is_no_raw_image_and_a_raw_image_no_depth() -> None:
    with pytest.raises(LearnedArmError, match="unknown image encoding"):
        decode(message(MILLIMETRES, "16UC1"), message=RAW)
