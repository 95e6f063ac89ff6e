"""What must not even start: bad parameters, policies of another robot, files that were altered."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import numpy_helper

from benchmarks.faults.measure import Outcome
from benchmarks.faults.policy import write_circle
from benchmarks.faults.rig import Rig
from benchmarks.faults.world import rig_contract

_ARM, _POLICY = "arm_control.arm_node", "learned_policy_node.node"
_STATUS = 2
# A process that loads ONNX Runtime while others do so too.
_BAR_S = 20.0


@dataclass(frozen=True)
class Refusal:
    """A process that must end by itself with status 2 and one line.

    Attributes:
        name: In the table.
        module: What is started.
        words: Expression that its line matches.
        settings: Its parameters, given the rig and a path for a file.
    """

    name: str
    module: str
    words: str
    settings: Callable[[Rig, Path], dict[str, object]]


def _policy(rig: Rig, model: Path, **settings: object) -> dict[str, object]:
    return {"contract": rig.contract_path, "model": model, "auto_activate": "true", **settings}


def _of_another_robot(rig: Rig, path: Path) -> dict[str, object]:
    write_circle(path, rig_contract(control_rate_hz=125))
    return _policy(rig, path)


def _with_a_flipped_weight(rig: Rig, path: Path) -> dict[str, object]:
    """One bit, the lowest of an exponent: the motion is twice as fast in one direction."""
    model = onnx.load(rig.model_path)
    tensor = next(each for each in model.graph.initializer if each.name == "turn")
    raw = numpy_helper.to_array(tensor).tobytes()
    data = rig.model_path.read_bytes()
    start = data.index(raw)
    at = start + next(index for index in range(3, len(raw), 4) if raw[index])
    path.write_bytes(data[: at - 1] + bytes([data[at - 1] ^ 0x80]) + data[at:])
    return _policy(rig, path)


def _with_a_flipped_byte(text: bytes) -> Callable[[Rig, Path], dict[str, object]]:
    """In the metadata, in the last byte of a text."""

    def settings(rig: Rig, path: Path) -> dict[str, object]:
        data = rig.model_path.read_bytes()
        at = data.index(text) + len(text) - 1
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x01]) + data[at + 1 :])
        return _policy(rig, path)

    return settings


REFUSALS: tuple[Refusal, ...] = (
    Refusal(
        "door: bad parameter at the start",
        _ARM,
        "parameter source_timeout_s: not a number in range",
        lambda rig, _path: {"contract": rig.contract_path, "source_timeout_s": -1.0},
    ),
    Refusal(
        "policy: bad parameter at the start",
        _POLICY,
        "wrong hold",
        lambda rig, _path: _policy(rig, rig.model_path, hold_ticks=-1),
    ),
    Refusal("policy of another robot", _POLICY, "belongs to another robot or task", _of_another_robot),
    Refusal("policy: a weight was altered", _POLICY, "altered after it was written", _with_a_flipped_weight),
    Refusal(
        "policy: its contract was altered",
        _POLICY,
        "altered after it was written",
        _with_a_flipped_byte(b'"acceleration_rad_s2":[1'),
    ),
    Refusal(
        "policy: its lineage was altered",
        _POLICY,
        "altered after it was written",
        _with_a_flipped_byte(b'"kind": "policy'),
    ),
)


def refuse(rig: Rig, refusals: tuple[Refusal, ...] = REFUSALS) -> list[Outcome]:
    """Start all that must not start, at once, beside what runs."""
    started: dict[str, tuple[Refusal, int]] = {}
    for number, each in enumerate(refusals):
        name = f"refused_{number}"
        settings = each.settings(rig, rig.folder / f"{name}.onnx")
        started[name] = (each, time.monotonic_ns())
        rig.launch(name, each.module, settings)
    return [_outcome(rig, name, each, since_ns) for name, (each, since_ns) in started.items()]


def _outcome(rig: Rig, name: str, refusal: Refusal, since_ns: int) -> Outcome:
    ended = rig.observer.until(lambda: rig.processes.ended(name), _BAR_S)
    took_s = (time.monotonic_ns() - since_ns) / 1e9
    problems = []
    if not ended:
        rig.processes.stop(name)
        problems.append("it started")
    elif (status := rig.processes.wait(name, 1.0)) != _STATUS:
        problems.append(f"it ended with status {status}")
    lines = [line for line in (rig.logs / f"{name}.log").read_text(errors="replace").splitlines() if line]
    said = lines[-1] if lines else ""
    if not (said.startswith("error: ") and re.search(refusal.words, said)):
        problems.append(f"it said: {said}")
    required = "ends with status 2 and one line"
    return Outcome(refusal.name, required, said, took_s if ended else None, _BAR_S, None, None, tuple(problems))
