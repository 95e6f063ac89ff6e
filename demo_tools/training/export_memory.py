"""What an export proves of a policy with memory: whole recorded episodes, ONNX Runtime tick by tick beside torch.

Torch goes over an episode in one piece, as in training. ONNX Runtime is asked tick by tick and given back its own
memory, as the node does it. An error in what is carried from tick to tick would grow along the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from demo_tools.dataset.frames import Frames
from demo_tools.training.data import build_chunks, observations
from demo_tools.training.recurrent import RecurrentNetwork
from demo_tools.training.sequences import episode_rows
from learned_arm.errors import LearnedArmError
from learned_policy_node.onnx_policy import ACTION, STATE, camera_input
from learned_policy_node.selftest import SelfTest

MEMORY_IN, MEMORY_OUT = "memory_in", "memory_out"
_EPISODES = 3
_LONGEST_TICKS = 400

Feed = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Walk:
    """Episodes side by side, and what torch made of them.

    Attributes:
        feed: Every input but the memory, each of shape (T, S, ...).
        memory: Before each tick and after the last, float32, shape (T + 1, 1, S, memory).
        labels: float32, shape (T, S, horizon, width).
    """

    feed: Feed
    memory: NDArray[np.float32]
    labels: NDArray[np.float32]

    def at(self, tick: int, memory: NDArray[np.float32], several: int) -> Feed:
        """Inputs of the first `several` episodes at a tick, with a memory."""
        return {**{name: each[tick, :several] for name, each in self.feed.items()}, MEMORY_IN: memory}


def walk_episodes(network: RecurrentNetwork, frames: Frames) -> Walk:
    """Walk over a few episodes, held-out ones where there are any, from their first tick to the end of the shortest."""
    split = "validation" if frames.manifest.indices("validation") else "train"
    chunks = build_chunks(frames, frames.manifest.indices(split))
    first, count = episode_rows(frames, chunks)
    longest = np.argsort(-count, kind="stable")[:_EPISODES]
    ticks = min(int(count[longest].min()), _LONGEST_TICKS)
    rows = first[longest][None] + np.arange(ticks)[:, None]
    images, state = observations(frames, chunks.frame[rows.ravel()])
    flat = {**{camera_input(name): each for name, each in images.items()}, STATE: state}
    feed = {name: each.reshape(*rows.shape, *each.shape[1:]) for name, each in flat.items()}
    return Walk(feed, *_torch(network, feed))


def _torch(network: RecurrentNetwork, feed: Feed) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Memory before every tick and after the last, and labels; the labels by one pass over all ticks."""
    *images, state = (torch.from_numpy(np.ascontiguousarray(each)) for each in feed.values())
    ticks, several = state.shape[:2]
    memory = state.new_zeros(1, several, network.shape.memory)
    shown = [image for each in images for image in network.prepared([each.transpose(0, 1).flatten(0, 1)])]
    memories = [memory]
    with torch.no_grad():
        labels, _ = network.sequence(shown, state.transpose(0, 1), memory)
        labels = labels.transpose(0, 1) * network.label_std + network.label_mean
        for tick in range(ticks):
            _, memory = network(*[each[tick] for each in images], state[tick], memory)
            memories.append(memory)
    return torch.stack(memories).numpy(), labels.numpy()


def parity_over_episodes(model: onnx.ModelProto, walk: Walk) -> float:
    """Largest difference from torch's labels at any tick, for one episode and for all of them side by side."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    worst = 0.0
    for several in sorted({1, walk.labels.shape[1]}):
        memory = walk.memory[0][:, :several]
        for tick, wanted in enumerate(walk.labels[:, :several]):
            found = session.run([ACTION, MEMORY_OUT], walk.at(tick, memory, several))
            labels, memory = (np.asarray(each) for each in found)
            if labels.shape != wanted.shape:
                raise LearnedArmError("export gives another shape", got=labels.shape, allowed=wanted.shape)
            worst = max(worst, float(np.abs(labels - wanted).max()))
    return worst


def selftest_along(walk: Walk, cases: int) -> SelfTest:
    """Ticks of one episode, with the memory that torch had there and what it became."""
    ticks = np.unique(np.linspace(0, len(walk.labels) - 1, cases).astype(np.int64))
    feed = {name: each[ticks, 0] for name, each in walk.feed.items()}
    memory = np.ascontiguousarray(walk.memory[:, :, :1])
    return SelfTest({**feed, MEMORY_IN: memory[ticks]}, {ACTION: walk.labels[ticks, 0], MEMORY_OUT: memory[ticks + 1]})
