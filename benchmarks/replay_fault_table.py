"""Seeded faults of labels, controllers and the world: caught by judges that see no simulator, named by the diagnosis?

The figure is the share of spoiled replays whose likeliest cause is a right one. No spoiled replay may pass, and no
solved one may fail.
"""

from __future__ import annotations

import sys

from benchmarks.replay_faults.measure import HEAD, Row, table
from benchmarks.result import Result
from demo_tools.flow.ending import end_by_sigterm
from learned_arm.contract import load_contract

TASKS = ("pick_cube", "insert_peg", "pick_moving")
DEMONSTRATIONS = 8
LEAST_NAMED = 0.8


def result(rows: dict[str, list[Row]]) -> Result:
    """The figure over all tasks, and the tables behind it."""
    every = [row for of_task in rows.values() for row in of_task]
    spoiled = sum(row.spoiled for row in every)
    return Result(
        name="replay_fault_table",
        value=round(sum(row.named for row in every) / max(spoiled, 1), 4),
        unit="of the spoiled replays have their cause named first",
        bar=LEAST_NAMED,
        better="higher",
        holds={
            "every spoiled replay fails": not any(row.missed for row in every),
            "every solved replay passes": not any(row.wronged for row in every),
            "20 kinds of fault or more": all(len(of_task) > 20 for of_task in rows.values()),
        },
        details={
            "replays": sum(len(row.trials) for row in every),
            "spoiled": spoiled,
            "tables": {task: [row.line() for row in of_task] for task, of_task in rows.items()},
        },
    )


def main() -> int:
    """Measure, print, save."""
    rows: dict[str, list[Row]] = {}
    for task in TASKS:
        print(f"{task}: {HEAD}")
        rows[task] = []
        for row in table(load_contract(task), range(DEMONSTRATIONS)):
            rows[task].append(row)
            print(row.line(), flush=True)
    found = result(rows)
    print(found.line())
    print(f"  {found.details['replays']} replays, {found.details['spoiled']} spoiled; {found.save()}")
    return 0 if found.ok else 1


if __name__ == "__main__":
    end_by_sigterm()
    sys.exit(main())
