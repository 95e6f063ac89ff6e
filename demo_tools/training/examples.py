"""What a batch is made of, and its loss: the mean absolute error of normalised labels that count."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from demo_tools.dataset.frames import Frames
from demo_tools.training.aside import stand_aside
from demo_tools.training.data import Chunks, observations
from demo_tools.training.model import PolicyNetwork
from demo_tools.training.recipe import Recipe
from learned_arm.pictures import DEPTH

_MOST_VALIDATED = 128


class Examples(Protocol):
    """Examples to draw batches from.

    Attributes:
        batch: How many make a batch.
        most_validated: How many are enough to validate on.
    """

    batch: int
    most_validated: int

    def __len__(self) -> int: ...

    def losses(
        self, network: PolicyNetwork, picked: NDArray[np.int64], rng: np.random.Generator | None
    ) -> Iterator[Tensor]:
        """Parts whose sum is the loss of some examples, each to be used before the next is asked for.

        Args:
            network: What is trained.
            picked: Examples, shape (B,).
            rng: Of the augmentation; None for none.
        """
        ...


@dataclass(frozen=True)
class Inputs:
    """What the network sees, and what it should say.

    Attributes:
        images: A camera each, float in [0, 1], shape (B * history, 3, height, width).
        state: Physical units, shape (B, history, numbers).
        wanted: Normalised labels, shape (B, horizon, width).
        weight: 1 where a label counts, shape (B, horizon, 1).
    """

    images: list[Tensor]
    state: Tensor
    wanted: Tensor
    weight: Tensor


class SingleChunks:
    """Chunks one by one, wherever they come from; see `Examples`."""

    most_validated = _MOST_VALIDATED

    def __init__(self, frames: Frames, chunks: Chunks, recipe: Recipe) -> None:
        self._frames, self._chunks, self._recipe = frames, chunks, recipe
        self.batch = recipe.batch

    def __len__(self) -> int:
        return len(self._chunks)

    def losses(
        self, network: PolicyNetwork, picked: NDArray[np.int64], rng: np.random.Generator | None
    ) -> Iterator[Tensor]:
        """One part; see `Examples.losses`."""
        inputs = make_inputs(network, self._frames, self._chunks, picked, self._recipe, rng)
        predicted = network.normalised(inputs.images, inputs.state)
        yield weighted_error(predicted, inputs.wanted, inputs.weight, inputs.weight.sum())


def make_inputs(
    network: PolicyNetwork,
    frames: Frames,
    chunks: Chunks,
    rows: NDArray[np.int64],
    recipe: Recipe,
    rng: np.random.Generator | None,
    together: int = 1,
) -> Inputs:
    """Observations and labels of some chunks, augmented where a generator is given.

    Args:
        network: Whose normalisation the labels get.
        frames: The dataset.
        chunks: Its chunks.
        rows: Which of them, shape (B,).
        recipe: Says how to augment.
        rng: Of the augmentation; None for none.
        together: So many rows after each other are shifted and dimmed alike.
    """
    images, state = observations(frames, chunks.frame[rows])
    contract, augmentation, groups = frames.contract, recipe.augmentation, len(rows) // together
    prepared: list[Tensor] = []
    for name, each in images.items():
        if rng is not None:
            grouped = each.reshape(groups, -1, *each.shape[2:])
            each = augmentation.shifted(grouped, rng).reshape(each.shape)
        flat = torch.from_numpy(each).flatten(0, 1).permute(0, 3, 1, 2).float().div_(255.0)
        # A brighter distance would be another one.
        if rng is not None and augmentation.brightness > 0 and contract.cameras[name].message != DEPTH:
            gains = np.repeat(augmentation.gains(groups, rng), together * contract.history)
            flat = flat.mul_(torch.from_numpy(gains).reshape(-1, 1, 1, 1)).clamp_(0.0, 1.0)
        prepared.append(flat)
    labels = chunks.labels[rows]
    if rng is not None and recipe.aside_rad > 0:
        state, labels = stand_aside(contract, state, labels, recipe.aside_rad, rng)
    wanted = (torch.from_numpy(labels) - network.label_mean) / network.label_std
    weight = torch.from_numpy(chunks.weight[rows])[..., None]
    return Inputs(prepared, torch.from_numpy(state), wanted, weight)


def weighted_error(predicted: Tensor, wanted: Tensor, weight: Tensor, whole_weight: Tensor) -> Tensor:
    """Mean absolute error over the labels that count, as a share of a batch whose weights sum up to `whole_weight`."""
    return ((predicted - wanted).abs() * weight).sum() / (whole_weight * predicted.shape[-1]).clamp_min(1.0)
