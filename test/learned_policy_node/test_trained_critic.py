"""A critic that was learned from random tries, not built: its search earns more than any of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from learned_arm.contract import Contract
from learned_arm.observation import Observation
from learned_policy_node.loading import load_policy
from learned_policy_node.selftest import SelfTest

torch = pytest.importorskip("torch")

FRONT, STATE = "observation.images.front", "observation.state"
LAYERS = ("first", "second", "third")


def reward(state: Any, action: Any) -> Any:
    """Of an action, (..., 7) each: largest where it bends with the state."""
    return -((action - 0.6 * np.sin(2 * state)) ** 2).sum(-1)


def train() -> dict[str, np.ndarray]:
    """Regress the reward of random actions in random states; weights by name, as Gemm takes them."""
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(14, 96), torch.nn.SiLU(), torch.nn.Linear(96, 96), torch.nn.SiLU(), torch.nn.Linear(96, 1)
    )
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)
    steps = 500
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        tried = rng.uniform(-1, 1, (512, 14)).astype(np.float32)
        wanted = reward(tried[:, :7], tried[:, 7:]).astype(np.float32)
        loss = ((net(torch.from_numpy(tried))[:, 0] - torch.from_numpy(wanted)) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    torch.set_num_threads(threads)
    return {
        f"{name}.{kind}": getattr(net[2 * index], kind).detach().numpy()
        for index, name in enumerate(LAYERS)
        for kind in ("weight", "bias")
    }


def values(weights: dict[str, np.ndarray], seen: np.ndarray) -> np.ndarray:
    """The critic by numpy."""
    for name in LAYERS:
        seen = seen @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
        if name != LAYERS[-1]:
            seen = seen / (1 + np.exp(-seen))
    return seen[:, 0]


@pytest.mark.limit_s(180)
def test_a_trained_critic_acts_better_than_what_it_was_trained_on(
    save_policy: Callable[..., Path], small: Contract
) -> None:
    contract = replace(small, action=replace(small.action, horizon=1))
    weights = train()
    node = helper.make_node
    nodes = [
        node("Shape", ["a"], ["batch_of_a"], end=1),
        node("Concat", ["batch_of_a", "seven"], ["spread"], axis=0),
        node("Reshape", [STATE, "rows"], ["one_state"]),
        node("Expand", ["one_state", "spread"], ["states"]),
        node("Reshape", ["a", "rows"], ["actions"]),
        node("Concat", ["states", "actions"], ["first.in"], axis=1),
    ]
    for index, name in enumerate(LAYERS):
        out = f"{LAYERS[index + 1]}.in" if index < 2 else "q"
        given = [f"{name}.in", f"{name}.weight", f"{name}.bias"]
        nodes.append(node("Gemm", given, [f"{name}.out" if index < 2 else out], transB=1))
        if index < 2:
            nodes.append(node("Sigmoid", [f"{name}.out"], [f"{name}.gate"]))
            nodes.append(node("Mul", [f"{name}.out", f"{name}.gate"], [out]))
    rng = np.random.default_rng(1)
    state, action = (rng.uniform(-1, 1, (4, 1, 7)).astype(np.float32) for _ in range(2))
    images = np.zeros((4, 1, 8, 12, 3), np.uint8)
    expected = values(weights, np.concatenate([state[:, 0], action[:, 0]], axis=1)).astype(np.float32)
    signature = {
        "inputs": {FRONT: "camera:front", STATE: "state", "a": "candidate"},
        "outputs": {"q": "value"},
        "critic": {"low": [-1.0] * 7, "high": [1.0] * 7, "samples": 256, "elites": 24, "iterations": 8},
    }
    path = save_policy(
        contract,
        nodes,
        {
            FRONT: (TensorProto.UINT8, ["batch", 1, 8, 12, 3]),
            STATE: (TensorProto.FLOAT, ["batch", 1, 7]),
            "a": (TensorProto.FLOAT, ["samples", 1, 7]),
        },
        {"q": ["samples", 1]},
        {**weights, "seven": np.array([7]), "rows": np.array([-1, 7])},
        signature,
        SelfTest({FRONT: images, STATE: state, "a": action}, {"q": expected}),
    )
    policy = load_policy(path)
    earned, tried = [], []
    for _ in range(40):
        felt = rng.uniform(-1, 1, (1, 7)).astype(np.float32)
        chosen = policy.act(Observation(0, {"front": images[0]}, felt))
        earned.append(float(reward(felt[0], chosen[0])))
        tried.append(float(reward(felt, rng.uniform(-1, 1, (512, 7))).max()))
    print(f"reward, 0 at best: trained critic {np.mean(earned):.2f}, best of 512 tries {np.mean(tried):.2f}")
    assert np.mean(earned) > np.mean(tried)
