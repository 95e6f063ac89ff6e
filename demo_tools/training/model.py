"""The policy network: camera images and joint positions -> a chunk of labels, with all units at its doors.

Each camera has its own convolutions, ended by a spatial softmax (Levine et al. 2016, "End-to-end training of deep
visuomotor policies"): for every feature map the expected image position of its activation. These points and the joints
go through a plain MLP to all labels of the chunk at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

_FIRST_KERNEL, _FIRST_STRIDE = 8, 4
_CHANNELS = (32, 40, 48, 32)
_NORM_GROUPS = 8
_HIDDEN, _LAYERS = 256, 3


@dataclass(frozen=True)
class Shape:
    """What a network takes and gives.

    Attributes:
        cameras: Name -> (height, width).
        history: Observations in a row, oldest first.
        width: Numbers of a label.
        horizon: Labels in a chunk.
        numbers: Of the state.
        memory: Numbers carried from tick to tick; 0 for a network without.
    """

    cameras: dict[str, tuple[int, int]]
    history: int
    width: int
    horizon: int
    numbers: int
    memory: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain data for a checkpoint."""
        return asdict(self)


class SpatialSoftmax(nn.Module):
    """Feature maps, shape (B, C, H, W) -> expected positions in [-1, 1], shape (B, 2 * C)."""

    grid: Tensor

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        rows, columns = torch.linspace(-1, 1, height), torch.linspace(-1, 1, width)
        self.register_buffer("grid", torch.stack([columns.repeat(height), rows.repeat_interleave(width)], 1))

    def forward(self, maps: Tensor) -> Tensor:
        """Each map's own softmax weighs the positions of its pixels."""
        return (torch.softmax(maps.flatten(2), dim=-1) @ self.grid).flatten(1)


class CameraEncoder(nn.Sequential):
    """Images, float in [0, 1], shape (B, 3, height, width) -> points, shape (B, points)."""

    def __init__(self, size: tuple[int, int]) -> None:
        layers: list[nn.Module] = []
        height, width = ((side - _FIRST_KERNEL) // _FIRST_STRIDE + 1 for side in size)
        before = 3
        for index, channels in enumerate(_CHANNELS):
            if index == 0:
                layers.append(nn.Conv2d(before, channels, _FIRST_KERNEL, _FIRST_STRIDE))
            else:
                layers.append(nn.Conv2d(before, channels, 3))
                height, width = height - 2, width - 2
            # The maps that the softmax sees stay as they are: a norm or a cut at zero would flatten their peaks.
            if index < len(_CHANNELS) - 1:
                layers += [nn.GroupNorm(_NORM_GROUPS, channels), nn.ReLU()]
            before = channels
        super().__init__(*layers, SpatialSoftmax(height, width))
        self.points = 2 * _CHANNELS[-1]


class PolicyNetwork(nn.Module):
    """Images and state -> labels in the contract's representation, physical units in and out.

    Normalisation lies inside: the buffers `state_mean`, `state_std` (numbers,), `label_mean` and `label_std` (horizon,
    width).

    Args:
        shape: What it takes and gives.
        normalisation: The four buffers by name; None to load them later.
    """

    state_mean: Tensor
    state_std: Tensor
    label_mean: Tensor
    label_std: Tensor

    def __init__(self, shape: Shape, normalisation: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        self.shape = shape
        sizes = {"state": (shape.numbers,), "label": (shape.horizon, shape.width)}
        for name, size in sizes.items():
            for statistic, default in (("mean", torch.zeros(size)), ("std", torch.ones(size))):
                key = f"{name}_{statistic}"
                given = default if normalisation is None else normalisation[key]
                self.register_buffer(key, given.float().reshape(size))
        self.encoders = nn.ModuleList([CameraEncoder(size) for size in shape.cameras.values()])
        points = len(shape.cameras) * 2 * _CHANNELS[-1]
        self.seen_width = shape.history * (points + shape.numbers)
        width = self.seen_width + shape.memory
        layers: list[nn.Module] = []
        for _ in range(_LAYERS):
            layers += [nn.Linear(width, _HIDDEN), nn.ReLU()]
            width = _HIDDEN
        self.head = nn.Sequential(*layers, nn.Linear(width, shape.horizon * shape.width))

    def seen(self, images: list[Tensor], state: Tensor) -> Tensor:
        """Points of all cameras and normalised joints, shape (B, seen_width); arguments as of `normalised`."""
        batch = state.shape[0]
        points = [encoder(each).reshape(batch, -1) for encoder, each in zip(self.encoders, images, strict=True)]
        joints = ((state - self.state_mean) / self.state_std).reshape(batch, -1)
        return torch.cat([*points, joints], dim=1)

    def normalised(self, images: list[Tensor], state: Tensor) -> Tensor:
        """Normalised labels, shape (B, horizon, width): what the loss is taken on.

        Args:
            images: A camera each, float in [0, 1], shape (B * history, 3, height, width).
            state: Physical units, shape (B, history, numbers).
        """
        labels = self.head(self.seen(images, state))
        return labels.reshape(state.shape[0], self.shape.horizon, self.shape.width)

    def prepared(self, images: list[Tensor]) -> list[Tensor]:
        """Images as they come, uint8 (B, history, height, width, 3), in the form that `normalised` takes."""
        return [each.flatten(0, 1).permute(0, 3, 1, 2).float() / 255.0 for each in images]

    def forward(self, *inputs: Tensor) -> Tensor:
        """Labels in physical units, shape (B, horizon, width).

        Args:
            inputs: A camera each, uint8, shape (B, history, height, width, 3), RGB; then the state, float32, shape
                (B, history, numbers).
        """
        *images, state = inputs
        return self.normalised(self.prepared(images), state) * self.label_std + self.label_mean
