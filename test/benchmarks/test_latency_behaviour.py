"""The proof at size: a trained policy keeps its success under 200 ms of added delay, where compensation is on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from learned_arm.durable import read_json

ROOT = Path(__file__).resolve().parents[2]
DELAYS_MS, LEAST_TRIALS = (0.0, 100.0, 200.0, 300.0), 50
SECONDS = 7200.0


@pytest.mark.ros
@pytest.mark.prove
@pytest.mark.limit_s(SECONDS)
def test_success_under_added_delay(spawn: Any) -> None:
    # In the checkout, so that the policy of a demo is found and one made here is kept.
    process = spawn(sys.executable, "-m", "benchmarks.latency_behaviour", cwd=ROOT, name="latency_behaviour")
    status = process.wait(SECONDS - 60.0)
    print(process.output())
    assert status == 0
    written = read_json(ROOT / "runs/bench/latency_behaviour.json")
    rows = written["details"]["rows"]
    tried = {(row["added_latency_ms"], row["compensate"]): row["count"] for row in rows}
    assert set(tried) == {(delay_ms, compensate) for delay_ms in DELAYS_MS for compensate in (True, False)}
    assert min(tried.values()) >= LEAST_TRIALS
    assert written["value"] >= written["bar"] == 0.9
