"""Fixtures of the tests of the door: a contract with other commands, and a driver in front of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from learned_arm.contract import load_contract
from test.arm_control.driver import CONTRACT, Driver
from test.patience import patient


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a contract whose robot has other commands, and joint states that may be late on a busy machine."""

    def write(arm: dict[str, Any] | None = None, gripper: dict[str, Any] | None = None) -> Path:
        content = patient(CONTRACT)
        for name, command in {"arm": arm, "gripper": gripper}.items():
            if command is not None:
                content["robot"]["groups"][name]["command"] = command
        path = tmp_path / "contract.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


@pytest.fixture
def driver(spawn: Any, ros_domain_id: int) -> Iterator[Callable[..., Driver]]:
    """Starts arm_node with a contract, and a driver beside it."""
    made: list[Driver] = []

    def start(path: Path, kind: Any, *, speeds: bool = False, script: str = "", **parameters: object) -> Driver:
        if script:
            spawn(sys.executable, "-c", script, "--ros-args", "-p", f"contract:={path}", name="arm_node")
        else:
            spawn.node("arm_control.arm_node", contract=path, **parameters)
        made.append(Driver(ros_domain_id, load_contract(path), kind, speeds))
        return made[-1]

    yield start
    for each in made:
        each.close()
