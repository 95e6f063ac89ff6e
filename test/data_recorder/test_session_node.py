"""A whole session with a recorder process: buttons, keys, pre-roll, reset, review, guards and the summary."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_recorder.bag_reader import BagReader
from learned_arm.episode import list_episodes, load_episode
from learned_arm.ros import transport

pytestmark = pytest.mark.ros

PUBLISHER = Path(__file__).parent / "burst_publisher.py"
SETTINGS = {
    "pre_roll_s": 0.6,
    "reset_s": 0.5,
    "session": "monday",
    "targets": "pick_cube:1",
    "buttons": "start:0,success:1",
    "idle_warn_s": 0.4,
    "idle_end_s": 1.5,
    "operator": "anna",
    "stale_s": 0.5,
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "demos"


@pytest.fixture
def publisher(spawn, tmp_path: Path):
    return spawn(sys.executable, str(PUBLISHER), str(tmp_path), "1", name="burst_publisher")


@pytest.fixture
def desk(spawn, root: Path, publisher) -> Iterator[Desk]:
    spawn.node("data_recorder.node", root=root, **SETTINGS)
    desk = Desk(spawn.domain_id)
    yield desk
    desk.close()


class Desk:
    """An operator with a joystick and a keyboard."""

    def __init__(self, domain_id: int) -> None:
        from sensor_msgs.msg import Joy

        from demo_tools.flow.operator import Operator

        self.operator = Operator(domain_id, lambda: None, success_topic=None)
        self.operator.expect("/recorder_node")
        self._domain_id, self._joy_type = domain_id, Joy
        self._joy = self.operator._node.create_publisher(Joy, "/joy", 1)
        self.wait(lambda: bool(self.status), "the recorder")
        self.wait(lambda: self._joy.get_subscription_count() == 1, "the recorder to hear the joystick")

    @property
    def status(self) -> dict[str, str]:
        return self.operator.statuses["/recorder_node"]

    def wait(self, condition, what: str) -> None:
        self.operator.wait(condition, 20.0, what)

    def is_well(self) -> bool:
        streams = [text for key, text in self.status.items() if key.startswith("stream ")]
        return len(streams) == 3 and all(text.startswith("OK") for text in streams)

    def press(self, button: int) -> None:
        for states in ([0, 0], [int(button == 0), int(button == 1)], [0, 0]):
            self._joy.publish(self._joy_type(buttons=states))
            self.operator.spin_for(0.15)

    def keys(self, text: str) -> list[str]:
        """What is said to these keys, in a process of its own."""
        argv = [sys.executable, "-m", "data_recorder.keys"]
        environment = transport.environment(self._domain_id)
        done = subprocess.run(argv, input=text, capture_output=True, text=True, env=environment, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[1:]

    def state(self, wanted: str) -> None:
        self.wait(lambda: self.status["state"] == wanted, f"the state {wanted}")

    def close(self) -> None:
        self.operator.__exit__()


def test_a_session_at_the_desk(desk: Desk, root: Path, publisher) -> None:
    desk.wait(desk.is_well, "every stream to be well")
    assert desk.status["left"] == "1"
    time.sleep(0.7)
    desk.press(0)
    desk.state("recording")
    desk.operator.spin_for(0.5)
    desk.press(1)
    desk.state("reset")
    first = load_episode(desk.status["episode"])
    assert (first.outcome, first.operator, first.session) == ("success", "anna", "monday")
    assert desk.status["left"] == "0"

    # What was received before the start is in the bag, and the start is where it was asked for.
    assert first.folder is not None and first.initial_state is not None
    assert 0.3e9 < first.pre_roll_ns <= 0.6e9
    stamps = [m.log_time_ns for m in BagReader(first.folder).messages(["/joint_states"])]
    assert first.start_ns - first.pre_roll_ns <= stamps[0] < first.start_ns < stamps[-1]
    assert first.lost_messages == 0 and first.lossy == ()
    assert sorted(first.initial_state.images) == ["front", "wrist"]
    assert all((first.folder / file).is_file() for file in first.initial_state.images.values())

    # Keys: the label was wrong; then the scene is ready before its time, and the next episode starts.
    desk.state("idle")
    said = desk.keys("-+ks")
    assert said[:3] == [
        f"relabel_failure: {first.name} is a failure",
        f"relabel_success: {first.name} is a success",
        f"keep: {first.name} is a success",
    ]
    assert [each.after for each in load_episode(first.folder).reviews] == ["failure", "success", "success"]
    desk.state("recording")

    # The streams stop: the monitor says so, the guard warns, and the episode ends.
    publisher.popen.terminate()
    desk.wait(lambda: "STALLED" in desk.status.get("stream /front/image_raw", ""), "a stalled stream")
    desk.wait(lambda: "idle for" in desk.status["idle"] or desk.status["state"] != "recording", "a warning")
    desk.wait(lambda: desk.status["state"] in ("reset", "idle"), "the end")
    second = load_episode(desk.status["episode"])
    assert second.outcome == "failure" and second.reason.startswith("idle: the arm did nothing for")

    # Without streams nothing starts; what was taken out is not listed, and is still there.
    desk.state("idle")
    (refused,) = desk.keys("s")
    assert "STALLED" in refused and "/joint_states" in refused
    (said_out,) = desk.keys("x")
    assert said_out.startswith("take_out: now ") and [each.name for each in list_episodes(root)] == [first.name]
    summary = json.loads((root / "sessions/monday.json").read_text())
    assert [(each["name"], each["outcome"]) for each in summary["episodes"]] == [
        (first.name, "success"),
        (second.name, "discarded"),
    ]
    assert summary["tasks"]["pick_cube"]["target"] == 1


@pytest.mark.prove
def test_a_latched_state_that_comes_while_an_episode_starts_is_in_it(spawn, root: Path, publisher) -> None:
    from std_msgs.msg import Float64MultiArray
    from std_srvs.srv import Trigger

    from demo_tools.flow.operator import Operator
    from learned_arm.ros import qos

    spawn.node("data_recorder.node", root=root)
    rng = random.Random(1)
    with Operator(spawn.domain_id, lambda: None, success_topic=None) as operator:
        state = operator._node.create_publisher(Float64MultiArray, "/sim/state", qos.latched())
        start = operator._node.create_client(Trigger, "/recorder_node/start")
        operator.expect("/recorder_node", start=Trigger, failure=Trigger)
        operator.trigger("/recorder_node", "start", patience_s=20.0)
        name = operator.trigger("/recorder_node", "failure")
        for trial in range(25):
            folder = root / "pick_cube" / name
            operator.wait((folder / "episode.json").is_file, 20.0, name)
            future = start.call_async(Trigger.Request())
            # Somewhere between the request and its answer.
            time.sleep(rng.uniform(0.0, 0.008))
            state.publish(Float64MultiArray(data=[float(trial)]))
            operator.wait(future.done, 20.0, "the start")
            operator.spin_for(0.12)
            name = operator.trigger("/recorder_node", "failure")
        operator.wait((root / "pick_cube" / name / "episode.json").is_file, 20.0, name)
    begun = [each.initial_state for each in list_episodes(root)[1:]]
    assert len(begun) == 25 and all(each is not None for each in begun)
    assert [each.sim_state for each in begun if each is not None and each.sim_state is None] == []


def test_a_nearly_full_disk_refuses_the_start_and_says_so(spawn, root: Path, publisher) -> None:
    from std_srvs.srv import Trigger

    from demo_tools.flow.operator import Operator, RefusedError

    spawn.node("data_recorder.node", root=root, reserve_mb=90_000_000)
    with Operator(spawn.domain_id, lambda: None, success_topic=None) as operator:
        operator.expect("/recorder_node", start=Trigger)
        operator.wait(lambda: bool(operator.statuses["/recorder_node"]), 20.0, "the recorder")
        with pytest.raises(RefusedError, match="disk nearly full"):
            operator.trigger("/recorder_node", "start")
    assert not root.exists()
