"""Puts a new policy in the place of the running one, between two steps, or keeps the old one."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_arm.observation import Observation
from learned_policy_node.loading import AnyPolicy
from learned_policy_node.onnx_policy import check_belongs
from learned_policy_node.policy import TimedPolicy

_LONGEST_LIMIT_S = 3600.0


class SwappablePolicy:
    """A policy whose inside can be exchanged while it runs.

    `act` and `reset` belong to the policy's thread; `offer` and `newest` may be used by any other. A policy that was
    offered begins with its initial memory at the first step after the offer.

    Attributes:
        current: The policy that answered the last step, or that will answer the first.
        generation: How many times a policy has been exchanged; a user of chunks drops those of an older one.

    Args:
        policy: Loaded and proved.
    """

    def __init__(self, policy: AnyPolicy) -> None:
        self.current, self.generation = policy, 0
        self._lock = threading.Lock()
        self._next: AnyPolicy | None = None

    @property
    def contract(self) -> Contract:
        """The robot and task; the same for every policy that is ever in it."""
        return self.current.contract

    @property
    def newest(self) -> AnyPolicy:
        """The policy that answers every step that begins from now on."""
        with self._lock:
            return self._next or self.current

    def offer(self, policy: AnyPolicy) -> None:
        """Take a policy, loaded and proved; the next step is its first.

        Raises:
            LearnedArmError: It belongs to another robot or task; the running policy goes on.
        """
        check_belongs(policy.contract, self.contract, policy.path.name)
        with self._lock:
            self._next = policy

    def reset(self, occasion: str | None = None) -> None:
        """See `Policy.reset`."""
        self._exchange()
        self.current.reset(occasion)

    def act(self, observation: Observation, deadline_ns: int | None = None) -> NDArray[np.float32]:
        """See `TimedPolicy.act`."""
        self._exchange()
        return self.current.act(observation, deadline_ns)

    def _exchange(self) -> None:
        with self._lock:
            if self._next is None:
                return
            self.current, self._next = self._next, None
            self.generation += 1


class TimeLimit:
    """A policy whose every step is cut off after a time; its faults are those of `TimedPolicy.act`.

    Args:
        policy: What is limited.
        limit_s: Longest time of a step, up to an hour.
        now_ns: The monotonic clock.
    """

    def __init__(self, policy: TimedPolicy, limit_s: float, now_ns: Callable[[], int]) -> None:
        check_limit(limit_s)
        self._policy, self._limit_ns, self._now_ns = policy, round(limit_s * 1e9), now_ns

    @property
    def contract(self) -> Contract:
        """See `Policy`."""
        return self._policy.contract

    def reset(self, occasion: str | None = None) -> None:
        """See `Policy.reset`."""
        self._policy.reset(occasion)

    def act(self, observation: Observation) -> NDArray[np.float32]:
        """See `TimedPolicy.act`."""
        return self._policy.act(observation, self._now_ns() + self._limit_ns)


def check_limit(limit_s: float) -> None:
    """Refuse a time limit of a step that is none.

    Raises:
        LearnedArmError: It is not a number of seconds up to an hour.
    """
    if not 0 < limit_s <= _LONGEST_LIMIT_S:
        raise LearnedArmError("wrong time limit of a step", got=limit_s, allowed=f"(0, {_LONGEST_LIMIT_S:g}] s")
