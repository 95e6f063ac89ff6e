"""recorder_node: raw bytes of the contract's topics to episodes on disk.

Its own clock is the system's also when the rest runs on simulated time: bags are logged by receive stamps,
and content is chosen by header stamps later.
"""

from __future__ import annotations

import importlib
import re
import secrets
import sys
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotReady
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from std_srvs.srv import Trigger

from data_recorder import definitions
from data_recorder.disk_file import require_room
from data_recorder.episode_writer import RECORDING_SUFFIX, Draft, Received
from data_recorder.inbox import Inbox
from data_recorder.intake import Intake
from data_recorder.rosbag2_metadata import Topic
from data_recorder.scribe import Begin, Done, End, Scribe
from data_recorder.session import Answer, Session, State, Verb
from data_recorder.topics import TopicSelection
from learned_arm import checked
from learned_arm.contract import load_contract
from learned_arm.episode import checked_name, episode_folder, episode_name
from learned_arm.errors import LearnedArmError
from learned_arm.provenance import snapshot
from learned_arm.ros import introspection, messages, qos
from learned_arm.ros.node import parameter, run

_STATUS_PERIOD_S = 0.2
_DISCOVERY_PERIOD_S = 0.25
_SILENT_NS = 5_000_000_000
_SNAPSHOT_TIMEOUT_S = 10.0
_SMALL_DEPTH = 1000
_IMAGE_DEPTH = 64
_POLICY = re.compile(r"([0-9a-f]{64})?")


class RecorderNode(Node):
    """Three threads: `Intake` takes, `Scribe` writes, the executor answers services and tells the status."""

    def __init__(self) -> None:
        # On simulated time rclpy would spend a wake-up on every /clock message, and no logic here needs that
        # time.
        super().__init__("recorder_node", parameter_overrides=[Parameter("use_sim_time", value=False)])
        name = parameter(self, "contract", "pick_cube", "Contract: a shipped name or a .yaml path.", read_only=True)
        robot = parameter(self, "robot", "", "Another robot file than the contract names.", read_only=True)
        self._contract = load_contract(name, robot or None)
        parameter(self, "root", "demos", "Folder of all episodes.")
        parameter(self, "task", self._contract.task, "Task of the next episode.")
        parameter(self, "operator", "", "Who is in control.")
        parameter(self, "reason", "", "Why the episode succeeded or failed; read when it ends.")
        parameter(self, "notes", "", "Free text; read when the episode ends.")
        parameter(self, "policy", "", "SHA-256 of the policy file of a rollout, empty for a demonstration.")
        extra = parameter(self, "extra_topics", [""], "More topics to record.", read_only=True)
        queue_mb = parameter(self, "queue_mb", 256, "Payload that may wait for the disk, MB.", read_only=True)
        checked.integer(1, 100_000)(queue_mb, "parameter queue_mb")
        self._selection = TopicSelection(self._contract, extra)
        self.add_on_set_parameters_callback(self._check_parameters)
        self._check_start()

        self._session = Session()
        self._offers: dict[str, Topic] = {}
        self._publisher_counts: dict[str, int] = {}
        self._unrecordable: dict[str, str] = {}
        self._recorded = 0
        self._recording = False
        self._loss = ""
        self._finished: deque[Done] = deque()
        string = "std_msgs/msg/String"
        schema = definitions.schema_text(string), definitions.type_hash(string)

        self._status = self.create_publisher(DiagnosticStatus, "~/status", qos.small())
        self._ended = self.create_guard_condition(self._on_ended)
        self.create_service(Trigger, "~/start", self._on_start)
        for verb in Verb:
            self.create_service(Trigger, f"~/{verb.value}", self._ender(verb))
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_DISCOVERY_PERIOD_S, self._discover, clock=steady)
        self.create_timer(_STATUS_PERIOD_S, self._publish_status, clock=steady)

        # Threads come last: whatever fails above must end the process.
        self._pool = ThreadPoolExecutor(1)
        self._static: Future[dict[str, Any]] = self._pool.submit(snapshot, self._contract)
        self._inbox = Inbox(queue_mb * 1_000_000)
        self._scribe = Scribe(
            self._inbox, self._snapshot, schema, self._tell, lambda: dict(self._publisher_counts)
        )
        self._intake = Intake(self, self._deliver)
        self._discover()

    def close(self) -> None:
        """Finish the episode that is being recorded, then end both threads."""
        with self._intake.lock:
            now_ns = time.time_ns()
            self._intake.take(now_ns)
            if self._session.interrupt(now_ns).accepted:
                self._put_end()
        self._intake.stop()
        self._scribe.stop()
        self._pool.shutdown()
        self._on_ended()

    def _check_start(self) -> None:
        task = self.get_parameter("task").value
        checked_name(task, "parameter task")
        for folder in sorted(Path(self._text("root")).expanduser().glob(f"*/*{RECORDING_SUFFIX}")):
            self.get_logger().warning(f"unfinished episode {folder}: recover it, or remove it")

    def _check_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        try:
            for each in changes:
                if each.name == "task":
                    checked_name(each.value, "parameter task")
                if each.name == "policy" and not _POLICY.fullmatch(str(each.value)):
                    raise LearnedArmError(
                        "not a SHA-256", where="parameter policy", got=each.value, allowed="64 hex digits"
                    )
        except LearnedArmError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _text(self, name: str) -> str:
        return str(self.get_parameter(name).value)

    # Topics

    def _discover(self) -> None:
        """Subscribe to wanted topics that have a publisher by now; while recording, count publishers."""
        known = set(self._intake.topics)
        existing = [topic for topic, _ in self.get_topic_names_and_types()]
        for topic in self._selection.wanted(existing):
            if topic not in known and topic not in self._unrecordable:
                self._subscribe(topic)
        if self._recording:
            self._count_publishers()

    def _count_publishers(self) -> None:
        for topic in self._intake.topics:
            self._publisher_counts[topic] = max(self._publisher_counts.get(topic, 0), self.count_publishers(topic))

    def _subscribe(self, topic: str) -> None:
        publishers = self.get_publishers_info_by_topic(topic)
        if not publishers:
            return
        message_type = publishers[0].topic_type
        try:
            package, name = definitions.split_type(message_type)
            message_class = getattr(importlib.import_module(f"{package}.msg"), name)
            schema = definitions.schema_text(message_type)
        except (LearnedArmError, ImportError, AttributeError) as error:
            self._unrecordable[topic] = message_type
            self.get_logger().error(f"cannot record {topic}: {error}")
            return
        profiles = [each.qos_profile for each in publishers]
        offers = tuple(introspection.qos_as_dict(profile) for profile in profiles)
        reliable = all(each.reliability == ReliabilityPolicy.RELIABLE for each in profiles)
        latched = all(each.durability == DurabilityPolicy.TRANSIENT_LOCAL for each in profiles)
        # Never ask for more than every publisher offers: an incompatible pair exchanges nothing.
        profile = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=_IMAGE_DEPTH if message_type == "sensor_msgs/msg/Image" else _SMALL_DEPTH,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )
        offer = Topic(topic, message_type, schema, offers, introspection.type_hash_text(publishers[0]))
        self._offers[topic] = offer
        if self._recording:
            self._inbox.put_command(offer)
        self._intake.subscribe(topic, message_class, profile, latched)

    def _deliver(self, batch: list[Received]) -> None:
        """On the intake's thread."""
        if self._recording:
            self._recorded += len(batch)
            self._inbox.put_messages(batch)

    # Episodes

    def _on_start(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        now_ns = time.time_ns()
        episode_id = secrets.token_hex(16)
        name = episode_name(now_ns, episode_id)
        root, task = Path(self._text("root")).expanduser(), self._text("task")
        try:
            require_room(episode_folder(root, task, name))
        except LearnedArmError as error:
            response.success, response.message = False, str(error)
            return response
        self._discover()
        with self._intake.lock:
            self._intake.take(now_ns)
            answer = self._session.start(now_ns, name, self._silent(now_ns))
            if answer.accepted:
                draft = Draft(
                    id=episode_id,
                    name=name,
                    task=task,
                    contract=self._contract.canonical(),
                    contract_hash=self._contract.hash,
                    operator=self._text("operator"),
                    notes=self._text("notes"),
                    policy=self._text("policy") or None,
                    start_ns=now_ns,
                )
                latched = self._intake.latched()
                self._inbox.clear_dropped()
                self._inbox.put_command(Begin(root, draft, self._contract, tuple(self._offers.values()), latched))
                self._publisher_counts, self._recorded, self._loss = {}, len(latched), ""
                self._count_publishers()
                self._recording = True
        return self._answered(answer, response)

    def _silent(self, now_ns: int) -> list[str]:
        """Topics that the contract needs and that have not come for a while."""
        found = []
        for topic in self._selection.required:
            last_ns = self._intake.last_ns(topic)
            if last_ns is None or now_ns - last_ns > _SILENT_NS:
                found.append(topic)
        return found

    def _ender(self, verb: Verb) -> Any:
        def end(_request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            now_ns = time.time_ns()
            with self._intake.lock:
                if self._recording:
                    self._intake.take(now_ns)
                answer = self._session.end(now_ns, verb, self._text("reason"))
                if answer.accepted:
                    self._put_end()
            return self._answered(answer, response)

        return end

    def _put_end(self) -> None:
        self._recording = False
        self._count_publishers()
        assert self._session.take is not None
        self._inbox.put_command(End(self._session.take, self._text("notes"), dict(self._publisher_counts)))

    def _answered(self, answer: Answer, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = answer.accepted, answer.text
        self._publish_status()
        return response

    def _tell(self, done: Done) -> None:
        """On the scribe's thread."""
        self._finished.append(done)
        self._ended.trigger()

    def _on_ended(self) -> None:
        while self._finished:
            done = self._finished.popleft()
            if self._session.take is None or self._session.take.name != done.name:
                continue
            if done.error:
                self._recording = False
                self._session.failed(done.error)
                self.get_logger().error(f"episode {done.name}: {done.error}")
            elif done.episode is None:
                self._session.closed("")
            else:
                self._loss = str(done.episode.lost_messages)
                self._session.closed(str(done.episode.folder))
            self._publish_status()

    # Provenance and status

    def _snapshot(self) -> dict[str, Any]:
        """On the scribe's thread: the static part, taken when the node started, and the graph as it is."""
        try:
            static = self._static.result(_SNAPSHOT_TIMEOUT_S)
        except NotReady:
            static = {"unreachable": "snapshot not ready"}
        return {**static, "stamp_ns": time.time_ns(), "graph": introspection.graph(self)}

    def _publish_status(self) -> None:
        session, result = self._session, self._session.result
        name = session.take.name if session.take is not None else result.name
        dropped = sum(self._inbox.dropped().values())
        values = {
            "state": session.state.value,
            "episode_name": name,
            "episode": result.folder,
            "outcome": result.outcome,
            "error": result.error,
            "lost_messages": self._loss,
            "messages": self._recorded,
            "interventions": self._scribe.interventions,
            "dropped": dropped,
            "waiting_bytes": self._inbox.waiting_bytes,
            "topics": len(self._intake.topics),
            "unrecordable": ",".join(sorted(self._unrecordable)),
        }
        level = "error" if result.error else "warn" if dropped or self._unrecordable else "ok"
        text = result.error or (f"recording {name}" if session.state is State.RECORDING else session.state.value)
        self._status.publish(messages.status("recorder_node", level, text, values))


def main() -> None:
    """Entry point of `ros2 run learned_arm recorder_node`."""
    sys.exit(run(RecorderNode))


if __name__ == "__main__":
    main()
