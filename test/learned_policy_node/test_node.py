"""The real policy_node and the real arm_node, two processes, with streams that this test publishes."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from learned_arm.contract import Contract
from learned_arm.observation import digest
from learned_policy_node.chunking import TemporalEnsemble
from learned_policy_node.loop import PolicyLoop
from learned_policy_node.onnx_policy import OnnxPolicy

pytest.importorskip("rclpy")
pytestmark = pytest.mark.ros

POLICY, ARM = "learned_policy_node.node", "arm_control.arm_node"
PATIENCE_S = 20.0


def test_a_bad_model_ends_the_process_in_one_line(spawn: Any, tmp_path: Path) -> None:
    path = tmp_path / "noise.onnx"
    path.write_bytes(bytes(range(256)))
    process = spawn.node(POLICY, model=path, auto_activate=True)
    assert process.wait(PATIENCE_S) == 2
    assert process.output().strip().splitlines()[-1].startswith(f"error: {path}: corrupt model; got")
    assert "Traceback" not in process.output()


def test_lifecycle_lock_step_refusal_fault_and_end(
    bench: Any, spawn: Any, make_model: Callable[..., Path], tmp_path: Path, contract: Contract
) -> None:
    from lifecycle_msgs.msg import Transition

    model = make_model(dark_is_nan=True)
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(model.read_bytes()[:5000])
    policy_process = spawn.node(POLICY, model=damaged, contract="pick_cube", use_sim_time=True)
    arm_process = spawn.node(ARM, use_sim_time=True)

    assert not bench.change(Transition.TRANSITION_CONFIGURE)
    bench.until(lambda: "corrupt model" in bench.words(), "the reason in ~/status")
    bench.set("policy_node", "model", str(model))
    bench.set("policy_node", "contract", "reach_cube")
    assert not bench.change(Transition.TRANSITION_CONFIGURE)
    bench.until(lambda: "reach_cube on ur5e_sim" in bench.words(), "both sides in ~/status")
    bench.set("policy_node", "contract", "pick_cube")
    assert bench.change(Transition.TRANSITION_CONFIGURE)
    assert bench.change(Transition.TRANSITION_ACTIVATE)
    bench.until(lambda: bench.values().get("state") == "active", "active")
    bench.until(lambda: bench.joints.get_subscription_count() == 2, "both nodes at the joint states")
    bench.until(lambda: all(each.get_subscription_count() == 1 for each in bench.images.values()), "the cameras")

    refused = bench.engage(True)
    assert not refused.success
    assert "no message yet" in refused.message
    bench.to_next_tick()
    passed_ns = bench.to_next_tick()
    assert not bench.targets
    engaged = bench.engage(True)
    assert engaged.success, engaged.message
    ticks = [bench.to_next_tick() for _ in range(21)]
    assert f"first_tick_ns={ticks[0]}" in engaged.message
    assert passed_ns not in bench.targets, "the door was not waiting for this tick"
    bench.until(lambda: ticks[-1] in bench.ticks, "the last tick")
    mirror = PolicyLoop(OnnxPolicy(model), TemporalEnsemble(contract.period_ns))
    pushed = iter(bench.pushed)
    for tick_ns in ticks:
        for topic, stamp_ns, raw in pushed:
            mirror.push(topic, stamp_ns, 0, raw)
            if topic == "/joint_states" and stamp_ns == tick_ns:
                break
        expected = mirror.step(tick_ns)
        assert len(bench.targets[tick_ns]) == 1
        view = bench.targets[tick_ns][0]
        assert view.names == contract.robot.joints
        np.testing.assert_array_equal(view.positions, expected.timeline.positions_rad)
        np.testing.assert_array_equal(tick_ns + view.time_from_start_ns, expected.timeline.stamps_ns)
        assert expected.observation is not None
        told = {name: str(stamp_ns) for name, stamp_ns in expected.stamps_ns.items()}
        told["observation"] = digest(expected.observation)
        assert dict(each.rsplit("@", 1) for each in bench.ticks[tick_ns]) == told

    bench.encoding = "bayer_rggb8"
    assert bench.points_at_next_tick() == 0
    bench.encoding = "rgb8"
    assert bench.points_at_next_tick() == 4
    bench.until(lambda: "unknown image encoding" in bench.values()["last_refusal"], "the refusal in ~/status")

    bench.brightness = 4
    assert bench.points_at_next_tick() == 0
    bench.brightness = 120
    assert bench.points_at_next_tick() == 0, "a fault is latched"
    bench.until(lambda: "not finite" in bench.values()["fault"], "the fault in ~/status")
    assert bench.trigger("/policy_node/reset").success
    assert bench.points_at_next_tick() == 4

    assert bench.engage(False).success
    last_ns = bench.to_next_tick()
    bench.to_next_tick()
    assert last_ns not in bench.targets
    bench.trigger("/policy_node/reset")
    bench.to_next_tick()
    assert bench.engage(True).success
    bench.to_next_tick()
    assert bench.change(Transition.TRANSITION_DEACTIVATE)
    bench.until(lambda: bench.values("arm_node").get("holder") == "", "the lease to be given back")
    bench.step()

    for process in (policy_process, arm_process):
        process.popen.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


def test_real_time_ticks_on_the_grid_a_silent_camera_holds_and_a_lost_lease_ends_it(
    bench: Any, spawn: Any, make_model: Callable[..., Path], patient: tuple[Contract, Path]
) -> None:
    contract, file = patient
    settings = {"model": make_model(of=contract), "execution": "receding", "execute_steps": 3}
    process = spawn.node(POLICY, auto_activate=True, contract=file, **settings)
    spawn.node(ARM, contract=file)
    bench.run_in_real_time()
    bench.until(lambda: bench.values().get("state") == "active", "active")
    bench.until(lambda: bench.joints.get_subscription_count() == 2, "both nodes at the joint states")
    bench.until(lambda: bench.engage(True).success, "the lease")
    bench.until(lambda: len(bench.targets) >= 20, "targets")
    good = {stamp_ns: views[0] for stamp_ns, views in bench.targets.items() if len(views[0].positions)}
    assert len(good) >= 15
    for stamp_ns, view in good.items():
        assert stamp_ns % contract.period_ns == 0
        assert view.time_from_start_ns.tolist() == [(1 + k) * contract.period_ns for k in range(4)]
    assert bench.values("arm_node").get("holder") == "policy", bench.status["arm_node"].message

    bench.muted.add(contract.cameras["front"].topic)
    bench.until(lambda: "camera:front: s" in bench.values()["last_refusal"], "the silent camera in ~/status")
    newest = max(bench.targets)
    assert len(bench.targets[newest][0].positions) == 0
    bench.muted.clear()
    bench.until(lambda: len(bench.targets[max(bench.targets)][0].positions) == 4, "going on")

    bench.muted.add("/joint_states")
    bench.until(lambda: bench.values("arm_node").get("state") == "fault", "the door's fault")
    bench.until(lambda: bench.values()["engaged"] == "False", "the policy to notice that the lease is gone")
    bench.muted.clear()
    assert bench.trigger("/arm_node/clear_fault").success
    bench.until(lambda: bench.engage(True).success, "the lease again")
    bench.until(lambda: bench.values("arm_node").get("holder") == "policy", "the lease in the door's status")
    process.popen.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 0
    bench.until(lambda: bench.values("arm_node").get("holder") == "", "the lease to be given back at the end")
