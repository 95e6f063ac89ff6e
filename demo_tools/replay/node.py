"""replay_node: restores an episode's initial state, plays its labels through the door, judges, writes the verdict."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from numpy.typing import NDArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from demo_tools.dataset.ticks import EpisodeTicks, read_episode_ticks
from demo_tools.replay.examiner import Examiner
from demo_tools.replay.eyes import Eyes
from demo_tools.replay.judge import GoalImageJudge, Images, Look
from demo_tools.replay.keepsakes import TRACES_NAME, save_traces
from demo_tools.replay.playback import SETTLE_TICKS, Playback
from demo_tools.replay.player import PRECISIONS, Manner
from demo_tools.replay.preflight import Preflight
from demo_tools.replay.session_look import end_images, session_look
from demo_tools.replay.verdict import EXIT_STATUS, LABELS, STREAMS, Verdict
from demo_tools.replay.verdict import SENT as SENT_STREAM
from learned_arm import cdr
from learned_arm.alignment import Aligner, Refusal
from learned_arm.contract import Contract, load_contract
from learned_arm.episode import SENT, Episode, episode_folders, load_episode
from learned_arm.errors import LearnedArmError
from learned_arm.observation import JointOrder, ObservationBuilder
from learned_arm.ros import messages, qos
from learned_arm.ros.door import DoorClient
from learned_arm.ros.node import is_lock_step, parameter, run
from learned_arm.ros.remote import RemoteNode
from learned_arm.ros.ticker import GRACE_NS, GridTicker

_POLL_S = 0.02
_PATIENCE_S = 20.0
_DISCOVERY_S = 10.0
# A real arm has no simulation to wait for, and its replay begins this much later.
_SIMULATION_DISCOVERY_S = 2.0


class Phase(Enum):
    """Where a replay is."""

    IDLE = "idle"
    LOADING = "loading"
    FINDING = "finding"
    CHECKING = "checking"
    RESTORING = "restoring"
    ARRIVING = "arriving"
    ENGAGING = "engaging"
    PLAYING = "playing"
    DONE = "done"


_WAITING = (Phase.CHECKING, Phase.RESTORING, Phase.ARRIVING, Phase.ENGAGING)


class ReplayNode(Node):
    """One replay at a time; `episode` is set first, then `~/start`."""

    def __init__(self) -> None:
        super().__init__("replay_node")
        parameter(self, "episode", "", "folder of the episode to replay")
        parameter(self, "stream", LABELS, "what is played: labels, or sent: what the door sent, at its own rate")
        parameter(self, "contract", "", "labels of this contract (name or YAML path); empty: the episode's")
        parameter(self, "precision", "float32", "what labels are rounded to: float32 or float16")
        parameter(self, "hold", False, "keep each target until the next one instead of a straight line to it")
        parameter(self, "shift_ticks", 0, "by how many ticks later than labelled targets are played")
        parameter(self, "verdict_folder", "", "folder that the verdict goes to; empty: the episode's")
        parameter(self, "cameras", True, "look through the contract's cameras: for the page and for the goal image")
        parameter(
            self, "overlay", False, "hold at the initial position and publish ~/overlay until ~/confirm is called"
        )
        parameter(self, "calibrated_on", "", "folder of the session whose ends tell what solved looks like: goal_image")
        parameter(self, "tolerance_rad", 0.05, "largest distance of a joint from the recorded initial position")
        parameter(self, "preflight", True, "compare what runs with what was recorded, and refuse another robot")
        parameter(self, "speed_scale", 0.25, "share of the limits that the move to the initial position uses")
        self._exit_when_done = bool(
            parameter(self, "exit_when_done", False, "start at once, end with the verdict's status")
        )
        self.finished = False
        self.exit_status = 0
        self._lock_step = is_lock_step(self)
        self._lock = threading.RLock()
        self._status = self.create_publisher(DiagnosticStatus, "~/status", qos.small())
        self._simulation = RemoteNode(self, "/sim_arm_node")
        self._simulation.prepare(reset=Trigger)
        self.create_service(Trigger, "~/start", self._on_start)
        self.create_service(Trigger, "~/abort", self._on_abort)
        self.create_service(Trigger, "~/confirm", self._on_confirm)
        self._eyes = Eyes(self, self._guarded)
        self._phase, self._phase_since_s = Phase.IDLE, time.monotonic()
        self._folder = Path()
        self._forget()
        self._contract: Contract | None = None
        self._ticker: GridTicker | None = None
        self._newest_tick_ns = 0
        self._autostart = self._exit_when_done
        self.create_timer(_POLL_S, self._on_poll, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def close(self) -> None:
        """End the tick thread and what looks at the robot."""
        if self._contract is not None:
            self._examiner.close()
        if self._ticker is not None:
            self._ticker.close()

    def _guarded(self, act: Callable[[], None]) -> None:
        with self._lock:
            act()

    def _forget(self) -> None:
        """Nothing of the replay before."""
        self._episode: Episode | None = None
        self._look: Look | None = None
        self._goal: Images = {}
        self._first: Images = {}
        self._eyes.forget()
        self._loaded: EpisodeTicks | LearnedArmError | None = None
        self._playback: Playback | None = None
        self._verdict: Verdict | None = None
        self._preflight: Preflight | None = None
        self._engaged = False
        self._settled = 0

    # -- services and polling ------------------------------------------------------------------------------------

    def _on_start(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._lock:
            response.success = self._phase in (Phase.IDLE, Phase.DONE) and not self._engaged
            if response.success:
                self._begin()
            response.message = self._folder.name if response.success else f"busy: {self._phase.value}"
        return response

    def _on_abort(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._lock:
            response.success = self._phase not in (Phase.IDLE, Phase.DONE)
            if response.success:
                self._finish("aborted", "aborted by the operator")
            response.message = self._phase.value
        return response

    def _on_confirm(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._lock:
            playback = self._playback
            response.success = playback is not None and playback.waits
            if playback is not None and response.success:
                playback.confirm()
            response.message = self._eyes.alike if response.success else "nothing to confirm"
        return response

    def _begin(self) -> None:
        self._forget()
        self._folder = Path(self._text("episode"))
        self._to_phase(Phase.LOADING)
        threading.Thread(target=self._load, name="load", daemon=True).start()

    def _load(self) -> None:
        """Read the bag beside the executor, so that services go on answering."""
        try:
            if self._stream() not in STREAMS:
                raise LearnedArmError("no such stream", where="stream", got=self._stream(), allowed=list(STREAMS))
            episode = self._episode = load_episode(self._folder)
            contract = self._played_under(episode)
            if self._stream() == SENT_STREAM:
                contract = replace(contract, action=replace(contract.action, source="sent"))
            if self._asks():
                self._first = end_images(self._folder, contract, last=False)
            if contract.success.judge == "goal_image":
                session = self._text("calibrated_on") or self._folder.parent
                self._look = session_look(episode_folders([Path(session)]), contract)
                self._goal = end_images(self._folder, contract)
            self._loaded = read_episode_ticks(self._folder, contract, images=False)
        except LearnedArmError as error:
            self._loaded = error

    def _played_under(self, episode: Episode) -> Contract:
        name = self._text("contract")
        return load_contract(name) if name else episode.loaded_contract

    def _text(self, name: str) -> str:
        return self.get_parameter(name).get_parameter_value().string_value

    def _stream(self) -> str:
        return self._text("stream")

    def _asks(self) -> bool:
        return self.get_parameter("overlay").get_parameter_value().bool_value

    def _manner(self) -> Manner:
        precision, shift = self._text("precision"), self.get_parameter("shift_ticks").get_parameter_value()
        if precision not in PRECISIONS:
            raise LearnedArmError("no such precision", where="precision", got=precision, allowed=list(PRECISIONS))
        hold = self.get_parameter("hold").get_parameter_value().bool_value
        return Manner(precision=precision, hold=hold, shift_ticks=shift.integer_value)

    def _on_poll(self) -> None:
        with self._lock:
            if self._autostart:
                self._autostart = False
                self._begin()
            try:
                if self._phase is Phase.LOADING and self._loaded is not None:
                    self._take_loaded()
                if self._phase is Phase.FINDING:
                    self._look_around()
                if self._phase is Phase.CHECKING:
                    self._examine()
            except LearnedArmError as error:
                self._finish("refused", str(error))
            if self._phase in _WAITING and time.monotonic() - self._phase_since_s > _PATIENCE_S:
                self._finish("refused", f"nothing happened for {_PATIENCE_S:.0f} s while {self._phase.value}")

    def _take_loaded(self) -> None:
        if isinstance(self._loaded, LearnedArmError):
            raise self._loaded
        episode = self._episode
        assert episode is not None
        self._connect(self._played_under(episode))
        self._to_phase(Phase.FINDING)

    def _look_around(self) -> None:
        """Go on once the door is there, and the simulation where the episode has a state for it."""
        waited_s = time.monotonic() - self._phase_since_s
        if not self._door.ready:
            if waited_s > _DISCOVERY_S:
                self._finish("refused", "arm_node is not there: start it, and check ROS_DOMAIN_ID")
            return
        episode = self._episode
        assert episode is not None and isinstance(self._loaded, EpisodeTicks)
        initial = episode.initial_state
        state = list(initial.sim_state) if initial is not None and initial.sim_state is not None else []
        if state and not self._simulation.ready and waited_s < _SIMULATION_DISCOVERY_S:
            return
        if self._preflight is None and self.get_parameter("preflight").get_parameter_value().bool_value:
            self._examiner.begin()
            self._to_phase(Phase.CHECKING)
            return
        restore = bool(state) and self._simulation.ready
        self._playback = Playback(
            episode,
            self._loaded,
            tolerance_rad=self.get_parameter("tolerance_rad").get_parameter_value().double_value,
            speed_scale=self.get_parameter("speed_scale").get_parameter_value().double_value,
            move=not restore,
            contract=self._contract,
            manner=self._manner(),
            stream=self._stream(),
            goal=None if self._look is None else GoalImageJudge(self._look, self._goal),
            confirm=self._asks(),
        )
        self._eyes.watch(self._playback, self._first)
        if restore:
            self._to_phase(Phase.RESTORING)
            where = {"reset_state": state, "reset_seed": -1, "decoy_seed": -1}
            self._simulation.trigger("reset", self._on_restored, where)
        else:
            self._ask_door()

    def _examine(self) -> None:
        """Go on once the robot that runs is known to be the one that was recorded, or what it is tested for."""
        found = self._examiner.compared_with(self._folder)
        if found is None:
            return
        self._preflight = found
        if found.refusal:
            self._finish("refused", found.refusal)
            return
        for each in found.tests:
            self.get_logger().warning(f"{self._folder.name}: this replay tests {each}")
        self._to_phase(Phase.FINDING)

    def _connect(self, contract: Contract) -> None:
        """Subscribe to the contract's joint states and success topic, once; a node serves one contract."""
        if self._contract is not None:
            if self._contract.hash != contract.hash:
                here = self._contract.hash
                raise LearnedArmError(
                    "this node replays another contract", where=self._folder, got=contract.hash, allowed=here
                )
            return
        self._contract = contract
        self._examiner = Examiner(self, contract, as_asked=bool(self._text("contract")))
        self._door = DoorClient(self, contract.robot, "replay")
        # Replay looks at joints only; images would cost time and change nothing.
        blind = replace(contract, cameras={})
        self._aligner, self._builder = Aligner(blind), ObservationBuilder(blind)
        for source in contract.robot.joint_states:
            on_joints = self._joints_callback(source.topic)
            self.create_subscription(JointState, source.topic, on_joints, qos.newest(), raw=True)
        self._sent_order = JointOrder(contract.robot.joints)
        self.create_subscription(JointState, SENT, self._on_sent, qos.small(), raw=True)
        if self.get_parameter("cameras").get_parameter_value().bool_value:
            self._eyes.open(contract, self._lock_step)
        if contract.success.topic is not None:
            self.create_subscription(Bool, contract.success.topic, self._on_success, qos.small())
        if not self._lock_step:
            self._ticker = GridTicker(self, contract.period_ns, self._on_tick, grace_ns=GRACE_NS)

    # -- the restored state and the lease --------------------------------------------------------------------------

    def _on_restored(self, accepted: bool, message: str) -> None:
        with self._lock:
            if self._phase is not Phase.RESTORING:
                return
            if accepted:
                self._to_phase(Phase.ARRIVING)
            else:
                self._finish("refused", f"the simulation was not restored: {message}")

    def _ask_door(self) -> None:
        def answered(accepted: bool, message: str) -> None:
            with self._lock:
                self._engaged = accepted
                if self._phase is not Phase.ENGAGING:
                    # Aborted meanwhile: a lease that came too late goes back.
                    self._release()
                elif not accepted:
                    self._finish("refused", f"no lease: {message}")
                else:
                    self._to_phase(Phase.PLAYING)
                    # The door may already wait for this tick.
                    if self._lock_step and self._newest_tick_ns:
                        self._on_tick(self._newest_tick_ns, 0)

        self._to_phase(Phase.ENGAGING)
        self._door.engage(answered)

    def _release(self) -> None:
        def released(accepted: bool, message: str) -> None:
            with self._lock:
                self._engaged = False
                if not accepted:
                    self.get_logger().error(f"lease not given back: {message}")
                self._end()

        if self._engaged:
            self._door.release(released)
        else:
            self._end()

    # -- ticks -----------------------------------------------------------------------------------------------------

    def _joints_callback(self, topic: str) -> Callable[[bytes], None]:
        def on_joints(raw: bytes) -> None:
            with self._lock:
                assert self._contract is not None
                stamp_ns = cdr.header_stamp_ns(raw)
                self._aligner.push(topic, stamp_ns, time.monotonic_ns(), raw)
                if self._lock_step and stamp_ns % self._contract.period_ns == 0 and self._aligner.reached(stamp_ns):
                    self._newest_tick_ns = stamp_ns
                    self._on_tick(stamp_ns, 0)

        return on_joints

    def _on_sent(self, raw: bytes) -> None:
        with self._lock:
            playback = self._playback
            if playback is None or not playback.playing:
                return
            try:
                view = cdr.read_joint_state(raw)
                # Without names nothing was commanded at this control tick.
                if view.names:
                    playback.obeyed(view.stamp_ns, self._sent_order.positions(view.names, view.position))
            except LearnedArmError as error:
                self.get_logger().error(f"{SENT} refused: {error}", throttle_duration_sec=1.0)

    def _on_success(self, message: Bool) -> None:
        with self._lock:
            if self._playback is not None:
                self._playback.observe(bool(message.data))

    def _on_tick(self, tick_ns: int, late_ns: int) -> None:
        with self._lock:
            if self._engaged and tick_ns < self._door.first_tick_ns:
                return
            playback = self._playback
            timeline = None
            if playback is not None and self._phase in (Phase.ARRIVING, Phase.PLAYING):
                measured = self._measured(tick_ns, playback)
                if measured is not None and self._phase is Phase.ARRIVING:
                    self._settled += 1
                    if self._settled > SETTLE_TICKS and playback.arrived(measured):
                        self._ask_door()
                elif measured is not None:
                    timeline = playback.step(tick_ns, late_ns, measured)
                    if self._eyes.tick(tick_ns):
                        self._publish_status()
            if self._engaged:
                # Also while the lease is being given back: in lock-step the door waits for every tick's answer.
                self._door.send(tick_ns, timeline)
            if playback is not None and playback.outcome is not None and self._phase is not Phase.DONE:
                self._finish(*playback.outcome)

    def _measured(self, tick_ns: int, playback: Playback) -> NDArray[np.float64] | None:
        aligned = self._aligner.sample(tick_ns, None if self._lock_step else time.monotonic_ns())
        try:
            if isinstance(aligned, Refusal):
                raise LearnedArmError(str(aligned))
            return self._builder.measured(aligned)
        except LearnedArmError as error:
            playback.fail(f"no joint state: {error}")
            return None

    # -- the end ---------------------------------------------------------------------------------------------------

    def _finish(self, verdict: str, reason: str) -> None:
        if self._playback is not None:
            self._verdict = self._playback.verdict(verdict, reason)
        elif self._episode is not None:
            episode = self._episode
            self._verdict = Verdict(
                verdict,
                reason,
                episode.contract_hash,
                episode.messages_hash,
                episode.outcome,
                labels={"stream": self._stream()},
            )
        else:
            self._verdict = Verdict(verdict, reason, "", "", "")
        if self._preflight is not None:
            self._verdict = replace(self._verdict, preflight=self._preflight.statement())
        if self._episode is not None:
            into = self._text("verdict_folder")
            folder = Path(into) if into else self._folder
            folder.mkdir(parents=True, exist_ok=True)
            self._verdict.save(folder)
            self._leave_keepsakes(folder)
        self._to_phase(Phase.DONE)
        self.get_logger().info(f"{self._folder.name}: {verdict}, {reason}")
        self._release()

    def _leave_keepsakes(self, folder: Path) -> None:
        """Traces and frames are for looking at: a verdict stands without them."""
        try:
            (folder / TRACES_NAME).unlink(missing_ok=True)
            if self._playback is not None and self._playback.played:
                save_traces(self._playback.evidence(), folder)
            self._eyes.save(folder)
        except (OSError, LearnedArmError) as error:
            self.get_logger().error(f"{folder}: no traces or frames: {error}")

    def _end(self) -> None:
        self._publish_status()
        if self._exit_when_done and self._verdict is not None:
            self.exit_status = EXIT_STATUS[self._verdict.verdict]
            self.finished = True

    def _to_phase(self, phase: Phase) -> None:
        self._phase, self._phase_since_s = phase, time.monotonic()
        if phase is not Phase.DONE:
            self._publish_status()

    def _publish_status(self) -> None:
        verdict = self._verdict
        values = {"state": self._phase.value, "episode": str(self._folder)}
        if self._playback is not None and self._playback.waits:
            values |= {"confirm": self._eyes.alike}
        if verdict is not None:
            values |= {"verdict": verdict.verdict, "reason": verdict.reason}
        level = "ok" if verdict is None or verdict.verdict == "passed" else "warn"
        self._status.publish(messages.status("replay_node", level, self._phase.value, values))


def main() -> int:
    """Entry point."""
    return run(ReplayNode)


if __name__ == "__main__":
    raise SystemExit(main())
