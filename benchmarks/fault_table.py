"""Every fault on real processes: what must happen, what happened, and how soon, each struck several times.

The table shows medians; the verdict is that of all repetitions. Times are monotonic, from the moment the fault begins
to the moment that this process hears of it: upper bounds.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.faults.faults import FAULTS, Fault
from benchmarks.faults.measure import Outcome, measure
from benchmarks.faults.refusals import refuse
from benchmarks.faults.rig import Rig
from benchmarks.faults.world import CAMERA_MAX_AGE_S, JOINTS_MAX_AGE_S, rig_contract
from benchmarks.processes import join_domain, own_domain
from benchmarks.result import Result
from demo_tools.flow.ending import end_by_sigterm
from learned_arm.errors import LearnedArmError

REPETITIONS = 3
# A process that was killed takes seconds to come back.
_KILLS = 1
_LONGEST_WORDS = 72


def strike_all(
    repetitions: int, faults: Sequence[Fault] = FAULTS, tell: Callable[[Outcome], object] = lambda _outcome: None
) -> list[list[Outcome]]:
    """Strike with each fault so many times, once where a process dies of it; outcomes by fault."""
    domain = own_domain()
    join_domain(domain)
    found: dict[str, list[Outcome]] = {}
    with tempfile.TemporaryDirectory() as scratch, Rig(rig_contract(), Path(scratch), domain) as rig:
        for fault in faults:
            for _ in range(_KILLS if fault.kills else repetitions):
                outcome = measure(rig, fault)
                found.setdefault(fault.name, []).append(outcome)
                tell(outcome)
        for outcome in refuse(rig):
            found[outcome.name] = [outcome]
            tell(outcome)
        tracebacks = rig.tracebacks()
    if tracebacks:
        raise LearnedArmError("an exception that nobody handled", got=tracebacks)
    return list(found.values())


def table(outcomes: Sequence[Sequence[Outcome]]) -> Table:
    """One row a fault."""
    ages = f"cameras {CAMERA_MAX_AGE_S * 1e3:.0f} ms, joint states {JOINTS_MAX_AGE_S * 1e3:.0f} ms"
    made = Table(title=f"faults ({ages} old at most)", show_lines=False)
    for column in ("fault", "required", "seen", "reaction ms", "bar", "standstill ms", "bar", "n", ""):
        made.add_column(column, justify="right" if column in ("reaction ms", "standstill ms", "bar", "n") else "left")
    for each in outcomes:
        first = each[0]
        bad = next((outcome for outcome in each if not outcome.ok), None)
        made.add_row(
            first.name,
            first.required,
            (first.seen if bad is None else f"{bad.seen}: {'; '.join(bad.problems)}")[:_LONGEST_WORDS],
            _milliseconds(_median([outcome.reaction_s for outcome in each])),
            _milliseconds(first.bar_s),
            _milliseconds(_median([outcome.still_s for outcome in each])),
            _milliseconds(first.still_bar_s),
            str(len(each)),
            "[green]ok[/green]" if bad is None else "[red]NOT OK[/red]",
        )
    return made


def result(outcomes: Sequence[Sequence[Outcome]]) -> Result:
    """How many faults ended as they must, of all."""
    bad = sum(not all(outcome.ok for outcome in each) for each in outcomes)
    return Result(
        name="fault_table",
        value=float(bad),
        unit=f"of {len(outcomes)} faults not answered as required",
        bar=0.0,
        better="lower",
        details={"faults": [_details(each) for each in outcomes]},
    )


def _details(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    first = outcomes[0]
    return {
        "fault": first.name,
        "required": first.required,
        "seen": [outcome.seen for outcome in outcomes],
        "reaction_s": [outcome.reaction_s for outcome in outcomes],
        "reaction_bar_s": first.bar_s,
        "standstill_s": [outcome.still_s for outcome in outcomes],
        "standstill_bar_s": first.still_bar_s,
        "disturbed": sum(outcome.disturbed for outcome in outcomes),
        "problems": [problem for outcome in outcomes for problem in outcome.problems],
    }


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1e3:.0f}"


def main() -> int:
    """Strike (as many times as the first argument says), print, save."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else REPETITIONS
    outcomes = strike_all(repetitions)
    Console(width=None if sys.stdout.isatty() else 200).print(table(outcomes))
    found = result(outcomes)
    print(f"{found.line()}; {found.save()}")
    return 0 if found.ok else 1


if __name__ == "__main__":
    end_by_sigterm()
    sys.exit(main())
