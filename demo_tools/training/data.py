"""A dataset in memory -> batches of images, state and labels, formed by the codec that decodes the policy's output."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo_tools.dataset.frames import Frames
from learned_arm.action import ActionCodec, Reference
from learned_arm.errors import LearnedArmError

# A joint that never moves would otherwise be divided by nothing, and its noise blown up.
SMALLEST_STD = 1e-2
# Targets closer than this, from one tick to the next, stand still: the last one may be held past the end.
_STILL_RAD = 1e-3


@dataclass(frozen=True)
class Chunks:
    """Training examples: M chunks over the frames of a dataset.

    Attributes:
        frame: Frame at which each chunk starts, shape (M,).
        labels: In the contract's representation, float32, shape (M, horizon, width).
        weight: 1 where a label was recorded or the arm stands still, 0 past the end of a motion and from where another
            source commands on, shape (M, horizon).
    """

    frame: NDArray[np.int64]
    labels: NDArray[np.float32]
    weight: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.frame)


def build_chunks(frames: Frames, episodes: list[int]) -> Chunks:
    """Chunks of some episodes, one for every frame that has its whole history.

    Past the end of an episode the last target is repeated; it counts only when the arm had stopped there and the policy
    did not go on. From the first label of a chunk on that another source commanded, none counts.

    Raises:
        LearnedArmError: No episode has enough frames.
    """
    contract = frames.contract
    codec, horizon, dof = ActionCodec(contract), contract.action.horizon, contract.robot.dof
    still = _STILL_RAD * contract.robot.per_rad
    starts: list[int] = []
    labels: list[NDArray[np.float32]] = []
    weights: list[NDArray[np.float32]] = []
    for episode in episodes:
        first, end = int(frames.starts[episode]), int(frames.starts[episode + 1])
        targets = frames.action[first:end].astype(np.float64)
        padded = np.concatenate([targets, np.repeat(targets[-1:], horizon, axis=0)])
        held = len(targets) > 1 and bool((np.abs(targets[-1] - targets[-2]) <= still).all())
        held = held and not frames.manifest.episodes[episode].handed_over
        sources = np.concatenate([frames.source[first:end], np.repeat(frames.source[end - 1 : end], horizon)])
        counts = np.concatenate([np.ones(len(targets)), np.full(horizon, float(held))]).astype(np.float32)
        for at in range(contract.history - 1, len(targets)):
            frame = first + at
            measured, commanded = frames.state[frame, :dof], frames.commanded[frame]
            reference = Reference(measured.astype(np.float64), commanded.astype(np.float64))
            labels.append(codec.encode(padded[at : at + horizon], reference))
            same = np.logical_and.accumulate(sources[at : at + horizon] == sources[at])
            weights.append(counts[at : at + horizon] * same)
            starts.append(frame)
    if not starts:
        got = f"{len(episodes)} episodes"
        raise LearnedArmError("no chunk to learn from", got=got, allowed=f"{contract.history} frames or more in one")
    return Chunks(np.array(starts, dtype=np.int64), np.stack(labels), np.stack(weights))


def normalisation(frames: Frames, chunks: Chunks) -> dict[str, NDArray[np.float32]]:
    """Mean and standard deviation of the state and, step by step, of the labels; see `PolicyNetwork`."""
    state = frames.state[chunks.frame].astype(np.float64)
    weight = chunks.weight[..., None].astype(np.float64)
    total = np.maximum(weight.sum(axis=0), 1.0)
    mean = (chunks.labels * weight).sum(axis=0) / total
    variance = (((chunks.labels - mean) ** 2) * weight).sum(axis=0) / total
    found = {
        "state_mean": state.mean(axis=0),
        "state_std": np.maximum(state.std(axis=0), SMALLEST_STD),
        "label_mean": mean,
        "label_std": np.maximum(np.sqrt(variance), SMALLEST_STD),
    }
    return {name: values.astype(np.float32) for name, values in found.items()}


def observations(frames: Frames, at: NDArray[np.int64]) -> tuple[dict[str, NDArray[np.uint8]], NDArray[np.float32]]:
    """What the policy sees at some frames, in the policy's own form.

    Args:
        frames: The dataset.
        at: Frames, shape (B,), each with its history inside its episode.

    Returns:
        Per camera uint8 (B, history, height, width, 3), and the state, float32 (B, history, numbers), oldest first.
    """
    history = frames.contract.history
    rows = at[:, None] + np.arange(1 - history, 1)
    return {name: images[rows] for name, images in frames.images.items()}, frames.state[rows]


@dataclass(frozen=True)
class Augmentation:
    """Random changes of training images, the same for every frame of an observation's history.

    Attributes:
        shift_px: Largest shift along each axis; what comes in at the edge repeats the edge.
        brightness: Largest relative change of brightness.
    """

    shift_px: int = 4
    brightness: float = 0.3

    def shifted(self, images: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Shift each observation, uint8 (B, history, height, width, 3), by its own offset."""
        reach = self.shift_px
        if reach == 0:
            return images
        height, width = images.shape[2:4]
        padded = np.pad(images, ((0, 0), (0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
        offsets = rng.integers(0, 2 * reach + 1, size=(len(images), 2))
        out = np.empty_like(images)
        for index, (down, right) in enumerate(offsets):
            out[index] = padded[index, :, down : down + height, right : right + width]
        return out

    def gains(self, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """A brightness factor for each observation, shape (count,)."""
        return rng.uniform(1 - self.brightness, 1 + self.brightness, size=count).astype(np.float32)
