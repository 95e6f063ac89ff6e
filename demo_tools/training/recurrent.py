"""A policy network with memory: a GRU reads what is seen at every tick, beside the straight way to the labels.

The points of a spatial softmax say where something is, not what colour it has or whether it is there at all. What has
to be remembered is often just that, so memory also reads a thumbnail of every image: means over a grid of 8 x 8. Each
mean is normalised over the dataset: a lamp that is lit for a moment then weighs more than a table that is always there.
Without that, in the trials made here, no memory of the cue was learned.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from demo_tools.dataset.frames import Frames
from demo_tools.training.model import PolicyNetwork, Shape

_READ = 128
_THUMBNAIL = 8
# A cell that never changes would be blown up.
_SMALLEST_STD = 0.01
_LONGEST_TICKS = 127.0
_PART = 1024


class RecurrentNetwork(PolicyNetwork):
    """Images, state and memory -> labels and the memory of the next tick.

    Memory is float32 of shape (1, B, memory), zeros at the first tick. It is made for one step a tick.

    Args:
        shape: What it takes and gives, with a memory above 0.
        normalisation: See `PolicyNetwork`; besides, for camera i, `glance_<i>_mean` and `glance_<i>_std`, see
            `glance_scales`.
    """

    def __init__(self, shape: Shape, normalisation: Mapping[str, Tensor] | None = None) -> None:
        super().__init__(shape, normalisation)
        self._cells = [thumbnail_cell(size) for size in shape.cameras.values()]
        counts = [3 * (size[0] // cell[0]) * (size[1] // cell[1]) for size, cell in self._sizes()]
        for index, count in enumerate(counts):
            for statistic, default in (("mean", torch.zeros(count)), ("std", torch.ones(count))):
                key = f"glance_{index}_{statistic}"
                self.register_buffer(key, default if normalisation is None else normalisation[key].float())
        self.read = nn.Linear(self.seen_width + shape.history * sum(counts), _READ)
        self.core = nn.GRU(_READ, shape.memory, batch_first=True)
        self._begin_with_long_memory()

    def _sizes(self) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        return list(zip(self.shape.cameras.values(), self._cells, strict=True))

    def _glance(self, index: int, images: Tensor) -> Tensor:
        """Normalised thumbnails of a camera's images, shape (B, cells)."""
        thumbnails = nn.functional.avg_pool2d(images, self._cells[index]).flatten(1)
        return (thumbnails - self.get_buffer(f"glance_{index}_mean")) / self.get_buffer(f"glance_{index}_std")

    def _begin_with_long_memory(self) -> None:
        """Let the numbers of memory fade within 1 to 127 ticks, before anything is learned.

        With the usual biases all of them fade within two ticks, and no gradient finds its way back to a cue (Tallec &
        Ollivier 2018, "Can recurrent neural networks warp time?").
        """
        size = self.shape.memory
        keep = slice(size, 2 * size)
        with torch.no_grad():
            self.core.get_parameter("bias_hh_l0")[keep] = 0.0
            self.core.get_parameter("bias_ih_l0")[keep] = torch.linspace(1.0, _LONGEST_TICKS, size).log()

    def sequence(self, images: list[Tensor], state: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised labels of ticks after each other, shape (S, T, horizon, width), and the memory after them.

        Args:
            images: A camera each, float in [0, 1], shape (S * T * history, 3, height, width).
            state: Physical units, shape (S, T, history, numbers).
            memory: At the first of the ticks, shape (1, S, memory).
        """
        several, ticks = state.shape[0], state.shape[1]
        seen = self.seen(images, state.flatten(0, 1)).reshape(several, ticks, -1)
        glance = [self._glance(index, each).reshape(several, ticks, -1) for index, each in enumerate(images)]
        kept, memory = self.core(torch.relu(self.read(torch.cat([seen, *glance], dim=2))), memory)
        labels = self.head(torch.cat([seen, kept], dim=2))
        return labels.reshape(several, ticks, self.shape.horizon, self.shape.width), memory

    def normalised(self, images: list[Tensor], state: Tensor) -> Tensor:
        """Normalised labels of first ticks; see `PolicyNetwork.normalised`."""
        memory = state.new_zeros(1, len(state), self.shape.memory)
        return self.sequence(images, state[:, None], memory)[0][:, 0]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Labels in physical units, shape (B, horizon, width), and the memory of the next tick.

        Args:
            inputs: As those of `PolicyNetwork.forward`, then the memory, shape (1, B, memory).
        """
        *images, state, memory = inputs
        labels, memory = self.sequence(self.prepared(images), state[:, None], memory)
        return labels[:, 0] * self.label_std + self.label_mean, memory


def thumbnail_cell(size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of a cell of the thumbnail, px."""
    return -(-size[0] // _THUMBNAIL), -(-size[1] // _THUMBNAIL)


def glance_scales(frames: Frames, at: NDArray[np.int64]) -> dict[str, Tensor]:
    """Mean and standard deviation of every cell of the thumbnails over some frames, see `RecurrentNetwork`."""
    scales: dict[str, Tensor] = {}
    for index, (name, camera) in enumerate(frames.contract.cameras.items()):
        parts = [
            nn.functional.avg_pool2d(
                torch.from_numpy(frames.images[name][some]).permute(0, 3, 1, 2).float() / 255.0,
                thumbnail_cell(camera.size),
            ).flatten(1)
            for some in np.array_split(at, -(-len(at) // _PART))
        ]
        cells = torch.cat(parts)
        scales[f"glance_{index}_mean"] = cells.mean(dim=0)
        scales[f"glance_{index}_std"] = cells.std(dim=0, correction=0).clamp_min(_SMALLEST_STD)
    return scales


def make_network(shape: Shape, normalisation: Mapping[str, Tensor] | None = None) -> PolicyNetwork:
    """The network of a shape, with memory where it has any."""
    return (RecurrentNetwork if shape.memory else PolicyNetwork)(shape, normalisation)
