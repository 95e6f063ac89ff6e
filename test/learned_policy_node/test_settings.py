"""What the parameters choose, and what they refuse."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_arm.observation import Observation
from learned_policy_node.chunking import RecedingHorizon, TemporalEnsemble
from learned_policy_node.inference import Inline, Worker
from learned_policy_node.proving import Demands
from learned_policy_node.scheduler import Rules
from learned_policy_node.signature import Recurrent, Signature

pytest.importorskip("rclpy")
from learned_policy_node.settings import (
    Settings,
    changed_settings,
    check_rhythm,
    make_chunker,
    make_inference,
    make_rules,
)


class Silent:
    """A policy that is never asked."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract

    def reset(self, occasion: str | None = None) -> None:
        raise AssertionError

    def act(self, observation: Observation) -> NDArray[np.float32]:
        raise AssertionError


OUT_OF_RANGE: dict[str, list[tuple[Any, str]]] = {
    "execution": [("", "unknown execution"), ("both", "unknown execution; got both")],
    "execute_steps": [(0, "steps to execute; got 0"), (-3, "steps to execute")],
    "ensemble_decay": [(-0.1, "decay"), (float("nan"), "decay"), (float("inf"), "decay")],
    "ensemble_order": [("", "unknown order"), ("newest", "unknown order")],
    "lead_ticks": [(0, "wrong lead; got 0"), (-1, "wrong lead"), (10**9, "wrong lead")],
    "max_jump_rad": [(0.0, "largest jump"), (-1.0, "largest jump"), (float("nan"), "largest jump")],
    "hold_ticks": [(-1, "wrong hold"), (10**9, "wrong hold")],
    "added_latency_ms": [(each, "10000 ms") for each in (-1.0, float("nan"), float("inf"), 10_001.0)],
    "intra_op_threads": [(0, "number of threads; got 0"), (3, "number of threads")],
    "provider": [("foo", "unknown execution provider; got foo"), ("", "unknown execution provider")],
    "inference_timeout_s": [(each, "time limit") for each in (0.0, -1.0, float("nan"), float("inf"), 3601.0)],
}
# What they name is looked at when the node is configured; there is no wrong truth value.
NAMES_OF_FILES_AND_SWITCHES = {"model", "contract", "robot", "compensate", "allow_untested"}


@pytest.mark.parametrize(
    ("name", "value", "words"), [(name, *each) for name, cases in OUT_OF_RANGE.items() for each in cases]
)
def test_a_setting_out_of_range_is_refused_by_name(name: str, value: Any, words: str) -> None:
    with pytest.raises(LearnedArmError, match=words) as caught:
        Settings(**{name: value})
    assert "allowed: " in str(caught.value)


def test_every_setting_has_its_refusals() -> None:
    assert {each.name for each in fields(Settings)} == {*OUT_OF_RANGE, *NAMES_OF_FILES_AND_SWITCHES}


def test_the_defaults_are_the_rules_own() -> None:
    assert make_rules(Settings()) == Rules()


def test_a_chunk_cannot_be_executed_beyond_its_end(contract: Contract) -> None:
    horizon = contract.action.horizon
    receding = make_chunker(contract, Settings(execution="receding", execute_steps=horizon))
    assert isinstance(receding, RecedingHorizon)
    assert isinstance(make_chunker(contract, Settings(execute_steps=horizon + 1)), TemporalEnsemble)
    with pytest.raises(LearnedArmError, match=r"more steps than the policy gives; got 17; allowed: \[1, 16\]"):
        make_chunker(contract, Settings(execution="receding", execute_steps=horizon + 1))


def test_a_new_model_must_meet_the_same_demands() -> None:
    settings = Settings(intra_op_threads=2, allow_untested=True, inference_timeout_s=0.25)
    assert settings.demands == Demands(2, "cpu", True, 0.25)


def test_the_names_of_what_differs() -> None:
    assert changed_settings(Settings(), Settings(lead_ticks=3, model="x")) == ["model", "lead_ticks"]
    assert changed_settings(Settings(), Settings()) == []


def test_the_model_runs_inside_the_tick_in_lock_step_and_beside_it_in_real_time(contract: Contract) -> None:
    policy = Silent(contract)
    assert isinstance(make_inference(policy, Settings(), True), Inline)
    assert isinstance(make_inference(policy, Settings(), False), Worker)


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
