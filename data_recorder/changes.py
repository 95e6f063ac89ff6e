"""What changed on the robot while an episode was recorded, in lines that `episode.json` keeps."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from learned_arm.errors import LearnedArmError
from learned_arm.provenance_diff import compare, load_rules, short
from learned_arm.provenance_rules import Rules, Severity

_MOST_LINES = 100
_LONGEST_VALUE = 120


def changes(provenance: Mapping[str, Any]) -> tuple[str, ...]:
    """The changes of S1 and above from `start` to `end`, the worst first; none where either was not captured.

    What only one of them knows is no change: a node that did not answer in time is the same node.
    """
    try:
        rows = compare(provenance["start"], provenance["end"], _rules())
    except (KeyError, LearnedArmError):
        return ()
    told = [row for row in rows if row.severity >= Severity.S1 and not row.is_unknown]
    lines = [
        f"{row.severity.name} {row.place}: {short(row.before, _LONGEST_VALUE)} -> {short(row.after, _LONGEST_VALUE)} "
        f"({row.reason})"
        for row in told
    ]
    left = len(lines) - _MOST_LINES
    return (*lines[:_MOST_LINES], *([f"and {left} more"] if left > 0 else []))


@cache
def _rules() -> Rules:
    return load_rules()
