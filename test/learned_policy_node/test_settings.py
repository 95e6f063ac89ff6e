"""What the parameters choose, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_arm.observation import Observation
from learned_policy_node.inference import Inline, Worker
from learned_policy_node.scheduler import Rules
from learned_policy_node.signature import Recurrent, Signature

pytest.importorskip("rclpy")
from learned_policy_node.settings import Settings, check_rhythm, make_inference, make_rules


class Silent:
    """A policy that is never asked."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract

    def reset(self) -> None:
        raise AssertionError

    def act(self, observation: Observation) -> NDArray[np.float32]:
        raise AssertionError


def test_the_defaults_are_the_rules_own() -> None:
    assert make_rules(Settings()) == Rules()


def test_the_model_runs_inside_the_tick_in_lock_step_and_beside_it_in_real_time(contract: Contract) -> None:
    policy = Silent(contract)
    assert isinstance(make_inference(policy, Settings(), True), Inline)
    assert isinstance(make_inference(policy, Settings(), False), Worker)


@pytest.mark.parametrize("added_ms", [-1.0, float("nan"), float("inf"), 10_001.0])
def test_an_added_latency_out_of_range_names_the_range(contract: Contract, added_ms: float) -> None:
    with pytest.raises(LearnedArmError, match="10000 ms"):
        make_inference(Silent(contract), Settings(added_latency_ms=added_ms), True)


def with_memory(step_ticks: int | None) -> Signature:
    return Signature(images=(), state=None, recurrent=(Recurrent("h", "h_next", (1, 1, 4)),), step_ticks=step_ticks)


@pytest.mark.parametrize(
    ("step_ticks", "chosen"),
    [
        (1, Settings()),
        (1, Settings(execution="receding", execute_steps=1)),
        (8, Settings(execution="receding", execute_steps=8)),
        (None, Settings(execution="receding", execute_steps=8)),
        (1, Settings(added_latency_ms=50.0)),
    ],
)
def test_memory_may_step_as_it_was_trained(contract: Contract, step_ticks: int | None, chosen: Settings) -> None:
    check_rhythm(with_memory(step_ticks), contract, chosen)


@pytest.mark.parametrize(
    ("step_ticks", "chosen", "got"),
    [
        (1, Settings(execution="receding"), "every 8 ticks"),
        (8, Settings(), "every 1 ticks"),
        (1, Settings(added_latency_ms=51.0), "every 2 ticks"),
    ],
)
def test_memory_is_not_stepped_in_another_rhythm(
    contract: Contract, step_ticks: int, chosen: Settings, got: str
) -> None:
    with pytest.raises(LearnedArmError, match=f"another rhythm; got {got}.*allowed: every {step_ticks} ticks"):
        check_rhythm(with_memory(step_ticks), contract, chosen)
