"""Puts a new policy in the place of the running one, between two steps, or keeps the old one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_arm.observation import Observation
from learned_policy_node.loading import AnyPolicy, load_policy
from learned_policy_node.onnx_policy import check_belongs
from learned_policy_node.policy import TimedPolicy

LONGEST_LIMIT_S = 3600.0


class SwappablePolicy:
    """A policy whose inside can be exchanged while it runs.

    `act` and `reset` belong to the policy's thread; `offer` may come from any other. Offered with what time the
    loading takes: nothing of it is done within a step. A policy that was offered begins with its initial memory at
    the first step after the offer.

    Attributes:
        current: The policy that answered the last step, or that will answer the first.
        generation: How many times a policy has been exchanged; a user of chunks drops those of an older one.

    Args:
        policy: Loaded and proved.
        load: Loads and proves a file, `load_policy` by default.
    """

    def __init__(self, policy: AnyPolicy, load: Callable[[Path], AnyPolicy] = load_policy) -> None:
        self.current, self.generation = policy, 0
        self._load = load
        self._lock = threading.Lock()
        self._next: AnyPolicy | None = None

    @property
    def contract(self) -> Contract:
        """The robot and task; the same for every policy that is ever in it."""
        return self.current.contract

    def offer(self, path: str | Path) -> AnyPolicy:
        """Load and prove a file beside the running policy; the next step is its first.

        Raises:
            LearnedArmError: It cannot be used or belongs to another robot or task; the running policy goes on.
        """
        offered = self._load(Path(path))
        check_belongs(offered.contract, self.contract, offered.path.name)
        with self._lock:
            self._next = offered
        return offered

    def reset(self, occasion: str | None = None) -> None:
        """See `TimedPolicy.reset`."""
        self._exchange()
        self.current.reset(occasion)

    def act(self, observation: Observation, deadline_ns: int | None = None) -> NDArray[np.float32]:
        """See `TimedPolicy.act`."""
        self._exchange()
        return self.current.act(observation, deadline_ns)

    def _exchange(self) -> None:
        with self._lock:
            offered, self._next = self._next, None
        if offered is not None:
            self.current = offered
            self.generation += 1


class TimeLimit:
    """A policy whose every step is cut off after a time; its faults are those of `TimedPolicy.act`.

    Args:
        policy: What is limited.
        limit_s: Longest time of a step, up to an hour.
        now_ns: The monotonic clock.
    """

    def __init__(self, policy: TimedPolicy, limit_s: float, now_ns: Callable[[], int]) -> None:
        if not 0 < limit_s <= LONGEST_LIMIT_S:
            raise LearnedArmError("wrong time limit of a step", got=limit_s, allowed=f"(0, {LONGEST_LIMIT_S:g}] s")
        self._policy, self._limit_ns, self._now_ns = policy, round(limit_s * 1e9), now_ns

    @property
    def contract(self) -> Contract:
        """See `Policy`."""
        return self._policy.contract

    def reset(self, occasion: str | None = None) -> None:
        """See `TimedPolicy.reset`."""
        self._policy.reset(occasion)

    def act(self, observation: Observation) -> NDArray[np.float32]:
        """See `TimedPolicy.act`."""
        return self._policy.act(observation, self._now_ns() + self._limit_ns)
