"""What the loop needs of a policy, whatever runs it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from learned_arm.contract import Contract
from learned_arm.observation import Observation


class Policy(Protocol):
    """Maps an observation to a chunk of labels."""

    @property
    def contract(self) -> Contract:
        """The robot and task it was made for."""
        ...

    def reset(self) -> None:
        """Forget everything about the episode so far."""
        ...

    def act(self, observation: Observation) -> NDArray[np.float32]:
        """Labels in the contract's representation and physical units, float32, shape (horizon, dof).

        Raises:
            LearnedArmError: The output cannot be used; nothing of it may reach the arm.
        """
        ...
