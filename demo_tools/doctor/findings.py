"""What was checked, what was seen, and what to do about it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

Level = Literal["ok", "warn", "fail"]
LEVELS: tuple[Level, ...] = ("fail", "warn", "ok")
_OF_STREAMS = ("topic", "type", "publishers", "silent", "message", "gap", "stamps", "frozen", "offset", "rate")
CHECKS = (
    "transport.memory",
    "transport.rmw",
    "time.clock",
    *(f"joint_states.{each}" for each in (*_OF_STREAMS, "qos", "twice", "order", "finite", "names", "position")),
    *(f"camera.{each}" for each in (*_OF_STREAMS, "exposure", "size", "frame", "info")),
    *(f"wrench.{each}" for each in _OF_STREAMS),
    "command.listener",
    "command.past_the_door",
    *(f"controllers.{each}" for each in ("manager", "active", "in_the_way", "hardware")),
    *(f"description.{each}" for each in ("topic", "joint", "limits", "links", "mock")),
    *(f"door.{each}" for each in ("node", "contract", "measured", "fault", "driver")),
    *(f"motion.{each}" for each in ("refused", "room", "skipped", "follows", "name", "alone", "sign", "none", "scale")),
)


@dataclass(frozen=True)
class Finding:
    """One check of one thing.

    Attributes:
        check: Which, one of `CHECKS`: for programs and for looking it up in the documentation.
        level: `fail`: do not move the arm like this. `warn`: it moves, and somebody should know.
        where: The topic, node, joint or camera.
        seen: What was found.
        todo: What to do about it; empty where all is well.
    """

    check: str
    level: Level
    where: str
    seen: str
    todo: str = ""

    def __post_init__(self) -> None:
        assert self.check in CHECKS, self.check


def fine(check: str, where: str, seen: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", where, seen)


def exit_status(findings: Sequence[Finding]) -> int:
    """1 when anything fails, else 0."""
    return int(any(each.level == "fail" for each in findings))


def report(findings: Sequence[Finding]) -> str:
    """The worst first, each with what to do, then what is well, and a line of totals."""
    lines = []
    for level in LEVELS:
        for each in (found for found in findings if found.level == level):
            lines.append(f"{level:4}  {each.check:24}  {each.where}: {each.seen}")
            if each.todo:
                lines.append(f"      -> {each.todo}")
    counts = Counter(each.level for each in findings)
    return "\n".join([*lines, ", ".join(f"{counts[level]} {level}" for level in LEVELS)])


def as_json(findings: Sequence[Finding]) -> str:
    """The same for programs."""
    return json.dumps([asdict(each) for each in findings], indent=2, ensure_ascii=False)
