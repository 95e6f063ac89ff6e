"""Whole episodes as examples, for a network that must remember: backpropagation through time, cut where told."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from demo_tools.dataset.frames import Frames
from demo_tools.training.data import Chunks
from demo_tools.training.examples import make_inputs, weighted_error
from demo_tools.training.model import PolicyNetwork
from demo_tools.training.recipe import Recipe
from demo_tools.training.recurrent import RecurrentNetwork
from learned_arm.errors import LearnedArmError

_MOST_VALIDATED = 8


class WholeEpisodes:
    """Episodes from their first chunk to their last, side by side; the shorter ones end early. See `Examples`."""

    most_validated = _MOST_VALIDATED

    def __init__(self, frames: Frames, chunks: Chunks, recipe: Recipe) -> None:
        self._frames, self._chunks, self._recipe = frames, chunks, recipe
        self.batch = recipe.episodes
        self._first, self._ticks = episode_rows(frames, chunks)

    def __len__(self) -> int:
        return len(self._first)

    def losses(
        self, network: PolicyNetwork, picked: NDArray[np.int64], rng: np.random.Generator | None
    ) -> Iterator[Tensor]:
        """A part for every stretch of `gradient_ticks`: memory goes on over its end, the gradient does not."""
        if not isinstance(network, RecurrentNetwork):
            raise LearnedArmError("a network without memory", got=type(network).__name__, allowed="RecurrentNetwork")
        ticks = int(self._ticks[picked].max())
        within = np.arange(ticks) < self._ticks[picked][:, None]
        rows = self._first[picked][:, None] + np.minimum(np.arange(ticks), self._ticks[picked][:, None] - 1)
        inputs = make_inputs(network, self._frames, self._chunks, rows.ravel(), self._recipe, rng, together=ticks)

        def by_tick(values: Tensor) -> Tensor:
            return values.reshape(len(picked), ticks, -1, *values.shape[1:])

        images = [by_tick(each) for each in inputs.images]
        state, wanted, weight = (by_tick(each)[:, :, 0] for each in (inputs.state, inputs.wanted, inputs.weight))
        weight = weight * weight.new_tensor(within)[..., None, None]
        memory, whole = state.new_zeros(1, len(picked), network.shape.memory), weight.sum()
        for start in range(0, ticks, self._recipe.gradient_ticks):
            part = slice(start, start + self._recipe.gradient_ticks)
            shown = [each[:, part].flatten(0, 2) for each in images]
            predicted, memory = network.sequence(shown, state[:, part], memory.detach())
            yield weighted_error(predicted, wanted[:, part], weight[:, part], whole)


def episode_rows(frames: Frames, chunks: Chunks) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First chunk and number of chunks of every episode that has any, each of shape (E,)."""
    episode = np.searchsorted(frames.starts, chunks.frame, side="right")
    _, first, count = np.unique(episode, return_index=True, return_counts=True)
    return first.astype(np.int64), count.astype(np.int64)
