"""How long a policy takes to answer."""

from __future__ import annotations

from collections import deque

_LATENCIES_KEPT = 10


class Latency:
    """Largest of the last few inference times; the first is a cold start and left out."""

    def __init__(self) -> None:
        self._seen: deque[int] = deque(maxlen=_LATENCIES_KEPT)
        self._cold = True

    def add(self, latency_ns: int) -> None:
        """Note how long a chunk took from its tick."""
        if not self._cold:
            self._seen.append(latency_ns)
        self._cold = False

    def restart(self) -> None:
        """Forget all: another policy answers from now on, and its first is a cold start again."""
        self._seen.clear()
        self._cold = True

    @property
    def worst_ns(self) -> int:
        """What to reckon with, ns; 0 before anything is known."""
        return max(self._seen, default=0)
