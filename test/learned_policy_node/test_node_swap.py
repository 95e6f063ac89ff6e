"""Another model set while the real policy_node is engaged at the real arm_node: taken without a gap, or refused."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from learned_arm.contract import Contract
from learned_policy_node.loading import load_policy
from learned_policy_node.scheduler import LEAD_TICKS
from learned_policy_node.selftest import SelfTest

pytest.importorskip("rclpy")
pytestmark = pytest.mark.ros

POLICY, ARM = "learned_policy_node.node", "arm_control.arm_node"
JUMP_RAD, SHIFT_RAD = 0.05, 0.6
# What the labels themselves and the noise of the measured joints add to a step from tick to tick.
MOTION_RAD = 0.03
LATE_TICKS = 20
PATIENCE_S = 20.0


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Swaps:
    """Sets the model and looks at what the node says and does meanwhile."""

    def __init__(self, bench: Any) -> None:
        self.bench = bench

    def ask(self, path: Path) -> tuple[bool, str]:
        return self.bench.ask_to_set("policy_node", model=str(path))

    def told(self, words: str) -> None:
        self.bench.until(lambda: words in self.bench.values()["swap"], f"'{words}' in the status")

    def runs(self, path: Path) -> None:
        """Status and parameter name the file that runs."""
        self.bench.until(lambda: self.bench.values()["model"] == sha256(path), f"the hash of {path.name}")
        assert self.bench.values()["path"] == str(path)
        assert self.bench.parameter("policy_node", "model") == str(path)

    def goes_on(self, ticks: int) -> None:
        before = len(self.bench.targets)
        self.bench.until(lambda: len(self.bench.targets) >= before + ticks, f"{ticks} ticks more")


def begin(bench: Any, spawn: Any, model: Path, file: Path, **settings: Any) -> None:
    """Both nodes, engaged in real time."""
    spawn.node(POLICY, auto_activate=True, contract=file, model=model, max_jump_rad=JUMP_RAD, **settings)
    spawn.node(ARM, contract=file)
    bench.run_in_real_time()
    bench.until(lambda: bench.values().get("state") == "active", "active")
    bench.until(lambda: bench.joints.get_subscription_count() == 2, "both nodes at the joint states")
    bench.until(lambda: bench.engage(True).success, "the lease")
    bench.until(lambda: len(bench.targets) >= LATE_TICKS, "targets")


def test_a_model_set_while_engaged_takes_over_without_a_gap_and_within_the_bound(
    bench: Any, spawn: Any, make_model: Callable[..., Path], patient: tuple[Contract, Path]
) -> None:
    contract, file = patient
    old, new = make_model(of=contract), make_model("new.onnx", of=contract, shift=SHIFT_RAD)
    begin(bench, spawn, old, file, execution="receding", execute_steps=16)
    swaps = Swaps(bench)
    assert bench.values()["swap"] == "idle"
    assert bench.ask_to_set("policy_node", lead_ticks=4)[0], "what does not change may be set"
    first = max(bench.targets)
    started_s = time.monotonic()
    accepted, reason = swaps.ask(new)
    answered_s = time.monotonic() - started_s
    assert accepted, reason
    assert swaps.ask(new) == (False, f"another policy is being loaded; got new.onnx; allowed: wait for {new}")
    assert not bench.ask_to_set("policy_node", model=str(new), lead_ticks=8)[0], "all or none"
    swaps.told(f"swapped to {sha256(new)}")
    taken_s = time.monotonic() - started_s
    swaps.runs(new)
    swaps.goes_on(LATE_TICKS)
    stamps = sorted(stamp for stamp in bench.targets if stamp >= first)
    gaps = np.diff(stamps) // contract.period_ns - 1
    points = {stamp: bench.targets[stamp][0].positions for stamp in stamps}
    path = np.array([points[stamp][0] for stamp in stamps if len(points[stamp])])
    jumps = np.abs(np.diff(path, axis=0)).max(axis=1)
    print(
        f"answered after {answered_s * 1e3:.1f} ms, swapped after {taken_s:.2f} s; "
        f"{gaps.sum()} of {len(stamps)} ticks missed; largest step {jumps.max():.4f} rad, allowed {JUMP_RAD}"
    )
    assert len(path) == len(stamps), "no tick without a plan"
    # How many ticks are missed says the machine, and is printed. The law is that a timeline reaches over each of them.
    assert gaps.max() < LEAD_TICKS
    assert jumps.max() <= JUMP_RAD + MOTION_RAD
    np.testing.assert_allclose(path[-1] - path[0], SHIFT_RAD, atol=MOTION_RAD)
    assert bench.values()["engaged"] == "True"
    assert bench.values()["fault"] == ""


def test_in_lock_step_every_tick_is_answered_while_the_model_is_exchanged(
    bench: Any, spawn: Any, make_model: Callable[..., Path]
) -> None:
    old, new = make_model(), make_model("new.onnx", shift=SHIFT_RAD)
    spawn.node(POLICY, auto_activate=True, model=old, max_jump_rad=JUMP_RAD, use_sim_time=True)
    spawn.node(ARM, use_sim_time=True)
    bench.until(lambda: bench.values().get("state") == "active", "active")
    bench.until(lambda: bench.joints.get_subscription_count() == 2, "both nodes at the joint states")
    bench.until(lambda: all(each.get_subscription_count() == 1 for each in bench.images.values()), "the cameras")
    for _ in range(2):
        bench.to_next_tick()
    assert bench.engage(True).success
    ticks = [bench.to_next_tick() for _ in range(5)]
    accepted, reason = Swaps(bench).ask(new)
    assert accepted, reason
    started_s = time.monotonic()
    while bench.values()["swap"] != f"swapped to {sha256(new)}":
        assert time.monotonic() - started_s < PATIENCE_S, bench.values()["swap"]
        ticks.append(bench.to_next_tick())
    ticks += [bench.to_next_tick() for _ in range(LATE_TICKS)]
    bench.until(lambda: ticks[-1] in bench.targets, "the last answer")
    assert [len(bench.targets[tick_ns]) for tick_ns in ticks] == [1] * len(ticks)
    path = np.array([bench.targets[tick_ns][0].positions[0] for tick_ns in ticks])
    assert np.abs(np.diff(path, axis=0)).max() <= JUMP_RAD + MOTION_RAD
    np.testing.assert_allclose(path[-1] - path[0], SHIFT_RAD, atol=MOTION_RAD)


def test_what_is_refused_leaves_the_old_one_running_and_says_why(
    bench: Any, spawn: Any, make_model: Callable[..., Path], patient: tuple[Contract, Path], tmp_path: Path
) -> None:
    contract, file = patient
    running = make_model(of=contract)
    begin(bench, spawn, running, file)
    swaps, good = Swaps(bench), load_policy(running).selftest
    at_once = {
        tmp_path / "absent.onnx": "absent.onnx: no such file; allowed: an .onnx file",
        tmp_path: "no such file",
        Path(""): "no such file",
    }
    for path, words in at_once.items():
        accepted, reason = swaps.ask(path)
        assert not accepted
        assert words in reason
    assert not bench.ask_to_set("policy_node", model=7)[0]
    assert bench.values()["swap"] == "idle"
    cut, altered = tmp_path / "cut.onnx", {"action": good.outputs["action"] + np.float32(1e-3)}
    cut.write_bytes(running.read_bytes()[:5000])
    after_loading = {
        cut: "corrupt model",
        make_model("altered.onnx", of=contract, selftest=SelfTest(good.inputs, altered)): "self-test failed",
        make_model("slower.onnx", of=replace(contract, rate_hz=10)): "belongs to another robot or task",
    }
    for path, words in after_loading.items():
        accepted, reason = swaps.ask(path)
        assert accepted, reason
        swaps.told("refused: ")
        assert words in bench.values()["swap"]
        assert "\n" not in bench.values()["swap"]
        swaps.runs(running)
        swaps.goes_on(3)
    assert bench.values()["engaged"] == "True"
    assert bench.values()["fault"] == ""
    assert all(len(views[0].positions) for stamp, views in bench.targets.items() if stamp > min(bench.targets))


def test_what_is_set_while_inactive_waits_for_the_next_configure(
    bench: Any, spawn: Any, make_model: Callable[..., Path], patient: tuple[Contract, Path]
) -> None:
    from lifecycle_msgs.msg import Transition
    from lifecycle_msgs.srv import ChangeState

    contract, file = patient
    old, new = make_model(of=contract), make_model("new.onnx", of=contract, shift=SHIFT_RAD)
    spawn.node(POLICY, auto_activate=True, contract=file, model=old)
    bench.until(lambda: bench.values().get("state") == "active", "active")
    accepted, reason = bench.ask_to_set("policy_node", max_jump_rad=0.2)
    assert not accepted
    assert "max_jump_rad: read at configure; got active" in reason
    swaps = Swaps(bench)
    bench.client(ChangeState, "/policy_node/change_state")
    assert swaps.ask(new)[0]
    assert bench.change(Transition.TRANSITION_DEACTIVATE)
    swaps.told("refused: deactivated while it was loaded")
    swaps.runs(old)
    for value in (-1.0, float("nan"), 0.0):
        accepted, reason = bench.ask_to_set("policy_node", lead_ticks=3, max_jump_rad=value)
        assert not accepted
        assert "wrong largest jump between plans" in reason
    assert bench.parameter("policy_node", "lead_ticks") == 4, "all or none"
    assert bench.ask_to_set("policy_node", model=str(new), lead_ticks=3)[0]
    bench.until(lambda: bench.values()["unapplied"] == "model lead_ticks", "what waits, in the status")
    assert bench.values()["model"] == sha256(old)
    assert bench.change(Transition.TRANSITION_CLEANUP)
    assert bench.change(Transition.TRANSITION_CONFIGURE)
    swaps.runs(new)
    assert bench.values()["unapplied"] == ""
    assert bench.values()["swap"] == "idle"


def test_parameters_out_of_range_end_the_process_in_one_line(spawn: Any) -> None:
    wrong = {
        "max_jump_rad": (-1.0, "wrong largest jump"),
        "inference_timeout_s": (".nan", "wrong time limit"),
        "lead_ticks": (0, "wrong lead"),
        "provider": ("foo", "unknown execution provider"),
    }
    started = {name: spawn.node(POLICY, **{name: value}) for name, (value, _) in wrong.items()}
    for name, process in started.items():
        assert process.wait() == 2
        assert process.output().strip().splitlines()[-1].startswith(f"error: {wrong[name][1]}")
        assert "Traceback" not in process.output()
