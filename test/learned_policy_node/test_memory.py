"""Policies with memory and with noise: what is carried from step to step, and when it begins anew."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from learned_arm.action import Reference
from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_arm.observation import Observation
from learned_policy_node.inference import Inline, Request, Worker
from learned_policy_node.onnx_policy import OnnxPolicy
from learned_policy_node.selftest import SelfTest
from learned_policy_node.swap import SwappablePolicy, TimeLimit

FRONT, STATE, ACTION = "observation.images.front", "observation.state", "action"
HIDDEN, STEPS = 6, 240
INITIAL = np.linspace(-0.5, 0.5, 2 * HIDDEN, dtype=np.float32).reshape(2, 1, HIDDEN)
Feed = dict[str, np.ndarray]


class Mirror:
    """The recurrent graph by numpy: two leaky layers, the first fed by pixels and state."""

    def __init__(self, seed: int = 5) -> None:
        rng = np.random.default_rng(seed)
        self.u = (rng.normal(size=(8, HIDDEN)) * 0.4).astype(np.float32)
        self.w = (rng.normal(size=(HIDDEN, HIDDEN)) * 0.5).astype(np.float32)
        self.v = (rng.normal(size=(HIDDEN, 14)) * 0.1).astype(np.float32)

    def step(self, feed: Feed) -> tuple[np.ndarray, np.ndarray]:
        bright = feed[FRONT].astype(np.float32).mean(axis=(1, 2, 3, 4))[:, None] / np.float32(255)
        seen = np.concatenate([bright, feed[STATE][:, 0]], axis=1)
        low, high = feed["h"][0], feed["h"][1]
        new_low = np.tanh(seen @ self.u + low @ self.w)
        new_high = np.tanh(new_low + high @ self.w)
        return (new_high @ self.v).reshape(-1, 2, 7), np.stack([new_low, new_high])

    def feed(self, observation: Observation, hidden: np.ndarray) -> Feed:
        return {FRONT: observation.images["front"][None], STATE: observation.state[None], "h": hidden}


@pytest.fixture
def make_recurrent(save_policy: Callable[..., Path], small: Contract, observe: Any) -> Callable[..., Path]:
    def make(reset: dict[str, Any] | None = None, off: float = 0.0) -> Path:
        mirror, node = Mirror(), helper.make_node
        nodes = [
            node("Cast", [FRONT], ["pixels"], to=TensorProto.FLOAT),
            node("ReduceMean", ["pixels", "all"], ["mean"], keepdims=0),
            node("Div", ["mean", "white"], ["unit"]),
            node("Reshape", ["unit", "column"], ["bright"]),
            node("Reshape", [STATE, "rows"], ["joints"]),
            node("Concat", ["bright", "joints"], ["seen"], axis=1),
            node("Gather", ["h", "zero"], ["low"], axis=0),
            node("Gather", ["h", "one"], ["high"], axis=0),
            node("MatMul", ["seen", "u"], ["from_seen"]),
            node("MatMul", ["low", "w"], ["from_low"]),
            node("Add", ["from_seen", "from_low"], ["sum_low"]),
            node("Tanh", ["sum_low"], ["new_low"]),
            node("MatMul", ["high", "w"], ["from_high"]),
            node("Add", ["new_low", "from_high"], ["sum_high"]),
            node("Tanh", ["sum_high"], ["new_high"]),
            node("Unsqueeze", ["new_low", "first"], ["row_low"]),
            node("Unsqueeze", ["new_high", "first"], ["row_high"]),
            node("Concat", ["row_low", "row_high"], ["h_next"], axis=0),
            node("MatMul", ["new_high", "v"], ["flat"]),
            node("Reshape", ["flat", "chunk"], [ACTION]),
        ]
        constants = {
            "all": np.array([1, 2, 3, 4]),
            "white": np.array(255, np.float32),
            "column": np.array([-1, 1]),
            "rows": np.array([-1, 7]),
            "zero": np.array(0),
            "one": np.array(1),
            "first": np.array([0]),
            "chunk": np.array([-1, 2, 7]),
            "u": mirror.u,
            "w": mirror.w,
            "v": mirror.v,
        }
        cases = [mirror.feed(observe(seed), INITIAL * seed) for seed in range(3)]
        outputs = [mirror.step(case) for case in cases]
        selftest = SelfTest(
            {
                FRONT: np.concatenate([case[FRONT] for case in cases]),
                STATE: np.concatenate([case[STATE] for case in cases]),
                "h": np.stack([case["h"] for case in cases]),
            },
            {
                ACTION: np.concatenate([each[0] for each in outputs]),
                "h_next": np.stack([each[1] for each in outputs]) + np.float32(off),
            },
        )
        signature = {
            "inputs": {FRONT: "camera:front", STATE: "state", "h": "recurrent"},
            "outputs": {ACTION: "labels", "h_next": "recurrent"},
            "recurrent": [
                {"input": "h", "output": "h_next", "shape": [2, 1, HIDDEN], "initial": INITIAL.ravel().tolist()}
            ],
            **({"reset": reset} if reset else {}),
        }
        inputs = {
            FRONT: (TensorProto.UINT8, ["batch", 1, 8, 12, 3]),
            STATE: (TensorProto.FLOAT, ["batch", 1, 7]),
            "h": (TensorProto.FLOAT, [2, "batch", HIDDEN]),
        }
        outs = {ACTION: ["batch", 2, 7], "h_next": [2, "batch", HIDDEN]}
        return save_policy(small, nodes, inputs, outs, constants, signature, selftest)

    return make


def test_memory_follows_the_graph_step_by_step_and_begins_anew_when_asked(make_recurrent: Any, observe: Any) -> None:
    policy, mirror, hidden = OnnxPolicy(make_recurrent()), Mirror(), INITIAL
    assert policy.kind == "recurrent"
    assert policy.self_test() <= 1e-5
    worst = 0.0
    for step in range(STEPS):
        if step == 150:
            policy.reset()
            hidden = INITIAL
        expected, hidden = mirror.step(mirror.feed(observe(step), hidden))
        worst = max(worst, float(np.abs(policy.act(observe(step)) - expected[0]).max()))
    assert worst <= 1e-5
    print(f"recurrent parity over {STEPS} steps: {worst:.2g}")


def test_without_its_memory_the_policy_would_act_otherwise(make_recurrent: Any, observe: Any) -> None:
    policy = OnnxPolicy(make_recurrent())
    first = policy.act(observe(1))
    assert np.abs(policy.act(observe(1)) - first).max() > 1e-3
    policy.reset()
    np.testing.assert_array_equal(policy.act(observe(1)), first)


@pytest.mark.parametrize("every", [1, 3, 10])
def test_memory_begins_anew_every_n_steps(make_recurrent: Any, observe: Any, every: int) -> None:
    policy = OnnxPolicy(make_recurrent({"every_steps": every}))
    steps = [policy.act(observe(2)) for _ in range(2 * every + 1)]
    np.testing.assert_array_equal(steps[0], steps[every])
    np.testing.assert_array_equal(steps[0], steps[2 * every])
    assert len({step.tobytes() for step in steps}) == every
    policy.reset()
    np.testing.assert_array_equal(policy.act(observe(2)), steps[0])


@pytest.mark.parametrize("on", [["engage"], ["request"], ["engage", "request"]])
def test_memory_begins_anew_on_what_the_rule_names_only(make_recurrent: Any, observe: Any, on: list[str]) -> None:
    policy = OnnxPolicy(make_recurrent({"on": on}))
    first = policy.act(observe(3))
    for occasion in ("engage", "request"):
        policy.reset(occasion)
        assert np.array_equal(policy.act(observe(3)), first) == (occasion in on)
        policy.act(observe(4))
    policy.reset()
    np.testing.assert_array_equal(policy.act(observe(3)), first)


@pytest.mark.parametrize("kind", [Inline, Worker])
@pytest.mark.parametrize("on", [["engage"], ["request"], ["engage", "request"]])
def test_the_occasion_reaches_the_memory_through_all_that_runs_it(
    make_recurrent: Any, observe: Any, kind: type[Inline] | type[Worker], on: list[str]
) -> None:
    """As the node asks it: exchangeable, limited in time, in its own thread or not."""
    swappable = SwappablePolicy(OnnxPolicy(make_recurrent({"on": on})))
    fresh = OnnxPolicy(make_recurrent({"on": on})).act(observe(3))
    inference = kind(TimeLimit(swappable, 60.0, time.monotonic_ns), 0, lambda: swappable.generation)
    resets: Counter[str | None] = Counter()

    def ask() -> np.ndarray:
        inference.submit(Request(dict(resets), 0, observe(3), Reference(np.zeros(7), np.zeros(7))))
        answer = inference.take(60.0)
        assert answer is not None and answer.labels is not None
        return answer.labels

    try:
        assert np.array_equal(ask(), fresh)
        for occasion in ("engage", "request"):
            assert not np.array_equal(ask(), fresh)
            resets[occasion] += 1
            assert np.array_equal(ask(), fresh) == (occasion in on)
        resets[None] += 1
        assert np.array_equal(ask(), fresh)
        assert not np.array_equal(ask(), fresh)
        swappable.offer(OnnxPolicy(make_recurrent({"on": on})))
        assert np.array_equal(ask(), fresh), "another policy begins with its initial memory"
    finally:
        inference.close()


def test_a_step_that_fails_leaves_memory_as_it_was(make_recurrent: Any, observe: Any) -> None:
    policy, other = OnnxPolicy(make_recurrent()), OnnxPolicy(make_recurrent())
    policy.act(observe(1))
    other.act(observe(1))
    bad = observe(2)
    bad.state[:] = np.nan
    with pytest.raises(LearnedArmError, match="not finite"):
        policy.act(bad)
    np.testing.assert_array_equal(policy.act(observe(3)), other.act(observe(3)))


def test_the_self_test_covers_memory(make_recurrent: Any) -> None:
    with pytest.raises(LearnedArmError, match="self-test failed"):
        OnnxPolicy(make_recurrent(off=1e-3)).self_test()


@pytest.fixture
def make_noisy(save_policy: Callable[..., Path], small: Contract, observe: Any) -> Callable[..., Path]:
    """action = noise + state: diffusion in one step."""

    def make(seed: int = 0) -> Path:
        noise = np.random.default_rng(1).normal(size=(2, 2, 7)).astype(np.float32)
        seen = [observe(index) for index in range(2)]
        state = np.concatenate([each.state[None] for each in seen])
        images = np.concatenate([each.images["front"][None] for each in seen])
        signature = {
            "inputs": {
                FRONT: "camera:front",
                STATE: "state",
                "z": {"role": "noise", "shape": [2, 7], "seed": seed},
            },
            "outputs": {ACTION: "labels"},
        }
        inputs = {
            FRONT: (TensorProto.UINT8, ["batch", 1, 8, 12, 3]),
            STATE: (TensorProto.FLOAT, ["batch", 1, 7]),
            "z": (TensorProto.FLOAT, ["batch", 2, 7]),
        }
        nodes = [helper.make_node("Add", ["z", STATE], [ACTION])]
        selftest = SelfTest({FRONT: images, STATE: state, "z": noise}, {ACTION: noise + state})
        return save_policy(small, nodes, inputs, {ACTION: ["batch", 2, 7]}, {}, signature, selftest, f"{seed}.onnx")

    return make


def test_noise_is_new_at_every_step_and_the_same_after_a_reset(make_noisy: Any, observe: Any) -> None:
    policy = OnnxPolicy(make_noisy())
    assert policy.kind == "noise"
    assert policy.self_test() == 0.0
    steps = [policy.act(observe(1)) for _ in range(20)]
    assert len({step.tobytes() for step in steps}) == 20
    policy.reset()
    np.testing.assert_array_equal([policy.act(observe(1)) for _ in range(20)], steps)
    again, other = OnnxPolicy(make_noisy()), OnnxPolicy(make_noisy(1))
    np.testing.assert_array_equal(again.act(observe(1)), steps[0])
    assert not np.array_equal(other.act(observe(1)), steps[0])


def test_noise_is_standard_normal(make_noisy: Any, observe: Any) -> None:
    policy, seen = OnnxPolicy(make_noisy()), observe(1)
    drawn = np.array([policy.act(seen) - seen.state for _ in range(1000)])
    # Four standard errors of 14,000 numbers.
    assert abs(drawn.mean()) < 4 / np.sqrt(drawn.size)
    assert abs(drawn.std() - 1) < 4 / np.sqrt(2 * drawn.size)
