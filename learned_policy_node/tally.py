"""What the ticks have given since the node was activated, for its status."""

from __future__ import annotations

from dataclasses import dataclass

from learned_policy_node.loop import TickResult
from learned_policy_node.scheduler import Phase


@dataclass
class Tally:
    """Counts of answered ticks.

    Attributes:
        ticks: Answered.
        inferences: At which the policy was asked.
        refused: That held.
        last_refusal: Why the last of them held.
        step_ms: How long the last tick took at which the policy was asked.
        phase: Where the schedule stands.
    """

    ticks: int = 0
    inferences: int = 0
    refused: int = 0
    last_refusal: str = ""
    step_ms: float = 0.0
    phase: Phase = Phase.WAITING

    def add(self, result: TickResult, took_ns: int) -> None:
        """Count a tick that was answered."""
        self.ticks += 1
        self.phase = result.phase
        if result.asked:
            self.inferences += 1
            self.step_ms = took_ns / 1e6
        if result.refusal is not None:
            self.refused += 1
            self.last_refusal = str(result.refusal)
