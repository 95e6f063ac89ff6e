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
from learned_policy_node.selftest import SelfTest
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
    policy, wanted = SwappablePolicy(load_policy(make_model())), load_policy(other).act(seen)
    first, old = policy.act(seen), policy.current
    assert not np.array_equal(first, wanted)
    offered = policy.offer(other)
    assert (policy.current, policy.generation) == (old, 0)
    np.testing.assert_array_equal(policy.act(seen), wanted)
    assert (policy.current, policy.generation) == (offered, 1)
    assert offered.tested


def test_what_is_refused_leaves_the_old_one_running(
    make_model: MakeModel, seen: Observation, contract: Contract, tmp_path: Path
) -> None:
    policy = SwappablePolicy(load_policy(make_model()))
    first, good = policy.act(seen), policy.current.selftest
    altered = {"action": good.outputs["action"] + np.float32(1e-3)}
    slower = replace(contract, rate_hz=10)
    (tmp_path / "text.onnx").write_text("no model")
    refused = {
        tmp_path / "absent.onnx": "no such file",
        tmp_path / "text.onnx": "corrupt model",
        make_model("altered.onnx", selftest=SelfTest(good.inputs, altered)): "self-test failed",
        make_model("slower.onnx", of=slower): "belongs to another robot or task",
    }
    for path, text in refused.items():
        with pytest.raises(LearnedArmError, match=text):
            policy.offer(path)
        np.testing.assert_array_equal(policy.act(seen), first)
        assert policy.generation == 0


def test_every_step_is_wholly_of_one_policy(make_model: MakeModel, other: Path, seen: Observation) -> None:
    """Offers come from another thread while steps run: each answer is one of the two, and the last is the new one's."""
    paths = [make_model(), other]
    loaded = {path: load_policy(path) for path in paths}
    answers = {loaded[path].act(seen).tobytes() for path in paths}
    policy = SwappablePolicy(loaded[paths[0]], load=lambda path: loaded[path])
    done = threading.Event()

    def offer() -> None:
        for turn in range(300):
            policy.offer(paths[turn % 2])
        done.set()

    thread = threading.Thread(target=offer)
    thread.start()
    steps = 0
    while not done.is_set() or steps < 50:
        assert policy.act(seen).tobytes() in answers
        steps += 1
    thread.join()
    np.testing.assert_array_equal(policy.act(seen), loaded[paths[1]].act(seen))
    assert 1 <= policy.generation <= 300


def test_a_reset_reaches_the_policy_that_is_next(make_model: MakeModel, other: Path) -> None:
    policy = SwappablePolicy(load_policy(make_model()))
    offered = policy.offer(other)
    policy.reset("engage")
    assert policy.current is offered
