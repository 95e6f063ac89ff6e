"""What changed between two snapshots, each change with its severity and the reason. Pure: two trees and the rules."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from learned_arm.provenance_facts import (
    NOT_CAPTURED,
    SECTIONS,
    Facts,
    Unknown,
    check_snapshot,
    facts,
    node_names,
    roles,
)
from learned_arm.provenance_rules import SEPARATOR, Rules, Severity, load_rules

__all__ = ["ABSENT", "Row", "compare", "load_rules", "not_compared", "short", "worst"]

ABSENT = "(absent)"
_UNKNOWN = "(unknown: "
_LONGEST, _HASH_DIGITS = 44, 64
# Below these keys a name that one side lacks was never asked for by it: its snapshot is older, or was cut off.
_ASKED_FOR = ((), ("software",))
_DEEPEST = 24
_MISSING = object()

Path = tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One change.

    Attributes:
        severity: What it asks for.
        path: Where, segment by segment.
        before: Value in the first snapshot, `ABSENT` where it has none.
        after: Value in the second.
        reason: Why it matters.
    """

    severity: Severity
    path: Path
    before: Any
    after: Any
    reason: str

    @property
    def place(self) -> str:
        """The path as text."""
        return SEPARATOR.join(self.path)

    @property
    def is_unknown(self) -> bool:
        """Whether it only says that one side does not know."""
        return any(isinstance(each, str) and each.startswith(_UNKNOWN) for each in (self.before, self.after))


def compare(before: Mapping[str, Any], after: Mapping[str, Any], rules: Rules) -> list[Row]:
    """The changes from one snapshot to another, the worst first, then by path.

    What one side does not know is a row of S1 that says so, never a change.

    Raises:
        LearnedArmError: One of them is no snapshot.
    """
    first, second = _trees(before, after, rules)
    rows = [row for path, one, two in _changes((), first, second) if (row := _judge(path, one, two, rules)) is not None]
    return sorted(rows, key=lambda row: (-row.severity, row.path))


def not_compared(before: Mapping[str, Any], after: Mapping[str, Any], rules: Rules) -> dict[str, str]:
    """What neither side knows, by path, with the reason: no row, and yet no proof that it is the same."""
    first, second = _trees(before, after, rules)
    everything = ("contract", "nodes", "topics", "parameters", *SECTIONS)
    neither = {name: NOT_CAPTURED.reason for name in everything if name not in first and name not in second}
    neither.pop("episode", None)
    return dict(sorted({**neither, **dict(_unknown((), first, second))}.items()))


def short(value: Any, longest: int = _LONGEST) -> str:
    """A value on part of a line: hashes by their first digits, the rest cut."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) == _HASH_DIGITS and set(text) <= set("0123456789abcdef"):
        return text[:12]
    text = " ".join(text.split())
    return text if len(text) <= longest else text[: longest - 3] + "..."


def worst(rows: list[Row]) -> Severity:
    """The highest severity; S0 when nothing changed."""
    return max((row.severity for row in rows), default=Severity.S0)


def _trees(before: Mapping[str, Any], after: Mapping[str, Any], rules: Rules) -> tuple[Facts, Facts]:
    sides = check_snapshot(before, "first snapshot"), check_snapshot(after, "second snapshot")
    role_of = roles(sides, rules)
    ran = [node_names(each) for each in sides]
    # Where one side does not know its nodes, none is known to be missing there.
    known = [names if names is not None else frozenset() for names in ran]
    comparable = None not in ran
    first = facts(sides[0], role_of, known[0] - known[1] if comparable else frozenset())
    second = facts(sides[1], role_of, known[1] - known[0] if comparable else frozenset())
    if "episode" not in first or "episode" not in second:
        first.pop("episode", None)
        second.pop("episode", None)
    if "contract" in first and "contract" in second:
        del first["contract_hash"], second["contract_hash"]
    else:
        first.pop("contract", None)
        second.pop("contract", None)
    software = [each for each in (first.get("software"), second.get("software")) if isinstance(each, dict)]
    if len(software) == 2 and all("python_packages" in each for each in software):
        # The short list is part of the long one.
        for each in software:
            each.pop("packages", None)
    return first, second


def _changes(path: Path, before: Any, after: Any) -> Iterator[tuple[Path, Any, Any]]:
    if isinstance(before, dict) and isinstance(after, dict) and len(path) < _DEEPEST:
        lacking = NOT_CAPTURED if _all_asked_for(path) else _MISSING
        for name in sorted({*before, *after}, key=str):
            yield from _changes((*path, str(name)), before.get(name, lacking), after.get(name, lacking))
    elif _has_mappings(before) and _has_mappings(after) and len(path) < _DEEPEST:
        numbered = [{str(index): each for index, each in enumerate(side)} for side in (before, after)]
        yield from _changes(path, numbered[0], numbered[1])
    elif type(before) is not type(after) or before != after:
        yield path, before, after


def _judge(path: Path, before: Any, after: Any, rules: Rules) -> Row | None:
    unknown = [each for each in (before, after) if isinstance(each, Unknown)]
    if len(unknown) == 2:
        return None
    shown = ABSENT if before is _MISSING else _shown(before), ABSENT if after is _MISSING else _shown(after)
    rule = rules.rule(path)
    if rule.severity is None:
        return None
    if unknown:
        return Row(min(Severity.S1, rule.severity), path, *shown, f"one side does not know: {unknown[0].reason}")
    if rule.tolerates(before, after):
        return None
    return Row(rule.severity, path, *shown, rule.reason)


def _unknown(path: Path, before: Any, after: Any) -> Iterator[tuple[str, str]]:
    if isinstance(before, Unknown) and isinstance(after, Unknown):
        reasons = dict.fromkeys((before.reason, after.reason))
        yield SEPARATOR.join(path), "; ".join(reasons)
    elif isinstance(before, dict) and isinstance(after, dict) and len(path) < _DEEPEST:
        for name in before.keys() & after.keys():
            yield from _unknown((*path, str(name)), before[name], after[name])


def _all_asked_for(path: Path) -> bool:
    # Of the nodes that ran on both sides every one was asked, or it is said why not.
    return path in _ASKED_FOR or (path[:1] == ("parameters",) and len(path) <= 2)


def _has_mappings(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(each, dict) for each in value)


def _shown(value: Any) -> Any:
    return f"{_UNKNOWN}{value.reason})" if isinstance(value, Unknown) else value
