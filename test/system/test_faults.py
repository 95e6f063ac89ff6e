"""Every fault of the table, on real processes in real time: what must happen does, and in time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("rclpy")
from benchmarks.faults.faults import FAULTS, Fault
from benchmarks.faults.measure import measure
from benchmarks.faults.refusals import REFUSALS, refuse
from benchmarks.faults.rig import Rig
from benchmarks.faults.world import rig_contract
from benchmarks.processes import join_domain

pytestmark = [pytest.mark.ros, pytest.mark.slow]


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory, module_domain_id: int) -> Iterator[Rig]:
    """One stack for all: what a fault latches is cleared, what it kills is started again."""
    with pytest.MonkeyPatch.context() as patch:
        join_domain(module_domain_id, patch.setenv)
        with Rig(rig_contract(), tmp_path_factory.mktemp("faults"), module_domain_id) as made:
            yield made


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault(rig: Rig, fault: Fault) -> None:
    outcome = measure(rig, fault)
    assert outcome.ok, f"{outcome.seen}: {outcome.problems}"
    assert rig.tracebacks() == []


def test_what_must_not_start_does_not(rig: Rig) -> None:
    outcomes = refuse(rig)
    assert len(outcomes) == len(REFUSALS)
    assert [(each.name, each.problems) for each in outcomes if not each.ok] == []
    assert rig.tracebacks() == []


def test_every_fault_has_a_name_of_its_own() -> None:
    names = [each.name for each in (*FAULTS, *REFUSALS)]
    assert len(names) == len(set(names))
