"""The changes for people and for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence

from learned_arm.provenance_diff import ABSENT, Row, short
from learned_arm.provenance_rules import Severity


def table(rows: Sequence[Row], open_questions: Mapping[str, str], lowest: Severity = Severity.S0) -> str:
    """A line of totals, a block a change, and what neither side knows.

    Args:
        rows: The changes, in their order.
        open_questions: What was not compared.
        lowest: Changes below it are left out.
    """
    rows = [row for row in rows if row.severity >= lowest]
    lines = [_totals(rows) or ("no change" if lowest is Severity.S0 else f"no change of {lowest.name} or worse")]
    for row in rows:
        before, after = short(row.before), short(row.after)
        lines += [f"{row.severity.name}  {row.place}", f"    {before} -> {after}", f"    {row.reason}"]
    if open_questions:
        lines.append("not compared, since neither side knows:")
        lines += [f"    {place}: {reason}" for place, reason in open_questions.items()]
    return "\n".join(lines)


def rows_as_json(rows: Sequence[Row], open_questions: Mapping[str, str], lowest: Severity = Severity.S0) -> str:
    """The same with whole values; a value that a side does not have is left out."""
    listed = [
        {
            "severity": row.severity.name,
            "path": list(row.path),
            **{name: value for name, value in (("before", row.before), ("after", row.after)) if value != ABSENT},
            "reason": row.reason,
        }
        for row in rows
        if row.severity >= lowest
    ]
    return json.dumps({"changes": listed, "not_compared": dict(open_questions)}, indent=2, ensure_ascii=False)


def _totals(rows: Sequence[Row]) -> str:
    counts = Counter(row.severity.name for row in rows)
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), reverse=True))
