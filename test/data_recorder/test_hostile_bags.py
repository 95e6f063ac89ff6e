"""No bag, however it lies, crashes what reads it, takes more memory than is stated, or touches a file elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("hostile_bags.py")
# As docs/reference.md states it.
LARGEST_PEAK_MB = 1000.0


def run(*arguments: object, timeout_s: float = 110.0) -> str:
    process = subprocess.run(
        [sys.executable, str(PROGRAM), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
    )
    assert process.returncode == 0, process.stdout[-4000:]
    print(process.stdout)
    return process.stdout


def outcome(*arguments: object, timeout_s: float = 110.0) -> dict[str, float]:
    return json.loads(run(*arguments, timeout_s=timeout_s).splitlines()[-1])


def test_a_hundred_spoilt_bags_are_refused_or_read(tmp_path: Path) -> None:
    found = outcome("fuzz", tmp_path, 1, 150)
    assert found["cases"] == 150 and 150 < found["refused"] < 4 * 150
    # Nothing in them is large.
    assert found["peak_mb"] < 200


@pytest.mark.prove
@pytest.mark.limit_s(400)
def test_bombs_stay_within_the_stated_memory(tmp_path: Path) -> None:
    run("make_bombs", tmp_path)
    found = outcome("bombs", tmp_path, timeout_s=280.0)
    assert found["refused"] > 2 * found["cases"]
    assert found["peak_mb"] < LARGEST_PEAK_MB


@pytest.mark.prove
@pytest.mark.limit_s(900)
@pytest.mark.parametrize("seed", range(2, 6))
def test_thousands_of_spoilt_bags_are_refused_or_read(tmp_path: Path, seed: int) -> None:
    found = outcome("fuzz", tmp_path, seed, 2500, timeout_s=850.0)
    assert found["cases"] == 2500 and found["peak_mb"] < 200
