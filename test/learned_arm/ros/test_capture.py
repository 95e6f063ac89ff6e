"""A snapshot of running nodes: complete, in time, and without a trace left in the node that takes it."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from learned_arm.canonical import canonical_json
from learned_arm.contract import load_contract
from learned_arm.provenance_diff import compare, load_rules, not_compared
from learned_arm.provenance_rules import Severity

pytestmark = pytest.mark.ros

HELPER = Path(__file__).with_name("parameter_node.py")
CONTROLLER = "/forward_position_controller"
TOPICS = ("/joint_states", "/front/image_raw", "/front/camera_info", "/robot_description")


class Desk:
    """A node that takes snapshots, spun by the test."""

    def __init__(self, domain_id: int) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.node import Node

        from learned_arm.ros.capture import Capture

        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain_id)
        self.node = Node("desk", context=self.context, enable_rosout=False)
        self.node.declare_parameter("mine", 7)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.capture = Capture(self.node, load_contract("pick_cube"))

    def until(self, condition: Callable[[], bool], what: str, timeout_s: float = 30.0) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline_s, f"waited too long for {what}"
            self.executor.spin_once(timeout_sec=0.02)

    def snapshot(self, timeout_s: float = 10.0) -> dict[str, Any]:
        found: list[dict[str, Any]] = []
        self.capture.begin(found.append)
        self.until(lambda: bool(found), "the snapshot", timeout_s)
        return found[0]

    def meet(self, *nodes: str) -> None:
        def there() -> bool:
            services = {name for name, _ in self.node.get_service_names_and_types()}
            names = {f"/{name}" for name in self.node.get_node_names()}
            return all(node in names and f"{node}/list_parameters" in services for node in nodes)

        self.until(there, str(nodes))
        self.until(lambda: self.capture.is_ready, "the static part")

    def set_parameter(self, node: str, name: str, value: Any) -> None:
        from rcl_interfaces.srv import SetParameters
        from rclpy.parameter import Parameter

        client = self.node.create_client(SetParameters, f"{node}/set_parameters")
        self.until(client.service_is_ready, node)
        future = client.call_async(SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()]))
        self.until(future.done, "the answer")
        self.node.destroy_client(client)

    def close(self) -> None:
        import rclpy

        self.capture.close()
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self.context)


@pytest.fixture
def desk(ros_domain_id: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    from learned_arm.ros import transport

    monkeypatch.setenv(transport.PROFILE_VARIABLE, str(transport.profile_path()))
    found = Desk(ros_domain_id)
    yield found
    found.close()


def start(spawn: Any, name: str, *sections: str) -> Any:
    root = str(Path(__file__).resolve().parents[3])
    return spawn(sys.executable, str(HELPER), name, *sections, env={"PYTHONPATH": root}, name=name)


def test_a_parameter_that_changes_between_two_snapshots_shows_with_both_values(spawn: Any, desk: Desk) -> None:
    start(spawn, CONTROLLER[1:], "description", "camera", "joints")
    desk.meet(CONTROLLER)
    desk.until(lambda: all(map(desk.node.count_publishers, TOPICS)), "topics")
    before = desk.snapshot()
    desk.set_parameter(CONTROLLER, "gains.p", 120.0)
    after = desk.snapshot()
    rows = compare(before, after, load_rules())
    assert len(rows) == 1, [(row.place, row.before, row.after) for row in rows]
    row = rows[0]
    assert row.severity is Severity.S2
    assert (row.place, row.before, row.after) == (f"parameters > control > {CONTROLLER} > gains.p", 100.0, 120.0)

    assert canonical_json(before)
    values = before["parameters"][CONTROLLER]["values"]
    assert (values["not_finite"], values["raw"], values["joints"]) == ("nan", ["01"], ["a", "b"])
    assert before["parameters"]["/desk"]["values"]["mine"] == 7
    assert before["robot_description"]["kinematics"]["facts"]["joints"]["j"]["axis"] == [0.0, 0.0, 1.0]
    front = before["cameras"]["front"]
    assert front["image"] == {"width": 64, "height": 48, "encoding": "rgb8", "frame_id": "front_optical"}
    assert (front["info"]["width"], front["info"]["d"]) == (64, [0.1])
    assert before["cameras"]["wrist"]["image"] == {"unreachable": "no publisher"}
    assert before["joint_names"] == {"/joint_states": {"names": ["a", "b"], "order": ["b", "a"]}}
    assert before["controllers"] == before["hardware"] == before["tf_static"] == {}
    assert before["contract_content"]["task"] == "pick_cube"


def test_a_stopped_node_is_named_and_the_snapshot_ends_in_time(spawn: Any, desk: Desk) -> None:
    stopped, _ = start(spawn, "stopped"), start(spawn, "alive")
    desk.meet("/stopped", "/alive")
    desk.snapshot()
    os.kill(stopped.popen.pid, signal.SIGSTOP)
    try:
        began_s = time.monotonic()
        found = desk.snapshot()
        took_s = time.monotonic() - began_s
    finally:
        os.kill(stopped.popen.pid, signal.SIGCONT)
    assert found["parameters"]["/stopped"] == {"unreachable": "no answer from /stopped/list_parameters"}
    assert found["parameters"]["/alive"]["values"]["gains.p"] == 100.0
    assert 1.5 <= took_s < 3.0
    assert desk.snapshot()["parameters"]["/stopped"]["values"]["gains.p"] == 100.0


def test_two_that_ask_at_once_are_both_answered(spawn: Any, desk: Desk) -> None:
    start(spawn, "alive")
    desk.meet("/alive")
    found: list[dict[str, Any]] = []
    desk.capture.begin(found.append)
    asked_ns = time.time_ns()
    desk.capture.begin(found.append)
    desk.until(lambda: len(found) == 2, "both")
    assert found[0] is not found[1]
    assert found[1]["stamp_ns"] > max(asked_ns, found[0]["stamp_ns"])


def test_a_part_that_fails_is_said_and_ends_no_node(desk: Desk) -> None:
    failed: Future[dict[str, Any]] = Future()
    failed.set_exception(PermissionError("no entry"))
    desk.until(lambda: desk.capture.is_ready, "the static part")
    desk.capture._static = failed
    found = desk.snapshot()
    assert found["unreachable"] == "PermissionError: no entry"
    rules = load_rules()
    assert {row.severity for row in compare(found, found, rules)} == set()
    assert {"parameters", "git", "cameras"} <= set(not_compared(found, found, rules))


def resident_kb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def entities(desk: Desk) -> tuple[int, int, int, int]:
    node = desk.node
    pending = sum(len(client._pending_requests) for client in node.clients)
    return len(list(node.clients)), len(list(node.subscriptions)), len(list(node.timers)), pending


@pytest.mark.parametrize("rounds", [25, pytest.param(200, marks=pytest.mark.prove)])
def test_many_snapshots_leave_nothing_behind(spawn: Any, desk: Desk, rounds: int) -> None:
    start(spawn, "alive", "description", "camera", "joints")
    desk.meet("/alive")
    desk.until(lambda: all(map(desk.node.count_publishers, TOPICS)), "topics")
    for _ in range(10):
        desk.snapshot()
    before, kb = entities(desk), resident_kb()
    busy_ms = []
    for _ in range(rounds):
        busy_ms.append(desk.snapshot()["capture"]["executor_ms"])
    assert entities(desk) == before
    assert before[3] == 0
    assert resident_kb() - kb < 20_000
    print(f"median {sorted(busy_ms)[rounds // 2]} ms of the executor, grown by {resident_kb() - kb} kB")
