"""Critics: the search finds a known maximum, stays within its bounds and comes back equal."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_arm.observation import Observation
from learned_policy_node.critic_policy import CriticPolicy, maximise
from learned_policy_node.loading import load_policy
from learned_policy_node.onnx_policy import OnnxPolicy
from learned_policy_node.selftest import SelfTest
from learned_policy_node.signature import CriticSettings

FRONT, STATE = "observation.images.front", "observation.state"
LOW, HIGH = -1.0, 1.0


def known_maximum(observation: Observation) -> np.ndarray:
    """Where the critic below is largest: a place a joint, by what is seen and felt."""
    bright = float(observation.images["front"].mean()) / 255
    return np.tanh(observation.state[0]) * 0.5 + (bright - 0.5)


def q(images: np.ndarray, state: np.ndarray, action: np.ndarray) -> np.ndarray:
    """The critic by numpy: minus the squared distance from its maximum."""
    bright = images.astype(np.float32).mean(axis=(1, 2, 3, 4))[:, None, None] / 255
    return -((action - (np.tanh(state) * 0.5 + bright - 0.5)) ** 2).sum(axis=(1, 2))


@pytest.fixture
def make_critic(save_policy: Callable[..., Path], small: Contract) -> Callable[..., Path]:
    def make(column: bool = False, joints: list[str] | None = None, batch: Any = "samples", **critic: Any) -> Path:
        node = helper.make_node
        nodes = [
            node("Cast", [FRONT], ["pixels"], to=TensorProto.FLOAT),
            node("ReduceMean", ["pixels", "all"], ["mean"], keepdims=0),
            node("Div", ["mean", "white"], ["unit"]),
            node("Reshape", ["unit", "cell"], ["bright"]),
            node("Tanh", [STATE], ["bent"]),
            node("Mul", ["bent", "half"], ["place"]),
            node("Add", ["place", "bright"], ["higher"]),
            node("Sub", ["higher", "half"], ["best"]),
            node("Sub", ["a", "best"], ["away"]),
            node("Mul", ["away", "away"], ["square"]),
            node("ReduceSum", ["square", "rest"], ["loss"], keepdims=0),
            node("Neg", ["loss"], ["flat_q"]),
            node("Reshape", ["flat_q", "column" if column else "row"], ["q"]),
        ]
        constants = {
            "all": np.array([1, 2, 3, 4]),
            "white": np.array(255, np.float32),
            "half": np.array(0.5, np.float32),
            "cell": np.array([-1, 1, 1]),
            "rest": np.array([1, 2]),
            "column": np.array([-1, 1]),
            "row": np.array([-1]),
        }
        rng = np.random.default_rng(4)
        images = rng.integers(0, 256, (3, 1, 8, 12, 3), np.uint8)
        state, action = (rng.normal(size=(3, rows, 7)).astype(np.float32) for rows in (1, 2))
        values = q(images, state, action).astype(np.float32)
        selftest = SelfTest(
            {FRONT: images, STATE: state, "a": action}, {"q": values[:, None] if column else values}, 1e-3
        )
        signature = {
            "inputs": {
                FRONT: "camera:front",
                STATE: "state",
                "a": {"role": "candidate", **({"joints": joints} if joints else {})},
            },
            "outputs": {"q": "value"},
            "critic": {"low": [LOW] * 7, "high": [HIGH] * 7, **critic},
        }
        inputs = {
            FRONT: (TensorProto.UINT8, ["batch", 1, 8, 12, 3]),
            STATE: (TensorProto.FLOAT, ["batch", 1, 7]),
            "a": (TensorProto.FLOAT, [batch, 2, 7]),
        }
        out: list[Any] = ["samples", 1] if column else ["samples"]
        return save_policy(small, nodes, inputs, {"q": out}, constants, signature, selftest)

    return make


@pytest.mark.parametrize("column", [False, True])
def test_a_critic_becomes_a_policy_that_finds_its_maximum(make_critic: Any, observe: Any, column: bool) -> None:
    policy = load_policy(make_critic(column, samples=256, elites=24, iterations=15))
    assert isinstance(policy, CriticPolicy)
    assert (policy.kind, policy.tested) == ("critic", True)
    worst = 0.0
    for seed in range(10):
        action = policy.act(observe(seed))
        assert action.shape == (2, 7)
        assert action.dtype == np.float32
        worst = max(worst, float(np.abs(action - known_maximum(observe(seed))).max()))
    assert worst < 0.02
    print(f"critic with 256 samples, 24 elites, 15 iterations: off by {worst:.2g} of a range of 2")


def test_the_settings_of_the_paper_are_the_default_and_beat_chance(make_critic: Any, observe: Any) -> None:
    policy = CriticPolicy(make_critic())
    assert (policy.settings.samples, policy.settings.elites, policy.settings.iterations) == (64, 6, 2)
    rng = np.random.default_rng(0)
    for seed in range(10):
        best = known_maximum(observe(seed))
        found = ((policy.act(observe(seed)) - best) ** 2).sum()
        chance = ((rng.uniform(LOW, HIGH, (64, 2, 7)) - best) ** 2).sum(axis=(1, 2))
        assert found < np.median(chance)


def test_the_search_comes_back_equal_after_a_reset(make_critic: Any, observe: Any) -> None:
    policy = CriticPolicy(make_critic())
    steps = [policy.act(observe(1)) for _ in range(4)]
    assert len({step.tobytes() for step in steps}) == 4
    policy.reset()
    np.testing.assert_array_equal([policy.act(observe(1)) for _ in range(4)], steps)
    assert not np.array_equal(CriticPolicy(make_critic(seed=1)).act(observe(1)), steps[0])


def test_one_observation_spread_by_the_graph_or_copied_is_the_same(make_critic: Any, observe: Any) -> None:
    spread, copied = CriticPolicy(make_critic()), CriticPolicy(make_critic(broadcast=False))
    np.testing.assert_allclose(spread.act(observe(2)), copied.act(observe(2)), atol=1e-6)


def test_a_critic_with_joints_of_its_own_order_is_asked_in_that_order(
    make_critic: Any, observe: Any, small: Contract
) -> None:
    """Seen by the robot, the maximum of a critic whose joints run backwards lies backwards."""
    policy = CriticPolicy(make_critic(joints=list(small.robot.joints)[::-1], samples=256, elites=24, iterations=15))
    np.testing.assert_allclose(policy.act(observe(5)), np.tile(known_maximum(observe(5))[::-1], (2, 1)), atol=0.02)


def test_files_of_the_other_kind_are_refused(make_critic: Any, make_model: Any) -> None:
    with pytest.raises(LearnedArmError, match="a critic, not a policy with labels"):
        OnnxPolicy(make_critic())
    with pytest.raises(LearnedArmError, match="not a critic"):
        CriticPolicy(make_model())
    with pytest.raises(LearnedArmError, match="fixed batch of candidates; got 1; allowed: a free batch axis"):
        CriticPolicy(make_critic(batch=1))
    with pytest.raises(LearnedArmError, match="a has another shape or type"):
        CriticPolicy(make_critic(batch=64))


def search(settings_: CriticSettings, best: np.ndarray, seed: int = 0) -> tuple[np.ndarray, float]:
    return maximise(
        lambda actions: -((actions - best) ** 2).sum(axis=(1, 2), dtype=np.float32),
        settings_,
        len(best),
        np.random.default_rng(seed),
    )


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    samples=st.integers(2, 80),
    iterations=st.integers(1, 6),
    low=st.floats(-3, 0),
    width=st.floats(0.01, 5),
)
def test_more_iterations_are_never_worse_and_bounds_hold(
    seed: int, samples: int, iterations: int, low: float, width: float
) -> None:
    best = np.random.default_rng(seed).uniform(-4, 4, (2, 3)).astype(np.float32)
    base = CriticSettings((low,) * 3, (low + width,) * 3, samples, max(1, samples // 10), iterations)
    action, value = search(base, best, seed)
    _, more = search(replace(base, iterations=iterations + 1), best, seed)
    assert more >= value
    assert (action >= np.float32(low)).all()
    assert (action <= np.float32(low + width)).all()
    again, _ = search(base, best, seed)
    np.testing.assert_array_equal(again, action)


def test_the_error_falls_with_the_iterations() -> None:
    """The median distance over 20 maxima, from each doubling of the iterations to the next."""
    rng, errors = np.random.default_rng(1), []
    maxima = rng.uniform(-0.8, 0.8, (20, 1, 7)).astype(np.float32)
    for iterations in (1, 2, 4, 8, 16):
        base = CriticSettings((-1.0,) * 7, (1.0,) * 7, 128, 12, iterations)
        errors.append(np.median([np.abs(search(base, each, 3)[0] - each).max() for each in maxima]))
    print("distance after 1, 2, 4, 8, 16 iterations:", " ".join(f"{each:.2g}" for each in errors))
    assert all(later < earlier for earlier, later in itertools.pairwise(errors))
    assert errors[-1] < 0.01
