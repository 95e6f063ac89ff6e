"""Observations -> a model's inputs and its outputs -> labels, as a signature describes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learned_arm.contract import Contract
from learned_arm.observation import Observation
from learned_policy_node.signature import ImageInput, JointTensor, Signature

Floats = NDArray[np.float32]


class JointMap:
    """Translates between rows in the robot's joint order and physical units and a tensor's own."""

    def __init__(self, tensor: JointTensor, joints: Sequence[str]) -> None:
        self._axis = tensor.axis
        self._own = np.array([list(joints).index(name) for name in tensor.joints], dtype=np.intp)
        self._robot = np.argsort(self._own)
        self._mean = np.array(tensor.mean, np.float32)
        self._std = np.array(tensor.std, np.float32)
        # Numbers that need no change must come through bit for bit.
        self._same_order = len(self._own) == len(joints) and bool((self._own == np.arange(len(joints))).all())
        self._same_units = not self._mean.any() and bool((self._std == 1).all())

    def encode(self, rows: Floats) -> Floats:
        """Physical rows (B, n, dof) -> the tensor, (B, n, own) or (B, own)."""
        values = rows if self._same_order else rows[..., self._own]
        if not self._same_units:
            values = (values - self._mean) / self._std
        return np.ascontiguousarray(values if self._axis else values[:, -1])

    def decode(self, tensor: Floats) -> Floats:
        """The tensor -> physical rows (B, K, dof)."""
        values = tensor if self._same_units else tensor * self._std + self._mean
        rows = values if self._same_order else values[..., self._robot]
        return rows if self._axis else rows[:, None]


class Feeder:
    """Builds the inputs that show an observation; those of memory, noise and candidates are not among them."""

    def __init__(self, signature: Signature, contract: Contract) -> None:
        self._images = signature.images
        self._state = signature.state
        self._joints = JointMap(self._state, contract.robot.joints) if self._state is not None else None

    def feed(self, observation: Observation) -> dict[str, NDArray[Any]]:
        """Inputs of batch 1 by name."""
        found = {each.name: encode_image(each, observation.images[each.camera])[None] for each in self._images}
        if self._state is not None and self._joints is not None:
            found[self._state.name] = self._joints.encode(observation.state[None])
        return found


def encode_image(form: ImageInput, images: NDArray[np.uint8]) -> NDArray[Any]:
    """RGB frames, uint8 (n, H, W, 3) -> the tensor without its batch axis."""
    pixels: NDArray[Any] = images[..., ::-1] if form.colour == "bgr" else images
    if form.dtype == "float32":
        mean, std = np.array(form.mean, np.float32), np.array(form.std, np.float32)
        pixels = (pixels * np.float32(form.scale) - mean) / std
    if form.layout == "NCHW":
        pixels = pixels.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(pixels if form.history else pixels[-1])
