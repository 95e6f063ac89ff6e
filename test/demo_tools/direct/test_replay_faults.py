"""Seeded faults, a few of them with one demonstration; the whole table is `make bench`."""

from __future__ import annotations

from benchmarks.replay_faults.faults import FAULTS
from benchmarks.replay_faults.measure import table
from learned_arm.contract import load_contract

NAMES = ("nothing", "joint offset 6 deg", "gripper labels too wide", "100 ms latency", "object moved 6 cm")


def test_what_spoils_the_task_fails_and_is_named_and_what_does_not_passes() -> None:
    faults = [fault for fault in FAULTS if fault.name in NAMES]
    rows = list(table(load_contract("pick_cube"), range(1), faults, calibrated_on=8))
    assert [row.fault.name for row in rows] == list(NAMES)
    for row in rows:
        assert row.spoiled == (0 if row.fault.name == "nothing" else 1), row.line()
        assert (row.missed, row.wronged, row.named) == (0, 0, row.spoiled), row.line()


def test_there_are_more_than_twenty_kinds_each_with_its_own_name() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) > 20
