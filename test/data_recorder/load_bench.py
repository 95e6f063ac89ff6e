"""A recorder under the load of four cameras of 640x480 at 30 Hz and 500 Hz joint states (111 MB/s).

The truth is the publisher's own list of what it has published, payload by payload.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from std_srvs.srv import Trigger

from data_recorder.bag_reader import BagReader, messages_hash
from demo_tools.flow.operator import Operator
from learned_arm.contract import Contract, load_contract
from learned_arm.episode import Episode, load_episode

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("load_publisher.py")
CAMERAS = tuple(f"/camera_{index}/image_raw" for index in range(4))
JOINT_STATES = "/joint_states"
STREAMS = (*CAMERAS, JOINT_STATES)
RECORDER = "/recorder_node"
_DISCOVERY_S = 0.5
_PATIENCE_S = 10.0
Truth = dict[str, list[tuple[int, bytes]]]


class Bench:
    """A publisher, a recorder, and an operator who speaks to it.

    Args:
        spawn: Starts processes that end with the test.
        folder: For contract and truth.
        root: Where episodes go.
    """

    cameras, joint_states, streams = CAMERAS, JOINT_STATES, STREAMS

    def __init__(self, spawn: Any, folder: Path, root: Path) -> None:
        value = load_contract("pick_cube").canonical()
        value["observation"]["cameras"] = {
            f"camera_{index}": {"topic": topic, "size": [480, 640], "max_age_s": 0.1, "latency_s": 0.0}
            for index, topic in enumerate(CAMERAS)
        }
        self._spawn, self.root = spawn, root
        self._contract = folder / "contract.yaml"
        # JSON is YAML: the canonical form is a contract file.
        self._contract.write_text(json.dumps(Contract.from_canonical(value).canonical()))
        self._published = folder / "published.pickle"
        self.truth = Truth()
        command = (sys.executable, str(PROGRAM), str(self._published), *CAMERAS)
        self._publisher = spawn(*command, env={"PYTHONPATH": str(ROOT)}, name="load")
        self._start()

    def start_recorder(self) -> None:
        """Start a recorder, also in the place of one that was killed; an operator who knew that one would ask it."""
        self.operator.__exit__()
        self._start()

    def _start(self) -> None:
        # The arm of the load stands still, and small disks are part of what is tried.
        settings = {"contract": self._contract, "root": self.root, "reserve_mb": 0, "idle_end_s": 0.0}
        self.recorder = self._spawn.node("data_recorder.node", **settings)
        self.operator = Operator(self._spawn.domain_id, self._check, success_topic=None)

    def _check(self) -> None:
        for process in (self._publisher, self.recorder):
            assert process.popen.poll() is None, process.output()

    def renew(self) -> None:
        """Begin anew: no episodes, and a recorder that runs and is idle."""
        shutil.rmtree(self.root, ignore_errors=True)
        if self.recorder.popen.poll() is not None:
            self.start_recorder()

    @property
    def status(self) -> dict[str, str]:
        """What the recorder said last."""
        return self.operator.statuses[RECORDER]

    def begin(self) -> str:
        """Start an episode as soon as every stream arrives; its name."""
        self.operator.expect(RECORDER, start=Trigger, success=Trigger)
        # A service that has not discovered who asks takes the request and drops its answer.
        self.operator.wait(lambda: bool(self.status), 10.0, "a status")
        self.operator.spin_for(_DISCOVERY_S)
        name = self.operator.trigger(RECORDER, "start", patience_s=20.0)
        self.operator.wait(lambda: self.status.get("episode_name") == name, 10.0, "the recording")
        return name

    def end(self) -> Episode:
        """End the episode as a success."""
        self.operator.trigger(RECORDER, "success")
        self.operator.wait(lambda: bool(self.status.get("episode")), 60.0, "the end of the episode")
        return load_episode(self.status["episode"])

    def ask_for_truth(self) -> None:
        """Let `truth` hold the stamp and SHA-256 of every payload that was published so far, by topic and in order."""
        self._published.unlink(missing_ok=True)
        self._publisher.popen.send_signal(signal.SIGUSR1)
        deadline_s = time.monotonic() + _PATIENCE_S
        while not self._published.exists():
            assert time.monotonic() < deadline_s and self._publisher.popen.poll() is None, self._publisher.output()
            time.sleep(0.01)
        self.truth = pickle.loads(self._published.read_bytes())

    def recorded(self, folder: Path) -> dict[str, list[int]]:
        """By topic, which of the published payloads are in a bag: places in the truth, in the order of the bag."""
        places = {topic: {digest: at for at, (_, digest) in enumerate(sent)} for topic, sent in self.truth.items()}
        found: dict[str, list[int]] = {topic: [] for topic in STREAMS}
        for message in BagReader(folder).messages(STREAMS):
            # A payload that was not published, so any changed byte, has no place.
            found[message.topic].append(places[message.topic][hashlib.sha256(message.data).digest()])
        for topic, at in found.items():
            assert at == sorted(set(at)), f"{topic}: out of order or twice"
        return found

    def losses(self, episode: Episode) -> dict[str, int]:
        """By topic, published minus recorded; the episode must have counted the same."""
        assert episode.folder is not None
        self.ask_for_truth()
        missing = {}
        for topic, at in self.recorded(episode.folder).items():
            stream = episode.streams[topic]
            missing[topic] = at[-1] - at[0] + 1 - len(at)
            assert (stream.messages, stream.lost, stream.publishers) == (len(at), missing[topic], 1), topic
        assert episode.messages_hash == messages_hash(episode.folder)
        return missing

    def close(self) -> None:
        """Forget the operator and remove the episodes, which are large; processes end with their fixture."""
        self.operator.__exit__()
        shutil.rmtree(self.root, ignore_errors=True)
