"""Exchange of a policy while it runs: between two steps, or not at all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_arm.observation import Observation
from learned_policy_node.loading import load_policy
from learned_policy_node.swap import SwappablePolicy

MakeModel = Callable[..., Path]


@pytest.fixture
def other(make_model: MakeModel) -> Path:
    """A policy that differs: its labels are NaN in the dark, and small elsewhere."""
    return make_model("other.onnx", dark_is_nan=True)


@pytest.fixture
def seen(contract: Contract) -> Observation:
    images = {
        name: np.full((contract.history, *camera.size, 3), 100, np.uint8) for name, camera in contract.cameras.items()
    }
    return Observation(0, images, np.full((contract.history, contract.robot.dof), 0.5, np.float32))


def test_an_offered_policy_answers_from_the_next_step_on(make_model: MakeModel, other: Path, seen: Observation) -> None:
    policy, offered = SwappablePolicy(load_policy(make_model())), load_policy(other)
    first, old = policy.act(seen), policy.current
    assert not np.array_equal(first, load_policy(other).act(seen))
    policy.offer(offered)
    assert (policy.current, policy.newest, policy.generation) == (old, offered, 0)
    np.testing.assert_array_equal(policy.act(seen), load_policy(other).act(seen))
    assert (policy.current, policy.newest, policy.generation) == (offered, offered, 1)


def test_a_policy_of_another_task_is_not_taken(make_model: MakeModel, seen: Observation, contract: Contract) -> None:
    policy = SwappablePolicy(load_policy(make_model()))
    first, running = policy.act(seen), policy.current
    with pytest.raises(LearnedArmError, match="belongs to another robot or task"):
        policy.offer(load_policy(make_model("slower.onnx", of=replace(contract, rate_hz=10))))
    np.testing.assert_array_equal(policy.act(seen), first)
    assert (policy.newest, policy.generation) == (running, 0)


def test_every_step_is_wholly_of_one_policy(make_model: MakeModel, other: Path, seen: Observation) -> None:
    """Offers come from another thread while steps run: each answer is one of the two, and the last is the new one's."""
    loaded = [load_policy(make_model()), load_policy(other)]
    answers = {each.act(seen).tobytes() for each in loaded}
    policy = SwappablePolicy(loaded[0])
    done = threading.Event()

    def offer() -> None:
        for turn in range(300):
            policy.offer(loaded[turn % 2])
        done.set()

    thread = threading.Thread(target=offer)
    thread.start()
    steps = 0
    while not done.is_set() or steps < 50:
        assert policy.act(seen).tobytes() in answers
        steps += 1
    thread.join()
    np.testing.assert_array_equal(policy.act(seen), loaded[1].act(seen))
    assert 1 <= policy.generation <= 300


def test_a_reset_reaches_the_policy_that_is_next(make_model: MakeModel, other: Path) -> None:
    policy, offered = SwappablePolicy(load_policy(make_model())), load_policy(other)
    policy.offer(offered)
    policy.reset("engage")
    assert policy.current is offered
