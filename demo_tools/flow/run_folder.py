"""Where a run keeps its things, and the small files that say what each stage did."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from learned_arm.durable import read_json, write_json


class RunFolder:
    """`runs/demo/<utc>/`: episodes, dataset, training, policy, evaluations and the statements about them."""

    def __init__(self, path: Path) -> None:
        # Absolute, because nodes run in processes of their own and are told these paths.
        self.path = path.resolve()
        self.path.mkdir(parents=True, exist_ok=True)

    @staticmethod
    def new(root: Path) -> RunFolder:
        """A folder named by the time in UTC."""
        return RunFolder(root / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"))

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def relative(self, path: Path) -> str:
        """A path inside the run, as its files name it."""
        return str(path.resolve().relative_to(self.path))

    def write(self, name: str, value: Any) -> None:
        """Write one of the run's JSON files."""
        write_json(self.path / name, value)

    def read(self, name: str) -> Any:
        """Read one of the run's JSON files; None when the stage has not run."""
        path = self.path / name
        return read_json(path) if path.is_file() else None

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage and add it to `stages.json`."""
        start_s = time.monotonic()
        yield
        stages = [each for each in self.read("stages.json") or [] if each["stage"] != name]
        self.write("stages.json", [*stages, {"stage": name, "seconds": round(time.monotonic() - start_s, 1)}])
