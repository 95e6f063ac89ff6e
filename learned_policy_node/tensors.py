"""Observations -> a model's inputs and its outputs -> labels, as a signature describes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_arm.observation import Observation
from learned_policy_node.signature import ImageInput, JointTensor, Signature, input_forms

Floats = NDArray[np.float32]


class JointMap:
    """Translates between rows in the robot's joint order and physical units and a tensor's own.

    Attributes:
        same_units: Whether the tensor's numbers are the physical ones, which come through bit for bit.
    """

    def __init__(self, tensor: JointTensor, joints: Sequence[str]) -> None:
        self._axis = tensor.axis
        self._own = np.array([list(joints).index(name) for name in tensor.joints], dtype=np.intp)
        self._robot = np.argsort(self._own)
        self._mean = np.array(tensor.mean, np.float32)
        self._std = np.array(tensor.std, np.float32)
        # Numbers that need no change must come through bit for bit.
        self._same_order = len(self._own) == len(joints) and bool((self._own == np.arange(len(joints))).all())
        self.same_units = not self._mean.any() and bool((self._std == 1).all())

    def encode(self, rows: Floats) -> Floats:
        """Physical rows (B, n, numbers) -> the tensor, (B, n, own) or (B, own)."""
        values = rows if self._same_order else rows[..., self._own]
        if not self.same_units:
            values = (values - self._mean) / self._std
        return np.ascontiguousarray(values if self._axis else values[:, -1])

    def decode(self, tensor: Floats) -> Floats:
        """The tensor -> physical rows (B, K, width)."""
        values = tensor if self.same_units else tensor * self._std + self._mean
        rows = values if self._same_order else values[..., self._robot]
        return rows if self._axis else rows[:, None]


class ImageMap:
    """Writes frames into the tensor of an image input, allocated once and overwritten by every call.

    Args:
        form: Of the input.
        shape: Of the tensor, with its batch axis.
    """

    def __init__(self, form: ImageInput, shape: tuple[int, ...]) -> None:
        self.form = form
        self._as_they_are = (form.dtype, form.layout, form.colour) == ("uint8", "NHWC", "rgb")
        self._swapped = form.colour == "bgr"
        self._tensor = np.empty((0,) if self._as_they_are else shape, form.dtype)
        height, width = shape[-3:-1] if form.layout == "NHWC" else shape[-2:]
        self._frame_shape = (height, width, 3)
        self._planes = np.empty((3, height, width), np.uint8)
        # All that a pixel can become, by channel: computed once, looked up for every frame.
        mean, std = np.array(form.mean, np.float32), np.array(form.std, np.float32)
        pixels = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
        self._table = (pixels * np.float32(form.scale) - mean) / std
        self._tables = np.ascontiguousarray(self._table.T)

    def encode(self, images: NDArray[np.uint8]) -> NDArray[Any]:
        """RGB frames, uint8 (n, H, W, 3) -> the tensor with its batch axis; a view of the frames where they fit.

        Raises:
            LearnedArmError: The frames have another size than the tensor.
        """
        frames = images if self.form.history else images[-1:]
        if frames.shape[1:] != self._frame_shape:
            what = "frames of another size than the policy's"
            raise LearnedArmError(what, where=self.form.name, got=frames.shape[1:], allowed=self._frame_shape)
        if self._as_they_are:
            return frames[None] if self.form.history else frames
        for frame, out in zip(frames, self._tensor[0] if self.form.history else self._tensor, strict=True):
            (self._write_rows if self.form.layout == "NHWC" else self._write_planes)(frame, out)
        return self._tensor

    def _write_rows(self, frame: NDArray[np.uint8], out: NDArray[Any]) -> None:
        pixels = frame
        if self._swapped:
            pixels = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR, dst=out if self.form.dtype == "uint8" else None)
        if self.form.dtype == "float32":
            cv2.LUT(pixels, self._table[None], dst=out)

    def _write_planes(self, frame: NDArray[np.uint8], out: NDArray[Any]) -> None:
        planes = out if self.form.dtype == "uint8" else self._planes
        cv2.mixChannels([frame], list(planes), [0, 2, 1, 1, 2, 0] if self._swapped else [0, 0, 1, 1, 2, 2])
        if self.form.dtype == "float32":
            for channel, plane in enumerate(planes):
                cv2.LUT(plane, self._tables[channel], dst=out[channel])


class Feeder:
    """Builds the inputs that show an observation; those of memory, noise and candidates are not among them.

    What it gives is valid until it is called again.
    """

    def __init__(self, signature: Signature, contract: Contract) -> None:
        forms = input_forms(signature, contract)
        self._images = [ImageMap(each, forms[each.name][1]) for each in signature.images]
        self._state = signature.state
        self._joints = JointMap(self._state, contract.state_names) if self._state is not None else None

    def feed(self, observation: Observation) -> dict[str, NDArray[Any]]:
        """Inputs of batch 1 by name."""
        found = {each.form.name: each.encode(observation.images[each.form.camera]) for each in self._images}
        if self._state is not None and self._joints is not None:
            found[self._state.name] = self._joints.encode(observation.state[None])
        return found
