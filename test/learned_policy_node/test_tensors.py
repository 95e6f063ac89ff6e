"""Observations as tensors: every form equals its formula bit for bit, in memory that is allocated once."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from learned_arm.errors import LearnedArmError
from learned_policy_node.signature import ImageInput
from learned_policy_node.tensors import ImageMap

HISTORY, HEIGHT, WIDTH = 2, 5, 7
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FORMS = [
    ImageInput("x", "front", layout, dtype, colour, history, 1 / 255, MEAN, STD)
    for layout in ("NHWC", "NCHW")
    for dtype in ("uint8", "float32")
    for colour in ("rgb", "bgr")
    for history in (True, False)
]


def shape(form: ImageInput) -> tuple[int, ...]:
    pixels = (HEIGHT, WIDTH, 3) if form.layout == "NHWC" else (3, HEIGHT, WIDTH)
    return (1, *([HISTORY] if form.history else []), *pixels)


def formula(form: ImageInput, frames: NDArray[np.uint8]) -> NDArray[np.generic]:
    """`(pixel * scale - mean) / std` in float32, then the order of the axes."""
    pixels = frames[..., ::-1] if form.colour == "bgr" else frames
    if form.dtype == "float32":
        mean, std = np.array(form.mean, np.float32), np.array(form.std, np.float32)
        pixels = (pixels * np.float32(form.scale) - mean) / std
    if form.layout == "NCHW":
        pixels = pixels.transpose(0, 3, 1, 2)
    return pixels[None] if form.history else pixels[-1:]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.layout}-{form.dtype}-{form.colour}-{form.history}")
def test_every_form_equals_its_formula_in_the_same_memory(form: ImageInput) -> None:
    images, memory = ImageMap(form, shape(form)), set()
    for seed in range(3):
        frames = np.random.default_rng(seed).integers(0, 256, (HISTORY, HEIGHT, WIDTH, 3), np.uint8)
        frames.flags.writeable = False
        found = images.encode(frames)
        assert found.flags.c_contiguous
        assert (found.dtype, found.shape) == (np.dtype(form.dtype), shape(form))
        np.testing.assert_array_equal(found, formula(form, frames))
        memory.add(0 if np.shares_memory(found, frames) else found.__array_interface__["data"][0])
    assert len(memory) == 1
    assert (memory == {0}) == ((form.layout, form.dtype, form.colour) == ("NHWC", "uint8", "rgb"))


@pytest.mark.parametrize("form", FORMS[:4])
def test_frames_of_another_size_are_refused(form: ImageInput) -> None:
    with pytest.raises(LearnedArmError, match=r"x: frames of another size than the policy's; got \(5, 8, 3\)"):
        ImageMap(form, shape(form)).encode(np.zeros((HISTORY, HEIGHT, WIDTH + 1, 3), np.uint8))
