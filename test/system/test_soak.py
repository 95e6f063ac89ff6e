"""Ten minutes at full rate with a fault every few seconds: no stop is missed, nothing grows, nothing leaves the limits.

`LEARNED_ARM_SOAK_S` makes it shorter or longer.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("rclpy")
from benchmarks.faults.faults import FAULTS
from benchmarks.faults.held import EXACT, held_file
from benchmarks.faults.measure import measure
from benchmarks.faults.memory import MemoryLog, own_bytes
from benchmarks.faults.rig import ARM, DRIVER, JOYSTICK, POLICY, Rig
from benchmarks.faults.shared import SharedNumber
from benchmarks.faults.world import rig_contract
from benchmarks.processes import join_domain

SECONDS = float(os.environ.get("LEARNED_ARM_SOAK_S", "600"))
# Two minutes for caches to fill: buffers of pictures, DDS queues, allocator pools, the first of each exception.
WARM_UP_S = min(120.0, SECONDS / 3)
# In the eight minutes after that, a picture kept at every fault (one in 3 s) would be 150 MB, a message of 27 kB 4 MB.
LARGEST_GROWTH_BYTES = 2_000_000
PAUSE_S = (0.5, 3.0)
# Memory is measured after every fifth fault while the arm moves as it should: once all buffers of pictures are full,
# and what is free has been given back.
MEASURED, FULL_S, GIVEN_BACK_S = 5, 1.0, 0.4
PROCESSES = (ARM, POLICY)
# The middleware makes room for as many pictures as ever waited at once, and keeps it: 16 MB in the policy's process.
# Each pile is shorter than the second after which it takes a reader of shared memory for dead.
PILES, PILED_S, TAKEN_S = 10, 0.8, 0.3
pytestmark = [pytest.mark.ros, pytest.mark.prove, pytest.mark.limit_s(SECONDS + 300)]


@pytest.fixture
def rig(tmp_path: Path, ros_domain_id: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    join_domain(ros_domain_id, monkeypatch.setenv)
    for name, value in EXACT.items():
        monkeypatch.setenv(name, value)
    contract = rig_contract(control_rate_hz=250, rate_hz=30, cameras=("front", "wrist"))
    with Rig(contract, tmp_path, ros_domain_id, size=(480, 640)) as made:
        yield made


def let_pictures_pile_up(rig: Rig) -> None:
    """Fill that room now, and not bit by bit whenever the machine is slow: it would look like growth."""
    for _ in range(PILES):
        os.kill(rig.pids[POLICY], signal.SIGSTOP)
        rig.observer.spin(PILED_S)
        os.kill(rig.pids[POLICY], signal.SIGCONT)
        rig.observer.spin(TAKEN_S)


def test_faults_for_ten_minutes(rig: Rig) -> None:
    rng = random.Random(1)
    # The door and the policy live through it all, so that what they keep shows.
    faults = [fault for fault in FAULTS if fault.kills not in PROCESSES]
    rig.make_move()
    let_pictures_pile_up(rig)
    rig.make_move()
    held = {name: SharedNumber(held_file(rig.held_path, rig.pids[name])) for name in PROCESSES}
    memory = MemoryLog({name: lambda told=told: told.value for name, told in held.items()})
    resident = MemoryLog({name: partial(own_bytes, rig.pids[name]) for name in PROCESSES})
    logs, start_s = (memory, resident), time.monotonic()
    struck, bad, slowest_s = Counter[str](), [], dict[str, float]()
    order: list[int] = []
    while time.monotonic() - start_s < SECONDS:
        # Every fault comes before any comes again.
        if not order:
            order = rng.sample(range(len(faults)), len(faults))
            for log in logs:
                log.begin_round(time.monotonic())
        fault = faults[order.pop()]
        outcome = measure(rig, fault)
        struck[fault.name] += 1
        if not outcome.ok:
            bad.append((fault.name, outcome.seen, outcome.problems))
        if outcome.reaction_s is not None:
            slowest_s[fault.name] = max(slowest_s.get(fault.name, 0.0), outcome.reaction_s)
        assert rig.tracebacks() == []
        if sum(struck.values()) % MEASURED == 0:
            rig.make_move()
            rig.observer.spin(FULL_S)
            rig.word.add(1)
            rig.observer.spin(GIVEN_BACK_S)
            for log in logs:
                log.sample(time.monotonic())
        rig.observer.spin(rng.uniform(*PAUSE_S))
    growth, resident_growth = ({name: log.growth_bytes(name, WARM_UP_S) for name in PROCESSES} for log in logs)
    print(f"\n{sum(struck.values())} faults of {len(struck)} kinds in {SECONDS:.0f} s, {len(bad)} not as required")
    for name in PROCESSES:
        for what, log, grown in (("in use", memory, growth[name]), ("resident", resident, resident_growth[name])):
            print(f"{name}: {log.last_bytes(name) / 1e6:.1f} MB {what}, grew {grown / 1e6:+.2f} MB after the warm-up")
            print("  MB over time:", *(f"{each / 1e6:.1f}" for each in log.trace_bytes(name)))
    for name, seconds in sorted(slowest_s.items()):
        print(f"{name}: slowest reaction {seconds * 1e3:.0f} ms of {struck[name]}")
    for each in bad:
        print(each)
    assert bad == []
    assert {name: each for name, each in growth.items() if each > LARGEST_GROWTH_BYTES} == {}
    assert {name: each for name, each in resident_growth.items() if each > LARGEST_GROWTH_BYTES} == {}
    for name in (*rig.cameras, DRIVER, JOYSTICK, *PROCESSES):
        assert not rig.processes.ended(name), name
