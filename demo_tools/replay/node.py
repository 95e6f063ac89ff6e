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
from std_srvs.srv import Trigger

from demo_tools.replay.examiner import Examiner
from demo_tools.replay.eyes import Eyes
from demo_tools.replay.keepsakes import TRACES_NAME, save_traces
from demo_tools.replay.lease import Lease
from demo_tools.replay.loading import Asked, Loaded, load
from demo_tools.replay.playback import SETTLE_TICKS, Playback
from demo_tools.replay.preflight import Preflight
from demo_tools.replay.senses import Senses, Told
from demo_tools.replay.settings import asked, declare
from demo_tools.replay.verdict import EXIT_STATUS, LABELS, Verdict
from learned_arm.contract import Contract
from learned_arm.episode import Episode, load_episode
from learned_arm.errors import LearnedArmError
from learned_arm.ros import messages, qos
from learned_arm.ros.door import DoorClient
from learned_arm.ros.node import is_lock_step, parameter, run
from learned_arm.ros.remote import RemoteNode

_POLL_S = 0.02
_STATUS_PERIOD_S = 0.5
_PATIENCE_S = 20.0
_DISCOVERY_S = 10.0
# A real arm has no simulation to wait for, and its replay begins this much later.
_SIMULATION_DISCOVERY_S = 2.0
# A door that does not answer keeps no verdict from being written.
_ANSWER_S = 2.0
_UNWRITTEN = 2


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
_RESTING = (Phase.IDLE, Phase.DONE)


class ReplayNode(Node):
    """One replay at a time; `episode` is set first, then `~/start`.

    However a replay ends, the lease goes back first, so that the arm holds; then the verdict is written.
    """

    def __init__(self) -> None:
        super().__init__("replay_node")
        declare(self)
        self._exit_when_done = bool(
            parameter(self, "exit_when_done", False, "start at once, end with the verdict's status")
        )
        self.finished = False
        self.exit_status = 0
        self._lock_step = is_lock_step(self)
        self._lock = threading.RLock()
        self._status = self.create_publisher(DiagnosticStatus, "~/status", qos.small())
        self._told_s = 0.0
        self._simulation = RemoteNode(self, "/sim_arm_node")
        self._simulation.prepare(reset=Trigger)
        self.create_service(Trigger, "~/start", self._on_start)
        self.create_service(Trigger, "~/abort", self._on_abort)
        self.create_service(Trigger, "~/confirm", self._on_confirm)
        self.create_service(Trigger, "~/success", self._on_word(True))
        self.create_service(Trigger, "~/failure", self._on_word(False))
        self._eyes = Eyes(self, self._guarded)
        self._phase, self._phase_since_s = Phase.IDLE, time.monotonic()
        self._lease: Lease | None = None
        self._forget()
        self._contract: Contract | None = None
        self._autostart = self._exit_when_done
        self.create_timer(_POLL_S, self._on_poll, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def close(self) -> None:
        """End a replay that is under way, the tick thread and what looks at the robot."""
        with self._lock:
            if self._lease is not None:
                # Nobody waits for the answer to a release any more; this ends what the door still has to play.
                self._lease.send(self.get_clock().now().nanoseconds, None)
            if self._phase not in _RESTING:
                self._finish("aborted", "replay_node was stopped")
            if self._ended is not None:
                self._conclude()
        if self._contract is not None:
            self._examiner.close()
            self._senses.close()

    def _guarded(self, act: Callable[[], None]) -> None:
        with self._lock:
            act()

    def _forget(self) -> None:
        """Nothing of the replay before."""
        self._asked: Asked | None = None
        self._episode: Episode | None = None
        self._loaded: Loaded | LearnedArmError | None = None
        self._eyes.forget()
        self._playback: Playback | None = None
        self._ended: tuple[str, str] | None = None
        self._verdict: Verdict | None = None
        self._preflight: Preflight | None = None
        self._settled = 0
        self._felt_since_s: float | None = None

    # -- services and polling ------------------------------------------------------------------------------------

    def _on_start(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._lock:
            response.success = self._phase in _RESTING and not self._under_way
            if response.success:
                self._begin()
            response.message = self._name if response.success else f"busy: {self._phase.value}"
        return response

    def _on_abort(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        with self._lock:
            response.success = self._phase not in _RESTING
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

    def _on_word(self, success: bool) -> Callable[[Trigger.Request, Trigger.Response], Trigger.Response]:
        def said(_request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            with self._lock:
                playback = self._playback
                response.success = playback is not None and playback.asks
                if playback is not None and response.success:
                    playback.say(success)
                response.message = self._name if response.success else "nobody was asked how it ended"
            return response

        return said

    @property
    def _name(self) -> str:
        return "" if self._asked is None else self._asked.episode.name

    @property
    def _under_way(self) -> bool:
        """Whether the lease is ours, or will be, or the verdict is still to be written."""
        return self._leased or self._ended is not None

    @property
    def _leased(self) -> bool:
        return self._lease is not None and self._lease.under_way

    def _begin(self) -> None:
        self._forget()
        try:
            wanted = self._asked = asked(self)
            self._episode = load_episode(wanted.episode)
        except LearnedArmError as error:
            self._finish("refused", str(error))
            return
        self._to_phase(Phase.LOADING)
        threading.Thread(target=self._load, args=(wanted, self._episode), name="load", daemon=True).start()

    def _load(self, wanted: Asked, episode: Episode) -> None:
        """Read the bag beside the executor, so that services go on answering."""
        try:
            found = load(wanted, episode)
        except LearnedArmError as error:
            found = error
        except Exception as error:  # Whatever it is: nobody waits for a thread that has died.
            found = LearnedArmError("cannot be loaded", where=wanted.episode, got=f"{type(error).__name__}: {error}")
        with self._lock:
            # Aborted meanwhile, and another one begun: this is not what that one waits for.
            if self._asked is wanted:
                self._loaded = found

    def _on_poll(self) -> None:
        with self._lock:
            if self._autostart:
                self._autostart = False
                self._begin()
            try:
                if self._phase is Phase.LOADING and self._loaded is not None:
                    self._take_loaded(self._loaded)
                if self._phase is Phase.FINDING:
                    self._look_around()
                if self._phase is Phase.CHECKING:
                    self._examine()
            except LearnedArmError as error:
                self._finish("refused", str(error))
            waited_s = time.monotonic() - self._phase_since_s
            if self._phase in _WAITING and waited_s > _PATIENCE_S:
                self._finish("refused", f"nothing happened for {_PATIENCE_S:.0f} s while {self._phase.value}")
            if self._ended is not None and self._lease is not None and self._leased and waited_s > _ANSWER_S:
                self.get_logger().error("arm_node does not answer: whether it has the lease back is not known")
                self._lease.forget()
            if self._ended is not None and not self._leased:
                self._conclude()
            # Whoever comes in the middle of it is told too.
            if self._phase not in _RESTING and time.monotonic() - self._told_s > _STATUS_PERIOD_S:
                self._publish_status()

    def _take_loaded(self, loaded: Loaded | LearnedArmError) -> None:
        if isinstance(loaded, LearnedArmError):
            raise loaded
        self._connect(loaded)
        self._to_phase(Phase.FINDING)

    def _look_around(self) -> None:
        """Go on once the door and the arm are there, and the simulation where the episode has a state for it."""
        now_s = time.monotonic()
        waited_s = now_s - self._phase_since_s
        if not self._door.ready:
            if waited_s > _DISCOVERY_S:
                self._finish("refused", "arm_node is not there: start it, and check ROS_DOMAIN_ID")
            return
        missing = self._senses.missing(self.get_clock().now().nanoseconds)
        if missing is not None:
            if waited_s > _DISCOVERY_S:
                self._finish("refused", f"{missing}, for {_DISCOVERY_S:.0f} s")
            return
        wanted, loaded = self._asked, self._loaded
        assert wanted is not None and isinstance(loaded, Loaded)
        if self._felt_since_s is None:
            self._felt_since_s = now_s
        initial = loaded.episode.initial_state
        state = list(initial.sim_state) if initial is not None and initial.sim_state is not None else []
        if state and not self._simulation.ready and now_s - self._felt_since_s < _SIMULATION_DISCOVERY_S:
            return
        if self._preflight is None and wanted.preflight:
            self._examiner.begin()
            self._to_phase(Phase.CHECKING)
            return
        restore = bool(state) and self._simulation.ready
        self._playback = Playback(
            loaded.episode,
            loaded.ticks,
            tolerance_rad=wanted.tolerance_rad,
            speed_scale=wanted.speed_scale,
            move=not restore,
            contract=loaded.contract,
            manner=wanted.manner,
            stream=wanted.stream,
            goal=loaded.goal,
            confirm=wanted.overlay,
            mover=loaded.mover,
        )
        self._eyes.watch(self._playback, loaded.first)
        if restore:
            self._to_phase(Phase.RESTORING)
            where = {"reset_state": state, "reset_seed": -1, "decoy_seed": -1}
            self._simulation.trigger("reset", self._on_restored, where)
        else:
            self._ask_door()

    def _examine(self) -> None:
        """Go on once the robot that runs is known to be the one that was recorded, or what it is tested for."""
        wanted = self._asked
        assert wanted is not None
        found = self._examiner.compared_with(wanted.episode, relabelled=bool(wanted.contract))
        if found is None:
            return
        self._preflight = found
        if found.refusal:
            self._finish("refused", found.refusal)
            return
        for each in found.tests:
            self.get_logger().warning(f"{self._name}: this replay tests {each}")
        self._to_phase(Phase.FINDING)

    def _connect(self, loaded: Loaded) -> None:
        """Subscribe to the contract's joint states and success topic, once; a node serves one contract."""
        contract = loaded.contract
        if self._contract is not None:
            if self._contract.hash != contract.hash:
                here, where = self._contract.hash, loaded.episode.name
                raise LearnedArmError(
                    "this node replays another contract", where=where, got=contract.hash, allowed=here
                )
            return
        self._examiner = Examiner(self, contract)
        self._door = DoorClient(self, contract.robot, "replay")
        if self._asked is not None and self._asked.cameras:
            self._eyes.open(contract, self._lock_step)
        self._lease = Lease(self._door, self._guarded, self.get_logger())
        told = Told(tick=self._on_tick, sent=self._on_sent, success=self._on_success)
        self._senses = Senses(self, contract, self._lock_step, self._guarded, told)
        # Last: a node that is half connected is not connected.
        self._contract = contract

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
        assert self._lease is not None
        self._to_phase(Phase.ENGAGING)
        self._lease.ask(self._on_answer)

    def _on_answer(self, accepted: bool, message: str) -> None:
        if not accepted:
            self._finish("refused", f"no lease: {message}")
            return
        self._to_phase(Phase.PLAYING)
        # The door may already wait for this tick.
        if self._senses.newest_tick_ns:
            self._on_tick(self._senses.newest_tick_ns, 0)

    # -- ticks -----------------------------------------------------------------------------------------------------

    def _on_sent(self, stamp_ns: int, sent_rad: NDArray[np.float64]) -> None:
        if self._playback is not None:
            self._playback.obeyed(stamp_ns, sent_rad)

    def _on_success(self, success: bool) -> None:
        if self._playback is not None:
            self._playback.observe(success)

    def _on_tick(self, tick_ns: int, late_ns: int) -> None:
        lease = self._lease
        assert lease is not None
        if lease.held and tick_ns < lease.first_tick_ns:
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
                asked_before = playback.asks
                timeline = playback.step(tick_ns, late_ns, measured)
                if self._eyes.tick(tick_ns) or playback.asks is not asked_before:
                    self._publish_status()
        # Also while the lease is being given back: in lock-step the door waits for every tick's answer.
        lease.send(tick_ns, timeline)
        if playback is not None and playback.outcome is not None and self._phase is not Phase.DONE:
            self._finish(*playback.outcome)

    def _measured(self, tick_ns: int, playback: Playback) -> NDArray[np.float64] | None:
        try:
            return self._senses.measured(tick_ns)
        except LearnedArmError as error:
            playback.fail(f"no joint state: {error}")
            return None

    # -- the end ---------------------------------------------------------------------------------------------------

    def _finish(self, verdict: str, reason: str) -> None:
        """Give the lease back; what is to be said about it is written once the door has answered."""
        if self._playback is not None:
            # Nothing that comes from now on is part of it.
            self._playback.outcome = (verdict, reason)
        self._ended = (verdict, reason)
        self._to_phase(Phase.DONE)
        if self._lease is not None:
            self._lease.give_back()

    def _conclude(self) -> None:
        assert self._ended is not None
        (verdict, reason), self._ended = self._ended, None
        stream = LABELS if self._asked is None else self._asked.stream
        said = (
            Verdict.unplayed(verdict, reason, self._episode, stream)
            if self._playback is None
            else self._playback.verdict(verdict, reason)
        )
        if self._preflight is not None:
            said = replace(said, preflight=self._preflight.statement())
        self._verdict, self.exit_status = said, EXIT_STATUS[verdict]
        if self._asked is not None and self._episode is not None:
            self._leave(said, self._asked.into)
        self.get_logger().info(f"{self._name}: {verdict}, {reason}")
        self._publish_status()
        self.finished = self._exit_when_done

    def _leave(self, said: Verdict, folder: Path) -> None:
        """The verdict, then what is for looking at: a verdict stands without traces and frames."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            said.save(folder)
        except OSError as error:
            self.get_logger().error(f"{folder}: the verdict cannot be written: {error}")
            self.exit_status = _UNWRITTEN
            return
        try:
            (folder / TRACES_NAME).unlink(missing_ok=True)
            if self._playback is not None and self._playback.played:
                save_traces(self._playback.evidence(), folder)
            self._eyes.save(folder)
        except (OSError, LearnedArmError) as error:
            self.get_logger().error(f"{folder}: no traces or frames: {error}")

    def _to_phase(self, phase: Phase) -> None:
        self._phase, self._phase_since_s = phase, time.monotonic()
        if phase is not Phase.DONE:
            self._publish_status()

    def _publish_status(self) -> None:
        self._told_s = time.monotonic()
        verdict = self._verdict
        values = {"state": self._phase.value, "episode": "" if self._asked is None else str(self._asked.episode)}
        if self._playback is not None and self._playback.waits:
            values |= {"confirm": self._eyes.alike}
        if self._playback is not None and self._playback.asks:
            values |= {"asks": "how did it end? ~/success or ~/failure"}
        if verdict is not None:
            values |= {"verdict": verdict.verdict, "reason": verdict.reason}
        level = "ok" if verdict is None or verdict.verdict == "passed" else "warn"
        self._status.publish(messages.status("replay_node", level, self._phase.value, values))


def main() -> int:
    """Entry point."""
    return run(ReplayNode)


if __name__ == "__main__":
    raise SystemExit(main())
