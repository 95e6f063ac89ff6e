"""How a policy's success depends on the delay of its inference, with and without compensation."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo_tools.flow import stages
from demo_tools.flow.run_folder import RunFolder
from learned_policy_node.loading import load_policy

LIMIT_S = 9.0


@dataclass(frozen=True)
class Condition:
    """One row of the experiment.

    Attributes:
        added_latency_ms: Simulated time added to every inference; one inference runs at a time.
        compensate: Whether the steps of a late chunk whose time has passed are dropped.
    """

    added_latency_ms: float
    compensate: bool = True

    @property
    def name(self) -> str:
        """A word for tables and folders."""
        return f"{self.added_latency_ms:g}ms_{'compensated' if self.compensate else 'late'}"


CONDITIONS = tuple(
    Condition(delay_ms, compensate) for compensate in (True, False) for delay_ms in (0.0, 100.0, 200.0, 300.0)
)


def behaviour_under_latency(
    run: RunFolder,
    policy: Path,
    conditions: Sequence[Condition],
    trials: int,
    workers: int,
    advance: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Roll a policy out from the same held-out initial states under every condition.

    Args:
        run: `latency.json` and a folder a condition go here.
        policy: The ONNX file; its own contract says task and robot.
        conditions: What to compare.
        trials: Initial states a condition.
        workers: Stacks of nodes side by side.
        advance: Called with the outcome of each trial.

    Returns:
        A row a condition: `name`, `added_latency_ms`, `compensate`, `successes`, `count`, `wilson`, and the median
        `seconds` of simulated time that a success took, None without one.
    """
    loaded = load_policy(policy)
    rows = []
    for condition in conditions:
        statement = stages.evaluate(
            RunFolder(run / condition.name),
            loaded.contract,
            policy.resolve(),
            loaded.hash,
            trials,
            workers,
            advance,
            limit_s=LIMIT_S,
            settings={"added_latency_ms": condition.added_latency_ms, "compensate": condition.compensate},
        )
        seconds = [trial["sim_seconds"] for trial in statement["trials"] if trial["success"]]
        rows.append(
            {
                "name": condition.name,
                "added_latency_ms": condition.added_latency_ms,
                "compensate": condition.compensate,
                **{key: statement[key] for key in ("successes", "count", "wilson")},
                "seconds": statistics.median(seconds) if seconds else None,
            }
        )
        run.write("latency.json", {"policy": loaded.hash, "rows": rows})
    return rows
