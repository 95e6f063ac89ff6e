"""A policy network with memory: a GRU reads what is seen at every tick, beside the straight way to the labels.

The points of a spatial softmax say where something is, not what colour it has or whether it is there at all. What has
to be remembered is often just that, so memory also reads a thumbnail of every image: means over a grid of 8 x 8.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from demo_tools.training.model import PolicyNetwork, Shape

_READ = 128
_THUMBNAIL = 8
_PIXEL_STD = 0.25
_LONGEST_TICKS = 127.0


class RecurrentNetwork(PolicyNetwork):
    """Images, state and memory -> labels and the memory of the next tick.

    Memory is float32 of shape (1, B, memory), zeros at the first tick. It is made for one step a tick.

    Args:
        shape: What it takes and gives, with a memory above 0.
        normalisation: See `PolicyNetwork`.
    """

    def __init__(self, shape: Shape, normalisation: Mapping[str, Tensor] | None = None) -> None:
        super().__init__(shape, normalisation)
        self._cells = [tuple(-(-side // _THUMBNAIL) for side in size) for size in shape.cameras.values()]
        sizes = zip(shape.cameras.values(), self._cells, strict=True)
        glanced = sum(3 * (height // cell[0]) * (width // cell[1]) for (height, width), cell in sizes)
        self.read = nn.Linear(self.seen_width + shape.history * glanced, _READ)
        self.core = nn.GRU(_READ, shape.memory, batch_first=True)
        self._begin_with_long_memory()

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
        """Normalised labels of ticks after each other, shape (S, T, horizon, dof), and the memory after them.

        Args:
            images: A camera each, float in [0, 1], shape (S * T * history, 3, height, width).
            state: rad, shape (S, T, history, dof).
            memory: At the first of the ticks, shape (1, S, memory).
        """
        several, ticks = state.shape[0], state.shape[1]
        seen = self.seen(images, state.flatten(0, 1)).reshape(several, ticks, -1)
        glance = [
            (nn.functional.avg_pool2d(each, cell).reshape(several, ticks, -1) - 0.5) / _PIXEL_STD
            for each, cell in zip(images, self._cells, strict=True)
        ]
        kept, memory = self.core(torch.relu(self.read(torch.cat([seen, *glance], dim=2))), memory)
        labels = self.head(torch.cat([seen, kept], dim=2))
        return labels.reshape(several, ticks, self.shape.horizon, self.shape.dof), memory

    def normalised(self, images: list[Tensor], state: Tensor) -> Tensor:
        """Normalised labels of first ticks; see `PolicyNetwork.normalised`."""
        memory = state.new_zeros(1, len(state), self.shape.memory)
        return self.sequence(images, state[:, None], memory)[0][:, 0]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Labels in physical units, shape (B, horizon, dof), and the memory of the next tick.

        Args:
            inputs: As those of `PolicyNetwork.forward`, then the memory, shape (1, B, memory).
        """
        *images, state, memory = inputs
        labels, memory = self.sequence(self.prepared(images), state[:, None], memory)
        return labels[:, 0] * self.label_std + self.label_mean, memory


def make_network(shape: Shape, normalisation: Mapping[str, Tensor] | None = None) -> PolicyNetwork:
    """The network of a shape, with memory where it has any."""
    return (RecurrentNetwork if shape.memory else PolicyNetwork)(shape, normalisation)
