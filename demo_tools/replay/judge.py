"""Did it solve the task? A judge watches a replay and says so, with its evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Judgement:
    """Success and what it rests on."""

    success: bool
    evidence: dict[str, Any]


class TopicJudge:
    """Believes a Bool topic: success must have been said and must still hold at the end."""

    def __init__(self) -> None:
        self._latched = False
        self._at_end = False
        self._heard = 0

    def observe(self, success: bool) -> None:
        """Take one message of the success topic."""
        self._heard += 1
        self._latched = self._latched or success
        self._at_end = success

    def judge(self) -> Judgement:
        """The judgement so far."""
        evidence = {"judge": "topic", "latched": self._latched, "at_end": self._at_end, "messages": self._heard}
        return Judgement(self._latched and self._at_end, evidence)
