"""The recorder as a process, against a publisher in another: what was published is what is on disk."""

from __future__ import annotations

import json
import pickle
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from data_recorder.bag_reader import BagMessage, BagReader, messages_hash
from data_recorder.definitions import type_hash
from learned_arm.episode import list_episodes, load_episode

pytestmark = pytest.mark.ros

COUNT = 400
BURST_ONLY = ("/arm/sent", "/forward_position_controller/commands", "/arm/policy/targets")
IMAGES_AND_JOINTS = ("/front/image_raw", "/wrist/image_raw", "/joint_states")
_ANSWER_S = 3.0
_CALLS = 5
PUBLISHER = Path(__file__).parent / "burst_publisher.py"


class Driver:
    """Calls the recorder's services and follows its status."""

    def __init__(self, domain_id: int) -> None:
        import rclpy
        from diagnostic_msgs.msg import DiagnosticStatus
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.node import Node
        from std_srvs.srv import Trigger

        from learned_arm.ros import messages, qos

        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self._node = Node("driver", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._request = Trigger.Request()
        self._clients = {
            verb: self._node.create_client(Trigger, f"/recorder_node/{verb}")
            for verb in ("start", "success", "failure", "discard")
        }
        self.status: dict[str, str] = {}

        def heard(message: DiagnosticStatus) -> None:
            self.status = messages.status_values(message)

        self._node.create_subscription(DiagnosticStatus, "/recorder_node/status", heard, qos.small())

    def until(self, condition: Callable[[], bool], what: str, timeout_s: float = 30.0) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline_s, f"waited too long for {what}; status {self.status}"
            self._executor.spin_once(timeout_sec=0.02)

    def call(self, verb: str) -> tuple[bool, str]:
        client = self._clients[verb]
        self.until(client.service_is_ready, f"service {verb}")
        for _ in range(_CALLS):
            # A server that has not discovered the client's reader yet handles the request and drops its answer.
            future = client.call_async(self._request)
            deadline_s = time.monotonic() + _ANSWER_S
            self.until(lambda: future.done() or time.monotonic() > deadline_s, verb)  # noqa: B023
            if future.done():
                result = future.result()
                assert result is not None
                return result.success, result.message
        pytest.fail(f"no answer of {verb} in {_CALLS} calls")

    def started(self) -> str:
        """Start as soon as every stream arrives; the episode's name."""
        answer = (False, "")

        def accepted() -> bool:
            nonlocal answer
            answer = self.call("start")
            return answer[0] or answer[1] == "not idle: recording"

        self.until(accepted, "an accepted start")
        self.until(lambda: self.status.get("state") == "recording", "the recording")
        return self.status["episode_name"]

    def ended(self, verb: str) -> str:
        """End the episode; its folder, '' when discarded."""
        accepted, name = self.call(verb)
        assert accepted, name
        self.until(lambda: self.status.get("state") == "idle" and self.status.get("episode_name") == name, "the end")
        return self.status["episode"]

    def recorded(self, messages: int) -> None:
        self.until(lambda: int(self.status.get("messages", 0)) >= messages, f"{messages} recorded messages")

    def close(self) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        self._context.try_shutdown()


@pytest.fixture
def driver(spawn) -> Iterator[Driver]:
    driver = Driver(spawn.domain_id)
    yield driver
    driver.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "demos"


@pytest.fixture
def recorder(spawn, root: Path):
    return spawn.node("data_recorder.node", root=root, use_sim_time=True, operator="tester")


@pytest.fixture
def publisher(spawn, tmp_path: Path):
    return spawn(sys.executable, str(PUBLISHER), str(tmp_path), str(COUNT), name="burst_publisher")


def by_topic(folder: Path) -> dict[str, list[BagMessage]]:
    found: dict[str, list[BagMessage]] = {}
    for message in BagReader(folder).messages():
        found.setdefault(message.topic, []).append(message)
    return found


def test_published_is_recorded_byte_for_byte_in_order(
    recorder, publisher, driver: Driver, root: Path, tmp_path: Path
) -> None:
    name = driver.started()
    assert driver.call("start") == (False, "not idle: recording")
    (tmp_path / "go").touch()
    driver.until((tmp_path / "published.pickle").exists, "the burst")
    driver.recorded(6 * COUNT + 2)
    folder = Path(driver.ended("success"))
    assert folder == root / "pick_cube" / name
    published = pickle.loads((tmp_path / "published.pickle").read_bytes())
    recorded = by_topic(folder)
    for topic in BURST_ONLY:
        assert [m.data for m in recorded[topic]] == published[topic]
        assert len(recorded[topic]) == COUNT
    for topic in IMAGES_AND_JOINTS:
        # The trickle goes on before and after: what was recorded is one stretch of what was published.
        data = [m.data for m in recorded[topic]]
        first = published[topic].index(data[0])
        assert len(published[topic]) - first >= COUNT
        assert data[: len(published[topic]) - first] == published[topic][first:]
    for topic in ("/robot_description", "/sim/state"):
        assert [m.data for m in recorded[topic]] == published[topic][-1:]
    episode = load_episode(folder)
    assert (episode.outcome, episode.operator, episode.task) == ("success", "tester", "pick_cube")
    for topic in (*BURST_ONLY, *IMAGES_AND_JOINTS, "/robot_description", "/sim/state"):
        stream = episode.streams[topic]
        assert (stream.lost, stream.dropped, stream.publishers) == (0, 0, 1), topic
        assert stream.messages == len(recorded[topic])
    # Every node publishes its own parameter events.
    assert episode.lost_messages == 0 and set(episode.uncounted) <= {"/parameter_events"}
    assert episode.lossy == ()
    assert driver.status["lost_messages"] == "0"
    assert episode.messages_hash == messages_hash(folder)
    assert episode.initial_state is not None and episode.initial_state.sim_state == (1.0, 0.5)
    stamps = [m.log_time_ns for m in BagReader(folder).messages() if m.topic != "/recorder_node/provenance"]
    assert stamps == sorted(stamps)
    assert episode.start_ns <= stamps[0] and stamps[-1] <= episode.end_ns
    assert all(m.publish_time_ns <= m.log_time_ns for m in BagReader(folder).messages())
    offered = BagReader(folder).topics["/robot_description"]
    assert "durability: transient_local" in offered.offered_qos_yaml
    assert offered.type_hash == type_hash("std_msgs/msg/String")
    graph = json.loads((folder / "provenance.json").read_bytes())["end"]["graph"]
    assert {"/burst", "/recorder_node"} <= set(graph["nodes"])
    assert graph["topics"]["/arm/sent"]["publishers"][0]["type"] == "sensor_msgs/msg/JointState"


def test_discard_leaves_nothing_and_the_next_episode_is_whole(recorder, publisher, driver: Driver, root: Path) -> None:
    driver.started()
    assert len(list(root.glob("pick_cube/*.recording"))) <= 1
    assert driver.ended("discard") == ""
    assert driver.status["outcome"] == "discarded"
    assert list((root / "pick_cube").iterdir()) == []
    assert not driver.call("success")[0]
    driver.started()
    driver.recorded(20)
    assert load_episode(driver.ended("failure")).outcome == "failure"


def test_without_cameras_the_start_is_refused_by_name(recorder, driver: Driver) -> None:
    accepted, reason = driver.call("start")
    assert not accepted
    assert "/front/image_raw" in reason and "/joint_states" in reason


def test_sigterm_finishes_the_episode(recorder, publisher, driver: Driver, root: Path) -> None:
    driver.started()
    driver.recorded(30)
    recorder.popen.send_signal(signal.SIGTERM)
    assert recorder.wait() == 0
    (episode,) = list_episodes(root)
    assert (episode.outcome, episode.reason) == ("failure", "recorder stopped")
    assert episode.folder is not None
    assert episode.messages >= 30 and episode.messages_hash == messages_hash(episode.folder)


@pytest.mark.parametrize(
    ("parameters", "named"), [({"task": "../up"}, "parameter task"), ({"contract": "no_such"}, "no_such")]
)
def test_a_bad_parameter_is_one_line_and_no_recorder(spawn, root: Path, parameters, named: str) -> None:
    process = spawn.node("data_recorder.node", root=root, **parameters)
    assert process.wait() == 2
    last = process.output().strip().splitlines()[-1]
    assert last.startswith("error: ") and named in last
    assert not root.exists()
