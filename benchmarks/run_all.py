"""Runs every benchmark and ends in a table; status 1 when one misses its bar."""

from __future__ import annotations

import subprocess
import sys

from rich.console import Console
from rich.table import Table

from benchmarks.result import RESULTS
from demo_tools.flow.ending import end_by_sigterm
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
# The longest makes the policy that it measures, where no demo has.
_LIMIT_S, _ENDING_S = 3600.0, 60.0


def run_benchmark(name: str) -> dict[str, object]:
    """Run one in a process of its own: each has a DDS domain for itself.

    Returns:
        What it wrote, or an entry that says how it failed.
    """
    path = RESULTS / f"{name}.json"
    path.unlink(missing_ok=True)
    with subprocess.Popen([sys.executable, "-m", f"benchmarks.{name}"]) as process:
        try:
            process.wait(_LIMIT_S)
        except subprocess.TimeoutExpired:
            return {"name": name, "ok": False, "failure": f"not done after {_LIMIT_S:.0f} s"}
        finally:
            _end(process)
    try:
        return read_json(path)
    except LearnedArmError:
        return {"name": name, "ok": False, "failure": "ended without a result"}


def _end(process: subprocess.Popen[bytes]) -> None:
    """End one that still runs; it is given time to end its nodes."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_ENDING_S)
        except subprocess.TimeoutExpired:
            process.kill()


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
    end_by_sigterm()
    sys.exit(main())
