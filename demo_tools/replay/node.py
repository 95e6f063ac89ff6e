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

from arm_control.mover import plan_move
from demo_tools.dataset.ticks import EpisodeTicks, read_episode_ticks
from demo_tools.replay.judge import TopicJudge
from demo_tools.replay.player import LabelPlayer
from demo_tools.replay.tracking import lateness_report, tracking_report
from demo_tools.replay.verdict import EXIT_STATUS, Verdict
from learned_arm import cdr
from learned_arm.action import Reference
from learned_arm.alignment import Aligner, Refusal
from learned_arm.contract import Contract
from learned_arm.episode import Episode, load_episode
from learned_arm.errors import LearnedArmError
from learned_arm.observation import ObservationBuilder
from learned_arm.ros import messages, qos
from learned_arm.ros.door import DoorClient
from learned_arm.ros.node import is_lock_step, parameter, run
from learned_arm.ros.remote import RemoteNode
from learned_arm.ros.ticker import GridTicker
from learned_arm.timeline import Timeline, at_point

_POLL_S = 0.02
# More ticks than joint states can wait unread (`qos.newest`), so that what is checked and played is the present.
_SETTLE_TICKS = 5
_PATIENCE_S = 20.0


class Phase(Enum):
    """Where a replay is."""

    IDLE = "idle"
    LOADING = "loading"
    RESTORING = "restoring"
    ARRIVING = "arriving"
    ENGAGING = "engaging"
    MOVING = "moving"
    PLAYING = "playing"
    SETTLING = "settling"
    DONE = "done"


class ReplayNode(Node):
    """One replay at a time; `episode` is set first, then `~/start`."""

    def __init__(self) -> None:
        super().__init__("replay_node")
        parameter(self, "episode", "", "folder of the episode to replay")
        parameter(self, "tolerance_rad", 0.05, "largest distance of a joint from the recorded initial position")
        parameter(self, "speed_scale", 0.25, "share of the limits that the move to the initial position uses")
        self._exit_when_done = parameter(self, "exit_when_done", False, "start at once, end with the verdict's status")
        self._lock_step = is_lock_step(self)
        self._lock = threading.RLock()
        self._status = self.create_publisher(DiagnosticStatus, "~/status", qos.small())
        self._simulation = RemoteNode(self, "/sim_arm_node")
        self._simulation.prepare(reset=Trigger)
        self.create_service(Trigger, "~/start", self._on_start)
        self.create_service(Trigger, "~/abort", self._on_abort)
        self.finished = False
        self.exit_status = 0
        self._phase = Phase.IDLE
        self._phase_since_s = time.monotonic()
        self._verdict: Verdict | None = None
        self._folder = Path()
        self._contract: Contract | None = None
        self._door: DoorClient | None = None
        self._ticker: GridTicker | None = None
        self._loaded: tuple[Episode, EpisodeTicks] | LearnedArmError | None = None
        self._newest_tick_ns = 0
        self._answered_ns = 0
        self.create_timer(_POLL_S, self._on_poll, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._autostart = self._exit_when_done

    def _float(self, name: str) -> float:
        return self.get_parameter(name).get_parameter_value().double_value

    def close(self) -> None:
        """End the tick thread."""
        if self._ticker is not None:
            self._ticker.close()

    # -- services and polling ------------------------------------------------------------------------------------

    def _on_start(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._lock:
            if self._phase not in (Phase.IDLE, Phase.DONE):
                response.success, response.message = False, f"busy: {self._phase.value}"
                return response
            self._begin()
        response.success, response.message = True, self._folder.name
        return response

    def _on_abort(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._lock:
            running = self._phase not in (Phase.IDLE, Phase.DONE)
            if running:
                self._finish("aborted", "aborted by the operator")
        response.success, response.message = running, self._phase.value
        return response

    def _begin(self) -> None:
        self._folder = Path(str(self.get_parameter("episode").value))
        self._loaded, self._verdict = None, None
        self._judge = TopicJudge()
        self._replayed: list[NDArray[np.float64]] = []
        self._late_ns: list[int] = []
        self._initial_error: dict[str, float] = {}
        self._settled = 0
        self._goal_timeline: Timeline | None = None
        self._engaged = False
        self._to_phase(Phase.LOADING)
        threading.Thread(target=self._load, name="load", daemon=True).start()

    def _load(self) -> None:
        try:
            episode = load_episode(self._folder)
            self._loaded = (episode, read_episode_ticks(self._folder, episode.loaded_contract, images=False))
        except LearnedArmError as error:
            self._loaded = error

    def _on_poll(self) -> None:
        with self._lock:
            if self._autostart:
                self._autostart = False
                self._begin()
            if self._phase is Phase.LOADING and self._loaded is not None:
                self._take_loaded()
            waited_s = time.monotonic() - self._phase_since_s
            waiting = self._phase in (Phase.RESTORING, Phase.ARRIVING, Phase.ENGAGING)
            if waiting and waited_s > _PATIENCE_S:
                self._finish("refused", f"nothing happened for {_PATIENCE_S:.0f} s while {self._phase.value}")

    def _take_loaded(self) -> None:
        if isinstance(self._loaded, LearnedArmError):
            self._finish("refused", str(self._loaded))
            return
        assert self._loaded is not None
        self._episode, self._ticks = self._loaded
        contract = self._episode.loaded_contract
        try:
            self._connect(contract)
        except LearnedArmError as error:
            self._finish("refused", str(error))
            return
        ticks = self._ticks
        self._player = LabelPlayer(contract, ticks.targets, ticks.measured, ticks.commanded)
        self._to_phase(Phase.RESTORING)
        initial = self._episode.initial_state
        state = initial.sim_state if initial is not None else None
        if state is not None and self._simulation.ready:
            self._simulation.trigger(
                "reset", self._on_restored, {"reset_state": list(state), "reset_seed": -1, "decoy_seed": -1}
            )
        else:
            self._ask_door(Phase.MOVING)

    def _connect(self, contract: Contract) -> None:
        """Subscribe to the contract's joint states and success topic, once; a node serves one contract."""
        if self._contract is not None:
            if self._contract.hash != contract.hash:
                raise LearnedArmError(
                    "another contract than this node replays",
                    where=self._folder,
                    got=contract.hash,
                    allowed=self._contract.hash,
                )
            return
        self._contract = contract
        self._door = DoorClient(self, contract.robot, "replay")
        # Replay looks at joints only; images would cost time and change nothing.
        blind = replace(contract, cameras={})
        self._aligner, self._builder = Aligner(blind), ObservationBuilder(blind)
        for source in contract.robot.joint_states:
            topic = source.topic
            self.create_subscription(JointState, topic, self._joints_callback(topic), qos.newest(), raw=True)
        if contract.success.topic is not None:
            self.create_subscription(Bool, contract.success.topic, self._on_success, qos.small())
        if not self._lock_step:
            self._ticker = GridTicker(self, contract.period_ns, self._on_tick)

    # -- the restored state --------------------------------------------------------------------------------------

    def _on_restored(self, accepted: bool, message: str) -> None:
        with self._lock:
            if self._phase is not Phase.RESTORING:
                return
            if not accepted:
                self._finish("refused", f"the simulation was not restored: {message}")
                return
            self._settled = 0
            self._to_phase(Phase.ARRIVING)

    def _ask_door(self, then: Phase) -> None:
        assert self._door is not None
        self._to_phase(Phase.ENGAGING)

        def answered(accepted: bool, message: str) -> None:
            with self._lock:
                if self._phase is not Phase.ENGAGING:
                    return
                if not accepted:
                    self._finish("refused", f"no lease: {message}")
                    return
                self._engaged = True
                self._settled = 0
                self._to_phase(then)
                # The door may already wait for this tick.
                if self._lock_step and self._newest_tick_ns:
                    self._on_tick(self._newest_tick_ns, 0)

        self._door.engage(answered)

    # -- ticks ---------------------------------------------------------------------------------------------------

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

    def _on_success(self, message: Bool) -> None:
        with self._lock:
            if self._phase in (Phase.PLAYING, Phase.SETTLING):
                self._judge.observe(bool(message.data))

    def _on_tick(self, tick_ns: int, late_ns: int) -> None:
        with self._lock:
            if self._phase not in (Phase.ARRIVING, Phase.MOVING, Phase.PLAYING, Phase.SETTLING):
                # A lease that is being given back is still answered, or a lock-step simulation would wait for it.
                if self._engaged and self._door is not None:
                    self._door.send(tick_ns, None)
                return
            measured = self._measured(tick_ns)
            if measured is None:
                return
            if self._phase is Phase.ARRIVING:
                self._settled += 1
                if self._settled > _SETTLE_TICKS and self._check_initial(measured):
                    self._ask_door(Phase.PLAYING)
                return
            timeline = self._targets(tick_ns, late_ns, measured)
            if self._engaged and self._door is not None:
                self._door.send(tick_ns, timeline)

    def _targets(self, tick_ns: int, late_ns: int, measured: NDArray[np.float64]) -> Timeline | None:
        assert self._contract is not None
        if self._phase is Phase.MOVING:
            return self._move(tick_ns, measured)
        if not self._replayed and self._settled < _SETTLE_TICKS:
            self._settled += 1
            return at_point(tick_ns + self._contract.period_ns, measured)
        return self._play(tick_ns, late_ns, measured)

    def _measured(self, tick_ns: int) -> NDArray[np.float64] | None:
        now_ns = None if self._lock_step else time.monotonic_ns()
        aligned = self._aligner.sample(tick_ns, now_ns)
        try:
            if isinstance(aligned, Refusal):
                raise LearnedArmError(str(aligned))
            return self._builder.measured(aligned)
        except LearnedArmError as error:
            self._finish("failed" if self._phase is Phase.PLAYING else "refused", f"no joint state: {error}")
            return None

    def _check_initial(self, measured: NDArray[np.float64]) -> bool:
        assert self._contract is not None
        error = np.abs(measured - self._ticks.measured[0])
        self._initial_error = dict(zip(self._contract.robot.joints, error.tolist(), strict=True))
        tolerance = self._float("tolerance_rad")
        worst = max(self._initial_error, key=lambda joint: self._initial_error[joint])
        if self._initial_error[worst] > tolerance:
            far = self._initial_error[worst]
            self._finish("refused", f"initial state not reached: {worst} is {far:.4f} rad off, allowed {tolerance} rad")
            return False
        return True

    def _move(self, tick_ns: int, measured: NDArray[np.float64]) -> Timeline | None:
        """The jerk-limited way to the recorded initial position."""
        assert self._contract is not None
        goal = self._ticks.measured[0]
        if self._goal_timeline is None:
            scale = self._float("speed_scale")
            try:
                self._goal_timeline = plan_move(self._contract.robot, measured, goal, tick_ns, speed_scale=scale)
            except LearnedArmError as error:
                self._finish("refused", str(error))
                return None
        arrived_ns = tick_ns - self._goal_timeline.end_ns
        if arrived_ns < 0:
            return self._goal_timeline
        if arrived_ns < _SETTLE_TICKS * self._contract.period_ns:
            return at_point(tick_ns + self._contract.period_ns, goal)
        if not self._check_initial(measured):
            return None
        self._to_phase(Phase.PLAYING)
        return self._play(tick_ns, 0, measured)

    def _play(self, tick_ns: int, late_ns: int, measured: NDArray[np.float64]) -> Timeline | None:
        assert self._contract is not None
        index = len(self._replayed)
        if index < len(self._player):
            commanded = self._last_target if index else measured
            timeline = self._player.step(index, tick_ns, Reference(measured, commanded))
            self._replayed.append(measured)
            self._late_ns.append(late_ns)
            self._last_target = timeline.positions_rad[0]
            return timeline
        if self._phase is Phase.PLAYING:
            self._to_phase(Phase.SETTLING)
            self._settled = 0
        self._settled += 1
        if self._settled > _SETTLE_TICKS:
            self._judge_and_finish()
            return None
        return at_point(tick_ns + self._contract.period_ns, self._last_target)

    # -- the end -------------------------------------------------------------------------------------------------

    def _judge_and_finish(self) -> None:
        judgement = self._judge.judge()
        self._judgement = judgement.evidence
        recorded = self._episode.outcome == "success"
        if judgement.success == recorded:
            self._finish("passed", "the recorded outcome was reproduced")
        else:
            self._finish(
                "failed", f"recorded {self._episode.outcome}, replayed {'success' if judgement.success else 'failure'}"
            )

    def _finish(self, verdict: str, reason: str) -> None:
        loaded = self._loaded if isinstance(self._loaded, tuple) else None
        contract = self._contract
        facts = {}
        if loaded is not None and contract is not None:
            action = contract.action
            facts = {
                "tracking": tracking_report(
                    contract.robot.joints,
                    self._ticks.measured,
                    np.array(self._replayed).reshape(-1, contract.robot.dof),
                ),
                "labels": {
                    "source": action.source,
                    "representation": action.representation,
                    "dtype": "float32",
                    "execute_ticks": self._player.execute_ticks,
                },
            }
        self._verdict = Verdict(
            verdict=verdict,
            reason=reason,
            contract_hash=loaded[0].contract_hash if loaded else "",
            messages_hash=loaded[0].messages_hash if loaded else "",
            recorded_outcome=loaded[0].outcome if loaded else "",
            initial_error_rad=self._initial_error,
            lateness=lateness_report(self._late_ns),
            judgement=getattr(self, "_judgement", {}),
            **facts,
        )
        if loaded is not None:
            self._verdict.save(self._folder)
        self._to_phase(Phase.DONE)
        self.get_logger().info(f"{self._folder.name}: {verdict}, {reason}")
        if self._engaged and self._door is not None:
            self._door.release(self._on_released)
        else:
            self._end()

    def _on_released(self, accepted: bool, message: str) -> None:
        with self._lock:
            self._engaged = False
            if not accepted:
                self.get_logger().error(f"lease not given back: {message}")
            self._end()

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
        if verdict is not None:
            values |= {"verdict": verdict.verdict, "reason": verdict.reason}
        level = "ok" if verdict is None or verdict.verdict == "passed" else "warn"
        self._status.publish(messages.status("replay_node", level, self._phase.value, values))


def main() -> int:
    """Entry point."""
    return run(ReplayNode)


if __name__ == "__main__":
    raise SystemExit(main())
