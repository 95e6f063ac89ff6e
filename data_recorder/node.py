"""recorder_node: raw bytes of the contract's topics to episodes on disk.

Its own clock is the system's also when the rest runs on simulated time: bags are logged by receive stamps,
and content is chosen by header stamps later.
"""

from __future__ import annotations

import secrets
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Joy
from std_srvs.srv import Trigger

from data_recorder import definitions, review, settings
from data_recorder.background import Compressor
from data_recorder.buttons import Buttons
from data_recorder.disk_file import require_room
from data_recorder.episode_writer import RECORDING_SUFFIX, Draft, Received
from data_recorder.guards import DiskGuard, IdleGuard
from data_recorder.inbox import Inbox
from data_recorder.intake import Intake
from data_recorder.monitor import Monitor
from data_recorder.pre_roll import PreRoll
from data_recorder.report import Standing, level, values, words
from data_recorder.rosbag2_metadata import Topic
from data_recorder.scribe import Begin, Done, End, Scribe, Snapshot
from data_recorder.session import INTERRUPTED, Answer, Session, Verb
from data_recorder.session_log import TAKEN_OUT, SessionLog
from data_recorder.subscriber import Subscriber
from data_recorder.topics import TopicSelection
from data_recorder.watch import Watch
from learned_arm.episode import Episode, episode_folder, episode_name
from learned_arm.errors import LearnedArmError
from learned_arm.kept_memory import keep_freed_memory
from learned_arm.ros import messages, qos
from learned_arm.ros.capture import Capture
from learned_arm.ros.node import run

_STATUS_PERIOD_S = 0.2


class RecorderNode(Node):
    """Three threads: `Intake` takes, `Scribe` writes, the executor answers services and tells the status."""

    def __init__(self) -> None:
        # On simulated time rclpy would spend a wake-up on every /clock message, and no logic here needs that
        # time.
        super().__init__("recorder_node", parameter_overrides=[Parameter("use_sim_time", value=False)])
        self._settings = given = settings.declare(self)
        selection = TopicSelection(given.contract, given.extra_topics, given.topic_pattern, given.exclude_pattern)
        self._warn_of_unfinished()

        self._session = Session(given.reset_s)
        idle = IdleGuard(given.contract.robot, given.idle_warn_s, given.idle_end_s)
        self._watch = Watch(Monitor(given.needed_hz, given.stale_s), idle)
        self._disk = DiskGuard(given.reserve_bytes)
        self._pre_roll = PreRoll(given.pre_roll_s, given.pre_roll_bytes)
        self._compressor = Compressor()
        self._buttons = Buttons(given.buttons)
        self._log: SessionLog | None = None
        if given.session:
            operator = self._text("operator")
            self._log = SessionLog(self._root, given.session, operator, given.targets, time.time_ns())
        self._recorded = 0
        self._recording = self._starts_next = False
        self._lost: int | None = None
        self._waits_for = ""
        self._pending_end: End | None = None
        self._finished: deque[Done] = deque()
        self._actions: dict[str, Callable[[], Answer]] = {
            "start": self._start,
            **{verb.value: partial(self._end, verb) for verb in Verb},
            "ready": self._ready,
            "keep": partial(self._review, ""),
            "relabel_success": partial(self._review, "success"),
            "relabel_failure": partial(self._review, "failure"),
            "take_out": self._take_out,
        }

        self._status = self.create_publisher(DiagnosticStatus, "~/status", qos.small())
        self._ended = self.create_guard_condition(self._on_ended)
        for name in settings.ACTIONS:
            self.create_service(Trigger, f"~/{name}", partial(self._on_request, name))
        if given.buttons:
            self.create_subscription(Joy, given.buttons_topic, self._on_joy, qos_profile_sensor_data)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        # One timer for all that comes by and by: to wake an executor costs more than most of it.
        self.create_timer(_STATUS_PERIOD_S, self._on_time, clock=steady)

        # Threads come last: whatever fails above must end the process.
        string = "std_msgs/msg/String"
        schema = definitions.schema_text(string), definitions.type_hash(string)
        self._capture = Capture(self, given.contract)
        self._inbox = Inbox(given.queue_bytes)
        self._scribe = Scribe(self._inbox, schema, self._tell, lambda: self._topics.counts())
        self._intake = Intake(self, self._deliver)
        self._topics = Subscriber(self, self._intake, selection, self._on_topic)
        self._discover()

    def close(self) -> None:
        """Finish the episode that is being recorded, then end both threads."""
        with self._intake.lock:
            now_ns = time.time_ns()
            self._intake.take(now_ns)
            if self._session.interrupt(now_ns).accepted:
                self._prepare_end()
        if self._pending_end is not None:
            # Nobody answers any more: the executor has stopped.
            self._put_end({"unreachable": INTERRUPTED})
        self._intake.stop()
        self._scribe.stop()
        self._capture.close()
        self._on_ended()
        self._compressor.stop()

    @property
    def _root(self) -> Path:
        return Path(self._text("root")).expanduser()

    def _text(self, name: str) -> str:
        return str(self.get_parameter(name).value)

    def _warn_of_unfinished(self) -> None:
        for folder in sorted(self._root.glob(f"*/*{RECORDING_SUFFIX}")):
            self.get_logger().warning(f"unfinished episode {folder}: recover it, or remove it")

    # Topics

    def _discover(self) -> None:
        self._topics.discover()
        if self._recording:
            self._topics.count_publishers()

    def _on_topic(self, topic: Topic) -> None:
        if self._recording:
            self._inbox.put_command(topic)

    def _deliver(self, batch: list[Received]) -> None:
        """On the intake's thread."""
        self._watch.see(batch)
        if self._recording:
            self._recorded += len(batch)
            self._inbox.put_messages(batch)
        else:
            self._pre_roll.add(batch)

    # Requests: by service, by button, by a guard

    def _on_request(self, name: str, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        answer = self._actions[name]()
        response.success, response.message = answer.accepted, answer.text
        self._publish_status()
        return response

    def _on_joy(self, message: Joy) -> None:
        for name in self._buttons.pressed(message.buttons):
            answer = self._actions[name]()
            say = self.get_logger().info if answer.accepted else self.get_logger().warning
            say(f"button {name}: {answer.text}")
            self._publish_status()

    def _start(self) -> Answer:
        episode_id = secrets.token_hex(16)
        name = episode_name(time.time_ns(), episode_id)
        root, task = self._root, self._text("task")
        try:
            require_room(episode_folder(root, task, name))
            against = [self._disk.objection(_free_bytes(root))]
        except (LearnedArmError, OSError) as error:
            return Answer(False, str(error))
        self._discover()
        with self._intake.lock:
            # Only now: what the intake's thread has delivered by here is from before the start.
            now_ns = time.time_ns()
            self._intake.take(now_ns)
            against += self._watch.monitor.against_start(now_ns)
            answer = self._session.start(now_ns, name, list(filter(None, against)))
            if answer.accepted:
                self._begin(root, task, episode_id, name, now_ns)
        if answer.accepted:
            self._compressor.pause()
            self._capture.begin(partial(self._on_snapshot, name))
        return answer

    def _begin(self, root: Path, task: str, episode_id: str, name: str, now_ns: int) -> None:
        pre_roll = self._pre_roll.take(now_ns)
        first_ns = min(pre_roll[0].received_ns, now_ns) if pre_roll else now_ns
        # What is latched and was received in the pre-roll is in it.
        latched = [each for each in self._intake.latched() if not pre_roll or each.received_ns < first_ns]
        draft = Draft(
            id=episode_id,
            name=name,
            task=task,
            contract=self._settings.contract.canonical(),
            contract_hash=self._settings.contract.hash,
            operator=self._text("operator"),
            notes=self._text("notes"),
            policy=self._text("policy") or None,
            start_ns=now_ns,
            pre_roll_ns=now_ns - first_ns,
            session=self._settings.session,
        )
        before = [*latched, *pre_roll]
        self._inbox.clear_dropped()
        self._inbox.put_command(
            Begin(root, draft, self._settings.contract, tuple(self._topics.offers.values()), before)
        )
        self._recorded, self._lost, self._waits_for = len(before), None, ""
        self._topics.begin()
        self._watch.idle.begin(now_ns)
        self._recording, self._starts_next = True, False

    def _end(self, verb: Verb, reason: str | None = None) -> Answer:
        with self._intake.lock:
            now_ns = time.time_ns()
            if self._recording:
                self._intake.take(now_ns)
            answer = self._session.end(now_ns, verb, self._text("reason") if reason is None else reason)
            if answer.accepted:
                self._prepare_end()
        if answer.accepted and verb is Verb.DISCARD:
            self._put_end(None)
        elif answer.accepted:
            self._capture.begin(self._put_end)
        return answer

    def _prepare_end(self) -> None:
        """From here on nothing more belongs to the episode; it ends when the robot has been looked at."""
        self._recording = False
        assert self._session.take is not None
        publishers, lost = self._topics.count_publishers(), dict(self._topics.transport_lost)
        self._pending_end = End(self._session.take, self._text("notes"), publishers, lost)

    def _put_end(self, snapshot: Mapping[str, Any] | None) -> None:
        end, self._pending_end = self._pending_end, None
        if end is None:
            return
        if snapshot is not None:
            self._inbox.put_command(Snapshot("end", snapshot))
        self._inbox.put_command(end)

    def _on_snapshot(self, name: str, snapshot: Mapping[str, Any]) -> None:
        take = self._session.take
        # An episode may end before the robot has been looked at: then what it was then counts for its start too.
        if take is not None and take.name == name:
            self._inbox.put_command(Snapshot("start", snapshot))

    def _ready(self) -> Answer:
        answer = self._session.ready()
        self._starts_next = answer.accepted and self._settings.auto_start
        return answer

    def _review(self, outcome: str) -> Answer:
        """Relabel the last episode, or keep it as it is ('')."""
        answer = self._session.may_review()
        if not answer.accepted:
            return answer
        outcome = outcome or self._session.result.outcome
        try:
            now_ns = time.time_ns()
            review.relabel(Path(answer.text), outcome, self._text("operator"), self._text("reason"), now_ns)
            if self._log is not None:
                self._log.relabel(self._session.result.name, outcome, now_ns)
        except (LearnedArmError, OSError) as error:
            return Answer(False, str(error))
        self._session.reviewed(answer.text, outcome)
        return Answer(True, f"{self._session.result.name} is a {outcome}")

    def _take_out(self) -> Answer:
        answer = self._session.may_review()
        if not answer.accepted:
            return answer
        try:
            self._compressor.forget(Path(answer.text))
            target = review.take_out(Path(answer.text))
            if self._log is not None:
                self._log.relabel(self._session.result.name, TAKEN_OUT, time.time_ns())
        except (LearnedArmError, OSError) as error:
            return Answer(False, str(error))
        self._session.reviewed("", TAKEN_OUT)
        return Answer(True, f"now {target}; its old name brings it back")

    # What happens by itself

    def _on_time(self) -> None:
        self._discover()
        now_ns = time.time_ns()
        if self._recording:
            # What is watched changes on the intake's thread.
            with self._intake.lock:
                idle = self._watch.idle.why_end(now_ns)
            reason = self._disk.objection(_free_bytes(self._root)) or idle
            if reason:
                self.get_logger().warning(f"the episode ends: {reason}")
                self._end(Verb.FAILURE, reason)
        if self._session.pass_time(now_ns):
            self._starts_next = self._settings.auto_start
        if self._starts_next:
            self._start_next()
        self._compressor.poll()
        self._publish_status()

    def _start_next(self) -> None:
        left = self._log.left(self._text("task")) if self._log is not None else None
        if left == 0:
            self._starts_next, self._waits_for = False, "nothing: the target is reached"
            return
        answer = self._start()
        if not answer.accepted:
            self._waits_for = answer.text

    def _tell(self, done: Done) -> None:
        """On the scribe's thread."""
        self._finished.append(done)
        self._ended.trigger()

    def _on_ended(self) -> None:
        while self._finished:
            done = self._finished.popleft()
            if self._session.take is None or self._session.take.name != done.name:
                continue
            now_ns = time.time_ns()
            if done.error:
                self._recording, self._pending_end = False, None
                self._session.failed(now_ns, done.error)
                self.get_logger().error(f"episode {done.name}: {done.error}")
            elif done.episode is None:
                self._session.closed(now_ns, "")
            else:
                self._session.closed(now_ns, str(done.episode.folder))
                if self._settings.compress and done.episode.folder is not None:
                    self._compressor.add(done.episode.folder)
            if done.episode is not None:
                # On a full disk there are both: the episode so far, and the error that ended it.
                self._tell_of(done.episode)
            self._compressor.go_on()
            self._publish_status()

    def _tell_of(self, episode: Episode) -> None:
        self._lost = episode.lost_messages
        say = self.get_logger().warning
        if episode.lossy:
            say(f"episode {episode.name}: messages lost on {', '.join(episode.lossy)}")
        for change in episode.changed:
            say(f"episode {episode.name}: changed meanwhile: {change}")
        try:
            if self._log is not None:
                self._log.add(episode)
        except OSError as error:
            self.get_logger().error(f"{self._log.path if self._log else ''}: {error}")

    def _publish_status(self) -> None:
        now_ns = time.time_ns()
        losses = self._scribe.losses(self._topics.counts()[0]) if self._recording else {}
        with self._intake.lock:
            streams = self._watch.monitor.look(now_ns)
            idle = self._watch.idle.warning(now_ns) if self._recording else ""
        standing = Standing(
            session=self._session,
            now_ns=now_ns,
            messages=self._recorded,
            losses=losses,
            lost=self._lost,
            transport_lost=sum(self._topics.transport_lost.values()),
            dropped=sum(self._inbox.dropped().values()),
            waiting_bytes=self._inbox.waiting_bytes,
            topics=len(self._topics.offers),
            unrecordable=tuple(self._topics.unrecordable),
            interventions=self._scribe.interventions,
            streams=streams,
            idle=idle,
            free_bytes=_free_bytes(self._root),
            waits_for=self._waits_for,
            left=self._log.left(self._text("task")) if self._log is not None else None,
            compressing=self._compressor.left,
            compression_failures=tuple(self._compressor.failures.items()),
        )
        status = messages.status("recorder_node", level(standing), words(standing), values(standing))
        self._status.publish(status)


def _free_bytes(root: Path) -> int:
    return shutil.disk_usage(settings.existing_parent(root)).free


def main() -> None:
    """Entry point of `ros2 run learned_arm recorder_node`."""
    keep_freed_memory()
    sys.exit(run(RecorderNode))


if __name__ == "__main__":
    main()
