"""Does a process grow? Its resident memory over time, from /proc."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_bytes(pid: int) -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES


class MemoryLog:
    """Samples of several processes.

    Args:
        pids: By name.
    """

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)
        self._seconds: list[float] = []
        self._bytes: dict[str, list[int]] = {name: [] for name in pids}

    def sample(self, now_s: float) -> None:
        """Look once."""
        self._seconds.append(now_s)
        for name, pid in self._pids.items():
            self._bytes[name].append(resident_bytes(pid))

    def growth_bytes(self, name: str, warm_up_s: float) -> float:
        """What a straight line through the samples grows by, from the end of the warm-up to the last sample."""
        seconds = np.array(self._seconds) - self._seconds[0]
        warm = seconds >= warm_up_s
        slope = np.polyfit(seconds[warm], np.array(self._bytes[name])[warm], 1)[0]
        return float(slope * (seconds[-1] - warm_up_s))

    def trace_bytes(self, name: str, count: int = 20) -> list[int]:
        """A few samples over the whole time."""
        samples = self._bytes[name]
        return [samples[round(index)] for index in np.linspace(0, len(samples) - 1, count)]

    def last_bytes(self, name: str) -> int:
        """The newest sample."""
        return self._bytes[name][-1]
