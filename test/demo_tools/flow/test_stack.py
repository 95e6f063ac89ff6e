"""Processes of a stack are ended by id, and one that dies is noticed with its own words."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo_tools.flow.stack import Stack
from learned_arm.errors import LearnedArmError

pytestmark = pytest.mark.ros


def test_a_node_that_dies_is_named_with_its_last_words(tmp_path: Path) -> None:
    with Stack(9, tmp_path) as stack:
        stack.start("arm_node", {"contract": "no_such_task"})
        stack._processes["arm_node"].wait(20)
        with pytest.raises(LearnedArmError, match=r"arm_node ended with status 2.*no such entry in contracts"):
            stack.check()


def test_leaving_the_stack_ends_its_processes(tmp_path: Path) -> None:
    with Stack(9, tmp_path) as stack:
        stack.start("arm_node", {"contract": "pick_cube"})
        processes = dict(stack._processes)
    assert all(process.poll() is not None for process in processes.values())
