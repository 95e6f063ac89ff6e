"""The faults: how each is caused on real processes, what must follow, and how soon."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.faults.rig import ARM, DEADMAN_TIMEOUT_S, DRIVER, JOYSTICK, POLICY, Rig
from benchmarks.faults.world import CAMERA_MAX_AGE_S, CHUNK_TICKS, JOINTS_MAX_AGE_S, MODE_CAMERA
from learned_arm.clock_watch import LARGEST_FUTURE_NS
from learned_arm.commander import SOURCE_TIMEOUT_S
from learned_arm.door_state import State
from learned_policy_node.scheduler import Rules

CAMERA = f"{MODE_CAMERA}_camera"
_LOOKS_S = 0.6
_PAUSE_S = 0.6


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: In the table.
        required: What must happen, in words.
        strike: Causes it and returns when, monotonic, ns.
        states: Of the door, any of which is the reaction; empty: the arm must go on.
        reason: Expression that the door's or the policy's words must match.
        after_s: What passes by rule before anybody may react: ages, timeouts, the rest of a timeline.
        still_after_s: The same until the arm may be braked; `after_s` unless something stops it earlier or later.
        mend: Takes the cause away, before the arm is armed again.
        check: What else must hold while the fault lasts, in words what does not.
        kills: The process that dies of it and must start anew.
        latched: Whether nobody may engage before somebody has cleared it.
    """

    name: str
    required: str
    strike: Callable[[Rig], int]
    states: tuple[State, ...]
    reason: str
    after_s: float
    still_after_s: float | None = None
    mend: Callable[[Rig], object] = Rig.restore
    check: Callable[[Rig], str] = lambda _rig: ""
    kills: str = ""
    latched: bool = False

    @property
    def may_move_s(self) -> float:
        """How long the arm may move on before it is braked."""
        return self.after_s if self.still_after_s is None else self.still_after_s

    @property
    def goes_on(self) -> bool:
        """Whether the arm must not be stopped by it."""
        return not self.states


_HOLDS = (State.HOLDING,)
# The policy refuses and the door watches: for a lost stream of joints either may be first to stop the arm.
_TICK_S = 0.05
_LEAD_S = (Rules().lead_ticks + 1) * _TICK_S
_CHUNK_S = (CHUNK_TICKS + Rules().hold_ticks + 1) * _TICK_S


def _told(part: str, fault: str) -> Callable[[Rig], int]:
    return lambda rig: rig.observer.strike(part, fault)


def _stopped(process: str) -> Callable[[Rig], int]:
    return lambda rig: rig.stop(process)


def _continued(process: str) -> Callable[[Rig], object]:
    return lambda rig: rig.signal(process, signal.SIGCONT)


def _killed(process: str) -> Callable[[Rig], int]:
    return lambda rig: rig.kill(process)


def _started(process: str) -> Callable[[Rig], object]:
    return lambda rig: rig.start(process)


def _camera(fault: str, required: str, reason: str, after_s: float = 0.0, name: str = "") -> Fault:
    return Fault(name or f"camera: {fault}", required, _told(CAMERA, fault), _HOLDS, reason, after_s)


def _model(fault: str, reason: str, after_s: float = 0.0) -> Fault:
    required = "nothing of it is played, fault latched"
    return Fault(f"model: {fault}", required, _told(CAMERA, fault), _HOLDS, reason, after_s)


def _joints(fault: str, after_s: float = JOINTS_MAX_AGE_S, name: str = "") -> Fault:
    required = "the door latches a fault"
    states, reason = (State.FAULT,), "joint states silent"
    return Fault(name or f"joints: {fault}", required, _told(DRIVER, fault), states, reason, after_s, latched=True)


def _joints_of_another_time(fault: str, reason: str) -> Fault:
    required = "the door stops, to be armed again"
    return Fault(f"joints: {fault}", required, _told(DRIVER, fault), (State.STOPPED,), reason, 0.0, latched=True)


def _clock(name: str, sign: int) -> Fault:
    # Whoever reads the clock first sees it jump; stamps of the moment before then lie in the future or the past.
    reason = "clock jumped|in the future|run backward"
    required = "the door stops, buffers are cleared, to be armed again"
    return Fault(name, required, lambda rig: rig.jump(sign), (State.STOPPED,), reason, 0.0, latched=True)


def _refused_settings(rig: Rig, node: str, **settings: object) -> str:
    for key, value in settings.items():
        accepted, words = rig.observer.set(node, **{key: value})
        if accepted:
            return f"{node} took {key}={value}"
        if words == "no answer":
            return f"{node} did not answer"
    return ""


def _overtakes(rig: Rig) -> str:
    before = int(rig.observer.value(POLICY, "out_of_order"))
    seen = rig.observer.until(lambda: int(rig.observer.value(POLICY, "out_of_order")) > before, 2.0)
    return "" if seen else "no picture was counted as out of order"


def _wakes_harmless(process: str, rig: Rig) -> str:
    """A process that went on after a stop must not move the arm by itself."""
    woken_ns = rig.signal(process, signal.SIGCONT)
    rig.observer.spin(_LOOKS_S)
    return "the arm moved when it went on" if rig.observer.moved_ns(woken_ns) is not None else ""


def _frees_the_door(rig: Rig) -> str:
    accepted, words = rig.engage_as("home")
    rig.engage_as("home", False)
    return "" if accepted else f"the door stayed locked: {words}"


def _stop_and_go_on(rig: Rig) -> int:
    rig.stop(ARM)
    rig.observer.spin(_PAUSE_S)
    return rig.signal(ARM, signal.SIGCONT)


def _nobody_engages(rig: Rig) -> str:
    for source in ("home", "teleop"):
        accepted, words = rig.engage_as(source)
        if accepted or "clear_fault first" not in words:
            return f"{source} was answered: {words}"
    accepted, words = rig.observer.engage(POLICY)
    return f"the policy was answered: {words}" if accepted else ""


def _now(_rig: Rig) -> int:
    return time.monotonic_ns()


_STALE = "stale|silent|no message old enough"
_FROZEN_S = JOINTS_MAX_AGE_S * 2 + LARGEST_FUTURE_NS / 1e9

FAULTS: tuple[Fault, ...] = (
    _camera("frozen", "hold: the frame is too old", _STALE, CAMERA_MAX_AGE_S, "camera: the same frame again and again"),
    _camera("silent", "hold: the frame is too old", _STALE, CAMERA_MAX_AGE_S, "camera: sends nothing"),
    _camera("future", "reject, clear, hold until reset", "in the future", 0.0, "camera: stamps 10 s ahead"),
    _camera("backward", "reject, clear, hold until reset", "run backward", 0.0, "camera: stamps 10 s back"),
    _camera("step", "refuse the picture, hold", "sizes do not fit", 0.0, "camera: step*height lies"),
    _camera("size", "refuse the picture, hold", "sizes do not fit", 0.0, "camera: claims 2^31 rows"),
    _camera("encoding", "refuse the picture, hold", "unknown image encoding", 0.0, "camera: unknown encoding"),
    Fault(
        "camera: frames overtake each other",
        "drop, count, go on",
        _told(CAMERA, "disorder"),
        (),
        "",
        0.0,
        check=_overtakes,
    ),
    Fault(
        "camera: SIGSTOP",
        "hold: the frame is too old",
        _stopped(CAMERA),
        _HOLDS,
        _STALE,
        CAMERA_MAX_AGE_S,
        mend=_continued(CAMERA),
    ),
    Fault(
        "camera: SIGKILL",
        "hold: the frame is too old",
        _killed(CAMERA),
        _HOLDS,
        _STALE,
        CAMERA_MAX_AGE_S,
        mend=_started(CAMERA),
        kills=CAMERA,
    ),
    _joints("silent", name="joints: silent"),
    _joints("frozen", _FROZEN_S, "joints: the same stamp again and again"),
    Fault("joints: in another order every time", "match by name, go on", _told(DRIVER, "reordered"), (), "", 0.0),
    _joints("missing", name="joints: one is missing"),
    _joints("duplicate", name="joints: one is named twice"),
    _joints("nan", name="joints: NaN"),
    _joints_of_another_time("future", "in the future"),
    _joints_of_another_time("backward", "run backward"),
    Fault(
        "driver: SIGSTOP",
        "the door latches a fault",
        _stopped(DRIVER),
        (State.FAULT,),
        "joint states silent",
        JOINTS_MAX_AGE_S,
        mend=_continued(DRIVER),
        latched=True,
    ),
    Fault(
        "driver: SIGKILL",
        "the door latches a fault",
        _killed(DRIVER),
        (State.FAULT,),
        "joint states silent",
        JOINTS_MAX_AGE_S,
        mend=_started(DRIVER),
        kills=DRIVER,
        latched=True,
    ),
    _model("nan", "not finite"),
    _model("infinite", "not finite"),
    _model("short", "wrong output"),
    _model("hangs", "hung", _CHUNK_S),
    Fault(
        "model: slower than its chunk",
        "the plan runs out: hold, stop",
        _told(CAMERA, "slow"),
        _HOLDS,
        "plan ran out|hung",
        _CHUNK_S,
    ),
    Fault(
        "policy: SIGSTOP, then SIGCONT",
        "its timeline ends, lease taken; awake it moves nothing",
        _stopped(POLICY),
        (State.READY,),
        "policy silent",
        _LEAD_S + SOURCE_TIMEOUT_S,
        _LEAD_S,
        mend=_now,
        check=partial(_wakes_harmless, POLICY),
    ),
    Fault(
        "policy: SIGKILL",
        "its timeline ends, lease taken, free for others",
        _killed(POLICY),
        (State.READY,),
        "policy silent",
        _LEAD_S + SOURCE_TIMEOUT_S,
        _LEAD_S,
        mend=_started(POLICY),
        check=_frees_the_door,
        kills=POLICY,
    ),
    Fault(
        "door: SIGSTOP, then SIGCONT",
        "begins at rest, to be armed again",
        _stop_and_go_on,
        (State.STOPPED, State.FAULT),
        "stood still|joint states silent",
        0.0,
        mend=_now,
        latched=True,
    ),
    Fault(
        "deadman released",
        "lease taken",
        _told(JOYSTICK, "released"),
        (State.READY,),
        "deadman released",
        0.05,
    ),
    Fault(
        "joystick unplugged",
        "lease taken",
        _told(JOYSTICK, "silent"),
        (State.READY,),
        "deadman silent",
        DEADMAN_TIMEOUT_S,
    ),
    _clock("clock set 2 s forward", +1),
    _clock("clock set 2 s back", -1),
    Fault(
        "door: bad parameters while it runs",
        "refused, go on",
        _now,
        (),
        "",
        0.0,
        check=lambda rig: _refused_settings(
            rig, ARM, source="ghost", deadman_timeout_s=100.0, source_timeout_s=-1.0, contract="x", use_sim_time=True
        ),
    ),
    Fault(
        "policy: bad parameters while it runs",
        "refused, go on",
        _now,
        (),
        "",
        0.0,
        check=lambda rig: _refused_settings(
            rig,
            POLICY,
            execution="hope",
            execute_steps=0,
            ensemble_decay=float("nan"),
            ensemble_order="random",
            lead_ticks=0,
            max_jump_rad=float("nan"),
            hold_ticks=-1,
            added_latency_ms=-1.0,
            intra_op_threads=100,
            provider="abacus",
            inference_timeout_s=0.0,
            use_sim_time=True,
        ),
    ),
    Fault(
        "engage while faulted",
        "refused to everybody",
        _told(DRIVER, "silent"),
        (State.FAULT,),
        "joint states silent",
        JOINTS_MAX_AGE_S,
        check=_nobody_engages,
        latched=True,
    ),
)
