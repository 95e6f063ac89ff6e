"""What the loop needs of a policy, whatever runs it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_arm.observation import Observation

ENGAGE = "engage"
REQUEST = "request"
"""Occasions of a reset: the policy took the lease; somebody called `~/reset`."""


class PolicyTimeoutError(LearnedArmError):
    """A step was cut off at its deadline, `elapsed_s` after it began."""

    def __init__(self, where: str, elapsed_s: float) -> None:
        super().__init__("the policy hung", where=where, got=f"no answer after {elapsed_s:.3f} s")
        self.elapsed_s = elapsed_s


class Policy(Protocol):
    """Maps an observation to a chunk of labels."""

    @property
    def contract(self) -> Contract:
        """The robot and task it was made for."""
        ...

    def reset(self, occasion: str | None = None) -> None:
        """Forget everything about the episode so far.

        Args:
            occasion: Why: `ENGAGE` or `REQUEST`, which a policy outlasts whose rule does not name it. None: it must
                forget, whatever its rule says.
        """
        ...

    def act(self, observation: Observation) -> NDArray[np.float32]:
        """Labels in the contract's representation and physical units, float32, shape (horizon, width).

        Raises:
            LearnedArmError: The output cannot be used; nothing of it may reach the arm.
        """
        ...


class TimedPolicy(Policy, Protocol):
    """A policy that can be cut off."""

    def act(self, observation: Observation, deadline_ns: int | None = None) -> NDArray[np.float32]:
        """Like `Policy.act`, cut off at a monotonic time.

        Raises:
            PolicyTimeoutError: The deadline passed.
            LearnedArmError: See `Policy.act`.
        """
        ...
