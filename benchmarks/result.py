"""What a benchmark says, on the terminal and in `runs/bench/<name>.json`."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from learned_arm.durable import write_json
from learned_arm.provenance import PACKAGES, system
from learned_arm.software import packages

RESULTS = Path("runs/bench")


@dataclass(frozen=True)
class Result:
    """One figure against its bar.

    Attributes:
        name: Of the benchmark and of its file.
        value: The figure, mostly a ratio to a floor measured in the same run.
        unit: Its unit.
        bar: What it is held to.
        better: On which side of the bar it passes.
        holds: Further conditions, named, that must hold too.
        details: Everything behind the figure.
    """

    name: str
    value: float
    unit: str
    bar: float
    better: Literal["lower", "higher"]
    holds: dict[str, bool] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the bar and every further condition are met."""
        within = self.value <= self.bar if self.better == "lower" else self.value >= self.bar
        return bool(within and all(self.holds.values()))

    def save(self, folder: Path = RESULTS) -> Path:
        """Write `<folder>/<name>.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.json"
        write_json(path, {**asdict(self), "ok": self.ok, "machine": machine()})
        return path

    def line(self) -> str:
        """The result in a line."""
        sign = "at most" if self.better == "lower" else "at least"
        failed = [name for name, held in self.holds.items() if not held]
        return f"{self.name}: {self.value:.2f} {self.unit} ({sign} {self.bar:g}): {'ok' if self.ok else 'NOT OK'}" + (
            f", does not hold: {', '.join(failed)}" if failed else ""
        )


def machine() -> dict[str, Any]:
    """Where it was measured."""
    found = system()
    found["python"] = platform.python_version()
    found["cpu"] = _cpu_name()
    found["packages"] = {name: version for name, version in packages(PACKAGES).items() if version}
    return found


def spread(samples: np.ndarray) -> dict[str, float]:
    """Median, 99th percentile and largest value of samples, rounded for reading."""
    p50, p99 = np.percentile(samples, [50, 99])
    return {"p50": round(float(p50), 3), "p99": round(float(p99), 3), "max": round(float(samples.max()), 3)}


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
        platform.processor(),
    )
