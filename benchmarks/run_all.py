"""Runs every benchmark and ends in a table; status 1 when one misses its bar."""

from __future__ import annotations

import subprocess
import sys

from rich.console import Console
from rich.table import Table

from benchmarks.result import RESULTS
from learned_arm.durable import read_json
from learned_arm.errors import LearnedArmError

BENCHMARKS = (
    "camera_to_command",
    "tick_jitter",
    "recorder_load",
    "fault_table",
    "replay_fault_table",
    "replay_lateness",
    "teleop_latency",
)
_LIMIT_S = 900.0


def run_benchmark(name: str) -> dict[str, object]:
    """Run one in a process of its own: each has a DDS domain for itself.

    Returns:
        What it wrote, or an entry that says how it failed.
    """
    path = RESULTS / f"{name}.json"
    path.unlink(missing_ok=True)
    try:
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], timeout=_LIMIT_S, check=False)
        return read_json(path)
    except subprocess.TimeoutExpired:
        return {"name": name, "ok": False, "failure": f"not done after {_LIMIT_S:.0f} s"}
    except LearnedArmError:
        return {"name": name, "ok": False, "failure": "ended without a result"}


def main() -> int:
    """Run all, print the table."""
    results = [run_benchmark(name) for name in BENCHMARKS]
    table = Table(title="benchmarks")
    for column in ("name", "value", "bar", "", "unit"):
        table.add_column(column)
    for result in results:
        verdict = "[green]ok[/green]" if result["ok"] else "[red]NOT OK[/red]"
        if "failure" in result:
            table.add_row(str(result["name"]), "-", "-", verdict, str(result["failure"]))
            continue
        sign = "<=" if result["better"] == "lower" else ">="
        table.add_row(
            str(result["name"]),
            f"{result['value']:.2f}",
            f"{sign} {result['bar']}",
            verdict,
            str(result["unit"]),
        )
    Console().print(table)
    return 0 if all(result["ok"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
