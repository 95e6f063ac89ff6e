"""What the policy node has once it is configured: a policy that was proved, and everything that runs it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from learned_arm.errors import LearnedArmError
from learned_policy_node.exchange import Exchange
from learned_policy_node.loading import AnyPolicy, open_policy, prove
from learned_policy_node.loop import PolicyLoop
from learned_policy_node.onnx_policy import check_belongs
from learned_policy_node.settings import (
    Settings,
    check_rhythm,
    make_chunker,
    make_inference,
    make_rules,
    own_contract,
)
from learned_policy_node.swap import SwappablePolicy, TimeLimit


@dataclass
class Configured:
    """From configure to cleanup.

    Attributes:
        settings: In force; `model` follows every exchange.
        loop: Steps the policy.
        exchange: Puts another policy in its place.
        words: What was loaded, for the log.
    """

    settings: Settings
    loop: PolicyLoop
    exchange: Exchange
    words: str
    _policy: SwappablePolicy

    @property
    def policy(self) -> AnyPolicy:
        """The policy that answers every step that begins from now on."""
        return self._policy.newest

    def finish_exchange(self) -> bool | None:
        """See `Exchange.finish`; a policy that was taken is asked at the next tick."""
        taken = self.exchange.finish()
        if taken:
            self.settings = replace(self.settings, model=str(self.policy.path))
            self.loop.ask_at_once()
        return taken


def configure(settings: Settings, lock_step: bool, on_loaded: Callable[[], object]) -> Configured:
    """Load the model, compare its contract with the robot's, run its self-test.

    Args:
        settings: What the parameters say.
        lock_step: Whether the simulation waits for each tick.
        on_loaded: Called by another thread when there is an exchange to finish.

    Raises:
        LearnedArmError: It cannot be used here.
    """
    if not settings.model:
        raise LearnedArmError("no policy file", where="parameter model", allowed="path of an .onnx file")
    policy = open_policy(settings.model, settings.intra_op_threads, settings.provider)
    if settings.contract or settings.robot:
        check_belongs(policy.contract, own_contract(settings, policy.contract), policy.path.name)
    check_rhythm(policy.signature, policy.contract, settings)
    worst = prove(policy, settings.allow_untested, settings.inference_timeout_s)
    words = (
        f"{policy.path.name} ({policy.hash[:12]}): "
        f"{policy.contract.task} on {policy.contract.robot.name}, {policy.kind} on {policy.runtime.provider}, "
        + ("UNTESTED" if worst is None else f"self-test of {policy.selftest.cases} cases off by {worst:.2g}")
    )
    swappable = SwappablePolicy(policy)
    limited = TimeLimit(swappable, settings.inference_timeout_s, time.monotonic_ns)
    inference = make_inference(limited, settings, lock_step, lambda: swappable.generation)
    loop = PolicyLoop(limited, make_chunker(policy.contract, settings), make_rules(settings), inference)

    def check_suits(found: AnyPolicy) -> None:
        check_rhythm(found.signature, found.contract, settings)

    exchange = Exchange(swappable, settings.demands, on_loaded, check_suits)
    return Configured(settings, loop, exchange, words, swappable)
