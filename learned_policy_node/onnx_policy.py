"""Policies that give labels at once, from one ONNX file: regressors, and those with memory or with noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_arm.observation import Observation
from learned_policy_node.model import PolicyModel
from learned_policy_node.policy_file import PolicyFile
from learned_policy_node.signature import ACTION, STATE, Recurrent, camera_input
from learned_policy_node.tensors import Feeder, JointMap

__all__ = ["ACTION", "STATE", "OnnxPolicy", "camera_input", "check_belongs", "expected_inputs", "self_test"]


class OnnxPolicy(PolicyModel):
    """A policy whose labels are an output; see `PolicyModel`.

    Its memory begins with the signature's initial values. A step that fails leaves memory as it was.
    """

    def __init__(
        self, path: str | Path, threads: int = 1, provider: str = "cpu", file: PolicyFile | None = None
    ) -> None:
        super().__init__(path, threads, provider, file)
        if self.signature.labels is None:
            raise LearnedArmError("a critic, not a policy with labels", where=self.path, allowed="role 'labels'")
        self._labels = self.signature.labels.name
        self._decoder = JointMap(self.signature.labels, self.contract.label_names)
        self._feeder = Feeder(self.signature, self.contract)
        self._generators: dict[str, np.random.Generator] = {}
        self._memory: dict[str, NDArray[np.float32]] = {}
        self._begin()

    def reset(self, occasion: str | None = None) -> None:
        """Begin memory and seeds anew, if the signature says so for this occasion; see `Policy.reset`."""
        if occasion is None or occasion in self.signature.reset.on:
            self._begin()

    def act(self, observation: Observation, deadline_ns: int | None = None) -> NDArray[np.float32]:
        """Labels for an observation, float32, shape (horizon, width); see `TimedPolicy.act`."""
        every = self.signature.reset.every_steps
        if every is not None and self._steps >= every:
            self._forget()
        feed: dict[str, NDArray[Any]] = self._feeder.feed(observation)
        for noise in self.signature.noise:
            feed[noise.name] = self._generators[noise.name].standard_normal((1, *noise.shape), np.float32)
        found = self.run({**feed, **self._memory}, deadline_ns)
        self._memory = {each.input: found[each.output] for each in self.signature.recurrent}
        self._steps += 1
        labels = self._decoder.decode(found[self._labels])[0]
        # Finite numbers times finite numbers may still overflow.
        if not self._decoder.same_units and not np.isfinite(labels).all():
            raise LearnedArmError("output of the policy not finite", where=self.path.name, got="NaN or infinity")
        return labels

    def _begin(self) -> None:
        self._generators = {each.name: np.random.default_rng(each.seed) for each in self.signature.noise}
        self._forget()

    def _forget(self) -> None:
        self._memory = {each.input: initial_memory(each) for each in self.signature.recurrent}
        self._steps = 0


def initial_memory(part: Recurrent) -> NDArray[np.float32]:
    """What a part of the memory is before the first step, in its own shape."""
    values = np.array(part.initial, np.float32)
    return np.full(part.shape, values[0]) if len(values) == 1 else values.reshape(part.shape)


def expected_inputs(contract: Contract) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape without the batch axis of every input that an exported policy of a contract has."""
    found: dict[str, tuple[str, tuple[int, ...]]] = {
        camera_input(name): ("tensor(uint8)", (contract.history, *camera.size, 3))
        for name, camera in contract.cameras.items()
    }
    found[STATE] = ("tensor(float)", (contract.history, len(contract.state_names)))
    return found


def self_test(policy: PolicyModel) -> float:
    """Run a policy's self-test; see `PolicyModel.self_test`."""
    return policy.self_test()


def check_belongs(policy: Contract, own: Contract, where: str) -> None:
    """Refuse a policy whose contract is not the one of the robot in front of it.

    Raises:
        LearnedArmError: Names both sides and the first place where they differ.
    """
    if policy.hash != own.hash:
        place = _first_difference(policy.canonical(), own.canonical(), "")
        raise LearnedArmError(
            f"the policy belongs to another robot or task (first difference: {place})",
            where=where,
            got=f"{policy.task} on {policy.robot.name} ({policy.hash[:12]})",
            allowed=f"{own.task} on {own.robot.name} ({own.hash[:12]})",
        )


def _first_difference(one: Any, other: Any, path: str) -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            if one.get(key) != other.get(key):
                return _first_difference(one.get(key), other.get(key), f"{path}.{key}" if path else key)
    return path
