"""Does a process grow? What it holds over time, and its own resident memory, from /proc.

Shared memory is left out: a process that reads pictures maps the 32 MiB of each camera's process and touches them page
by page, until all are resident; that is the transport filling up once, and no growth.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np

from learned_arm.errors import LearnedArmError

_OWN = re.compile(r"^RssAnon:\s+(\d+) kB$", re.MULTILINE)


def own_bytes(pid: int) -> int:
    """Resident memory of a process that no other shares."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = _OWN.search(status)
    if found is None:
        raise LearnedArmError("no such figure", where=f"/proc/{pid}/status", got=status[:80], allowed="RssAnon")
    return int(found[1]) * 1024


class MemoryLog:
    """Samples of several processes.

    Args:
        measures: By name what gives a number of bytes.
    """

    def __init__(self, measures: Mapping[str, Callable[[], int]]) -> None:
        self._measures = dict(measures)
        self._seconds: list[float] = []
        self._rounds_s: list[float] = []
        self._bytes: dict[str, list[int]] = {name: [] for name in measures}

    def begin_round(self, now_s: float) -> None:
        """From here on everything happens once more that happened in the round before."""
        self._rounds_s.append(now_s)

    def sample(self, now_s: float) -> None:
        """Look once."""
        self._seconds.append(now_s)
        for name, measure in self._measures.items():
            self._bytes[name].append(measure())

    def growth_bytes(self, name: str, warm_up_s: float) -> float:
        """What a process has grown by from the end of the warm-up to the last sample.

        Buffers of pictures are emptied at faults and fill again, so that single samples differ by tens of megabytes.
        Rounds are alike: their medians are compared, by a straight line through those of all whole rounds that began
        after the warm-up.

        Raises:
            LearnedArmError: There are fewer than two such rounds.
        """
        seconds, samples = np.array(self._seconds), np.array(self._bytes[name])
        begun = [each for each in self._rounds_s if each >= seconds[0] + warm_up_s]
        rounds = [(seconds >= start) & (seconds < end) for start, end in pairwise(begun)]
        if len(rounds) < 2:
            raise LearnedArmError("too short to see growth", where=name, got=f"{len(rounds)} whole rounds", allowed=2)
        times = [seconds[each].mean() for each in rounds]
        slope = np.polyfit(times, [float(np.median(samples[each])) for each in rounds], 1)[0]
        return float(slope * (seconds[-1] - seconds[0] - warm_up_s))

    def trace_bytes(self, name: str, count: int = 20) -> list[int]:
        """A few samples over the whole time."""
        samples = self._bytes[name]
        return [samples[round(index)] for index in np.linspace(0, len(samples) - 1, count)]

    def last_bytes(self, name: str) -> int:
        """The newest sample."""
        return self._bytes[name][-1]
