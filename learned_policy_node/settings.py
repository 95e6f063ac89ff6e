"""The policy node's parameters: their names, defaults and meaning, and what they choose."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

from learned_arm.contract import Contract, load_contract
from learned_arm.errors import LearnedArmError
from learned_arm.robot import load_robot
from learned_arm.ros.node import check_all_when_set, parameter
from learned_policy_node.chunking import NEWEST_FIRST, ORDERS, Chunker, RecedingHorizon, TemporalEnsemble
from learned_policy_node.inference import Inference, Inline, Worker
from learned_policy_node.policy import Policy
from learned_policy_node.proving import Demands
from learned_policy_node.runtime import PROVIDERS, check_runtime
from learned_policy_node.scheduler import LEAD_TICKS, Rules
from learned_policy_node.signature import Signature
from learned_policy_node.swap import check_limit

EXECUTIONS = ("ensemble", "receding")
_LARGEST_ADDED_LATENCY_MS = 10_000.0
_MOST_STEPS = 10_000


def _setting(default: Any, description: str) -> Any:
    return field(default=default, metadata={"description": description})


@dataclass(frozen=True)
class Settings:
    """Read when the node is configured; only `model` may change while it is active.

    Raises:
        LearnedArmError: A value is out of range, alone or beside the others.
    """

    model: str = _setting("", "path of the policy's .onnx file")
    contract: str = _setting("", "contract of the robot in front of the policy; empty: the policy's own")
    robot: str = _setting("", "another robot file than the contract names")
    execution: str = _setting("ensemble", f"one of {', '.join(EXECUTIONS)}")
    execute_steps: int = _setting(8, "receding: ticks from one chunk to the next")
    ensemble_decay: float = _setting(0.05, "ensemble: decay of the weights, 0 or more")
    ensemble_order: str = _setting(NEWEST_FIRST, f"ensemble: what weighs most, one of {', '.join(ORDERS)}")
    lead_ticks: int = _setting(LEAD_TICKS, "points in a timeline: how long the arm goes on without the policy")
    compensate: bool = _setting(True, "drop the steps of a late chunk whose time has passed; false plays it late")
    max_jump_rad: float = _setting(0.1, "largest step of a joint from one plan to the next, per tick")
    hold_ticks: int = _setting(4, "how long the last target is held when the plan ran out, before the arm stops")
    added_latency_ms: float = _setting(0.0, "for experiments: added to every inference; simulated time in lock-step")
    intra_op_threads: int = _setting(1, "threads of ONNX Runtime inside an operator, 1 or 2")
    provider: str = _setting("cpu", f"execution provider of ONNX Runtime, one of {', '.join(PROVIDERS)}")
    inference_timeout_s: float = _setting(1.0, "longest time of one inference: the model is cut off, a fault")
    allow_untested: bool = _setting(False, "run a foreign policy that has no self-test")

    def __post_init__(self) -> None:
        if self.execution not in EXECUTIONS:
            raise LearnedArmError("unknown execution", got=self.execution, allowed=list(EXECUTIONS))
        RecedingHorizon(1, self.execute_steps)
        TemporalEnsemble(1, self.ensemble_decay, self.ensemble_order)
        make_rules(self)
        if not 0 <= self.added_latency_ms <= _LARGEST_ADDED_LATENCY_MS:
            allowed = f"0 .. {_LARGEST_ADDED_LATENCY_MS:.0f} ms"
            raise LearnedArmError("wrong added latency", got=self.added_latency_ms, allowed=allowed)
        check_runtime(self.intra_op_threads, self.provider)
        check_limit(self.inference_timeout_s)

    @property
    def demands(self) -> Demands:
        """How a policy is to run, and what it must show first."""
        return Demands(self.intra_op_threads, self.provider, self.allow_untested, self.inference_timeout_s)


def declare_settings(node: Any) -> None:
    """Declare every setting as a parameter.

    Raises:
        LearnedArmError: A value given at the start is out of range.
    """
    for each in fields(Settings):
        parameter(node, each.name, each.default, each.metadata["description"])
    read_settings(node)


def read_settings(node: Any) -> Settings:
    """The settings as the parameters stand now.

    Raises:
        LearnedArmError: One is out of range.
    """
    return Settings(**{each.name: node.get_parameter(each.name).value for each in fields(Settings)})


def guard_settings(node: Any, check: Callable[[Settings, list[str]], object]) -> None:
    """Refuse settings that are out of range, with everything set beside them, and what a check does not let pass.

    Args:
        node: Has declared them.
        check: Called with the settings as they would be and the names of those that are set; it may raise.
    """
    names = [each.name for each in fields(Settings)]

    def check_changes(changes: dict[str, Any]) -> None:
        own = [name for name in changes if name in names]
        check(replace(read_settings(node), **{name: changes[name] for name in own}), own)

    check_all_when_set(node, check_changes)


def changed_settings(one: Settings, other: Settings) -> list[str]:
    """Names of the settings that differ."""
    return [each.name for each in fields(Settings) if getattr(one, each.name) != getattr(other, each.name)]


def own_contract(settings: Settings, policy: Contract) -> Contract:
    """The contract of the robot in front of a policy: as the settings name it, else the policy's task on that robot.

    Raises:
        LearnedArmError: A file is missing or wrong.
    """
    if settings.contract:
        return load_contract(settings.contract, settings.robot or None)
    return replace(policy, robot=load_robot(settings.robot)) if settings.robot else policy


def check_rhythm(signature: Signature, contract: Contract, settings: Settings) -> None:
    """Refuse settings that would ask a policy with memory in another rhythm than it was trained in.

    Raises:
        LearnedArmError: Names both rhythms.
    """
    trained = signature.step_ticks
    if trained is None:
        return
    asked = settings.execute_steps if settings.execution == "receding" else 1
    late = math.ceil(settings.added_latency_ms * 1e6 / contract.period_ns)
    if max(asked, late) != trained:
        got = f"every {max(asked, late)} ticks (execution {settings.execution}, added latency {late} ticks)"
        raise LearnedArmError("memory steps in another rhythm", got=got, allowed=f"every {trained} ticks")


def make_chunker(contract: Contract, settings: Settings) -> Chunker:
    """The chunker that the settings name.

    Raises:
        LearnedArmError: It would execute more steps than the policy gives.
    """
    if settings.execution == "ensemble":
        return TemporalEnsemble(contract.period_ns, settings.ensemble_decay, settings.ensemble_order)
    horizon = contract.action.horizon
    if settings.execute_steps > horizon:
        what = "more steps than the policy gives"
        raise LearnedArmError(what, got=settings.execute_steps, allowed=f"[1, {horizon}]")
    return RecedingHorizon(contract.period_ns, settings.execute_steps)


def make_rules(settings: Settings) -> Rules:
    """How chunks are put into force, as the settings say.

    Raises:
        LearnedArmError: A setting is out of range.
    """
    return Rules(settings.lead_ticks, settings.compensate, settings.max_jump_rad, settings.hold_ticks)


def make_inference(
    policy: Policy, settings: Settings, lock_step: bool, generation: Callable[[], int] = lambda: 0
) -> Inference:
    """Where the policy runs: in lock-step at once, so that results do not depend on the machine.

    Args:
        policy: Who is asked.
        settings: With the added latency.
        lock_step: Whether the simulation waits for each tick.
        generation: Of the policy that gave the last answer.
    """
    return (Inline if lock_step else Worker)(policy, round(settings.added_latency_ms * 1e6), generation)
