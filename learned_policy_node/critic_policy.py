"""A critic as a policy: the action that maximises Q(images, state, action), searched anew at every step.

Source: Kalashnikov et al. 2018, "QT-Opt: Scalable Deep Reinforcement Learning for Vision-Based Robotic Manipulation",
with the cross-entropy method of Rubinstein and Kroese 2004.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from learned_arm.errors import LearnedArmError
from learned_arm.observation import Observation
from learned_policy_node.model import PolicyModel
from learned_policy_node.policy_file import PolicyFile
from learned_policy_node.signature import CriticSettings
from learned_policy_node.tensors import Feeder, JointMap

Values = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class CriticPolicy(PolicyModel):
    """A policy that is the maximum of a critic; see `PolicyModel`. A reset begins the seed of its search anew."""

    def __init__(
        self, path: str | Path, threads: int = 1, provider: str = "cpu", file: PolicyFile | None = None
    ) -> None:
        super().__init__(path, threads, provider, file)
        critic, candidate = self.signature.critic, self.signature.candidate
        if critic is None or candidate is None:
            raise LearnedArmError("not a critic", where=self.path, allowed="a signature with 'critic'")
        self.settings, self._candidate = critic, candidate.name
        self._value = self.signature.outputs[0]
        self._encoder = JointMap(candidate, self.contract.label_names)
        self._feeder = Feeder(self.signature, self.contract)
        self._begin()

    def reset(self, occasion: str | None = None) -> None:
        """Begin the seeds anew, if the signature says so for this occasion; see `Policy.reset`."""
        if occasion is None or occasion in self.signature.reset.on:
            self._begin()

    def act(self, observation: Observation, deadline_ns: int | None = None) -> NDArray[np.float32]:
        """The best labels found, float32, shape (horizon, width); see `TimedPolicy.act`.

        The deadline is one for the whole search.
        """
        feed = self._feeder.feed(observation)
        for noise in self.signature.noise:
            feed[noise.name] = self._generators[noise.name].standard_normal((1, *noise.shape), np.float32)
        if not self.settings.broadcast:
            feed = {name: np.repeat(array, self.settings.samples, axis=0) for name, array in feed.items()}

        def values(actions: NDArray[np.float32]) -> NDArray[np.float32]:
            found = self.run({**feed, self._candidate: self._encoder.encode(actions)}, deadline_ns)
            return found[self._value].reshape(len(actions))

        return maximise(values, self.settings, self.contract.action.horizon, self._search)[0]

    def _begin(self) -> None:
        self._search = np.random.default_rng(self.settings.seed)
        self._generators = {each.name: np.random.default_rng(each.seed) for each in self.signature.noise}


def maximise(
    values: Values, settings: CriticSettings, horizon: int, generator: np.random.Generator
) -> tuple[NDArray[np.float32], float]:
    """The cross-entropy method within bounds.

    Every iteration draws samples from a normal distribution, cuts them to the bounds, has them valued in one batch
    and fits the distribution to the elites. It begins at the middle of the bounds with half their width as deviation.

    Args:
        values: Batch of actions, float32 (samples, horizon, width) -> their values, (samples,).
        settings: Bounds and sizes.
        horizon: Steps of an action.
        generator: Drawn from the same number of times at every call.

    Returns:
        The best action that was ever valued, float32 (horizon, width), and its value.
    """
    low, high = (np.tile(np.array(bound, np.float32), (horizon, 1)) for bound in (settings.low, settings.high))
    mean, deviation = (low + high) / 2, (high - low) / 2
    best, best_value = mean.astype(np.float32), -np.inf
    for _ in range(settings.iterations):
        normal = generator.standard_normal((settings.samples, *mean.shape), np.float32)
        samples = np.clip(mean + deviation * normal, low, high).astype(np.float32)
        found = values(samples)
        order = np.argsort(-found, kind="stable")[: settings.elites]
        if found[order[0]] > best_value:
            best, best_value = samples[order[0]], float(found[order[0]])
        mean, deviation = samples[order].mean(axis=0), samples[order].std(axis=0)
    return best, best_value
