"""What the policy would have done at every tick of an episode that it never saw, beside what was done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from demo_tools.dataset.ticks import EpisodeTicks, read_episode_ticks
from learned_arm.action import ActionCodec, Reference
from learned_arm.observation import Observation
from learned_policy_node.loading import open_policy


@dataclass(frozen=True)
class Predictions:
    """First predicted step of every tick against the recorded target.

    Attributes:
        joints: Names in joint order.
        time_s: Since the first tick, shape (N,).
        recorded_rad: Recorded absolute target, shape (N, dof).
        predicted_rad: First target of the policy's chunk, absolute, shape (N, dof).
    """

    joints: tuple[str, ...]
    time_s: NDArray[np.float64]
    recorded_rad: NDArray[np.float64]
    predicted_rad: NDArray[np.float64]

    @property
    def mean_error_rad(self) -> NDArray[np.float64]:
        """Mean absolute difference a joint, shape (dof,)."""
        return np.abs(self.predicted_rad - self.recorded_rad).mean(axis=0)


def predict(policy_file: Path, episode: Path) -> Predictions:
    """Run a policy file over a recorded episode, tick by tick, each from recorded observations.

    Raises:
        LearnedArmError: The policy or the episode cannot be used.
    """
    policy = open_policy(policy_file, threads=2)
    ticks = read_episode_ticks(episode, policy.contract)
    codec = ActionCodec(policy.contract)
    first = policy.contract.history - 1
    predicted = [
        codec.decode(
            policy.act(_observation(ticks, index, first)),
            Reference(ticks.measured[index], ticks.commanded[index]),
        )[0]
        for index in range(first, len(ticks))
    ]
    return Predictions(
        policy.contract.robot.joints,
        (ticks.ticks_ns[first:] - ticks.ticks_ns[0]) / 1e9,
        ticks.targets[first:],
        np.array(predicted).reshape(-1, policy.contract.robot.dof),
    )


def _observation(ticks: EpisodeTicks, index: int, before: int) -> Observation:
    span = slice(index - before, index + 1)
    images = {name: frames[span] for name, frames in ticks.images.items()}
    return Observation(int(ticks.ticks_ns[index]), images, ticks.state[span].astype(np.float32))
