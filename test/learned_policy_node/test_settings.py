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

pytest.importorskip("rclpy")
from learned_policy_node.settings import Settings, check_settings, make_inference, make_rules


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


def test_the_defaults_pass_their_own_check() -> None:
    check_settings(Settings())


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("execution", "hope", "parameter execution: unknown value"),
        ("execute_steps", 0, "parameter execute_steps: not an integer in range"),
        ("ensemble_decay", float("nan"), "wrong decay"),
        ("ensemble_order", "random", "unknown order"),
        ("lead_ticks", 0, "wrong lead"),
        ("max_jump_rad", float("nan"), "wrong largest jump"),
        ("hold_ticks", -1, "wrong hold"),
        ("added_latency_ms", float("inf"), "wrong added latency"),
        ("intra_op_threads", 3, "parameter intra_op_threads: not an integer in range"),
        ("provider", "abacus", "parameter provider: unknown value"),
        ("inference_timeout_s", 0.0, "parameter inference_timeout_s: not a number in range"),
    ],
)
def test_each_setting_out_of_range_is_refused_by_name(name: str, value: object, words: str) -> None:
    with pytest.raises(LearnedArmError, match=words):
        check_settings(Settings(**{name: value}))  # type: ignore[arg-type]
