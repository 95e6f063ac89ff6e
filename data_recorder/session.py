"""What the recorder is doing and may be asked: idle -> recording -> closing -> (reset ->) idle. No clock, no files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class State(StrEnum):
    """Where the recorder stands."""

    IDLE = "idle"
    RECORDING = "recording"
    CLOSING = "closing"
    RESET = "reset"


class Verb(StrEnum):
    """How an episode may end."""

    SUCCESS = "success"
    FAILURE = "failure"
    DISCARD = "discard"


INTERRUPTED = "recorder stopped"


@dataclass(frozen=True)
class Answer:
    """Whether a request was accepted, and the episode's name or the reason against it."""

    accepted: bool
    text: str


@dataclass(frozen=True)
class Take:
    """One recording from start to end.

    Attributes:
        name: Name of the episode.
        start_ns: Messages received from here on belong to it, system time.
        end_ns: Messages received up to here belong to it; None while recording.
        outcome: `success` or `failure`; None while recording and when discarded.
        reason: Why, in words.
        discarded: Whether nothing may be kept.
    """

    name: str
    start_ns: int
    end_ns: int | None = None
    outcome: str | None = None
    reason: str = ""
    discarded: bool = False


@dataclass(frozen=True)
class Result:
    """How the last recording ended: the folder of the episode, or '' with the error or `discarded`."""

    name: str = ""
    folder: str = ""
    outcome: str = ""
    error: str = ""


class Session:
    """The state machine. Answers at once; an accepted end is followed by `closed` or `failed`.

    Args:
        reset_s: How long the scene is set up anew after each episode, before the next may start; 0: not at all.
    """

    def __init__(self, reset_s: float = 0.0) -> None:
        self._reset_ns = round(reset_s * 1e9)
        self._reset_until_ns = 0
        self.state = State.IDLE
        self.take: Take | None = None
        self.result = Result()

    def start(self, now_ns: int, name: str, against: Sequence[str] = ()) -> Answer:
        """Begin an episode.

        Args:
            now_ns: System time.
            name: Name of the new episode.
            against: What stands against it, in words: a stream that is missing, a full disk.
        """
        if self.state is State.RESET:
            left_s = self.reset_left_s(now_ns)
            return Answer(False, f"the scene is being reset: {left_s:.1f} s left; allowed: ~/ready when it is done")
        if self.state is not State.IDLE:
            return Answer(False, f"not idle: {self.state}")
        if against:
            return Answer(False, "; ".join(against))
        self.state, self.take, self.result = State.RECORDING, Take(name, now_ns), Result()
        return Answer(True, name)

    def end(self, now_ns: int, verb: Verb, reason: str = "") -> Answer:
        """End the episode with an outcome, or discard it."""
        if self.state is not State.RECORDING or self.take is None:
            return Answer(False, f"not recording: {self.state}")
        outcome = None if verb is Verb.DISCARD else verb.value
        # The system clock may have been set back meanwhile; an episode never ends before it starts.
        end_ns = max(now_ns, self.take.start_ns)
        self.take = replace(self.take, end_ns=end_ns, outcome=outcome, reason=reason, discarded=outcome is None)
        self.state = State.CLOSING
        return Answer(True, self.take.name)

    def interrupt(self, now_ns: int) -> Answer:
        """End the episode because the recorder itself is being stopped."""
        return self.end(now_ns, Verb.FAILURE, INTERRUPTED)

    def closed(self, now_ns: int, folder: str) -> None:
        """The files of the ended episode are in place, or removed when it was discarded."""
        self._finish(now_ns, folder, "")

    def failed(self, now_ns: int, error: str) -> None:
        """The files could not be written; may also happen while recording."""
        self._finish(now_ns, "", error)

    def reset_left_s(self, now_ns: int) -> float:
        """How long the reset still takes, 0 outside of one."""
        return max(self._reset_until_ns - now_ns, 0) / 1e9 if self.state is State.RESET else 0.0

    def pass_time(self, now_ns: int) -> bool:
        """Let a reset end that is over; whether it did just now."""
        if self.state is not State.RESET or now_ns < self._reset_until_ns:
            return False
        self.state = State.IDLE
        return True

    def ready(self) -> Answer:
        """The scene is set up: the next episode may start."""
        if self.state is not State.RESET:
            return Answer(False, f"no reset is under way: {self.state}")
        self.state = State.IDLE
        return Answer(True, "ready")

    def may_review(self) -> Answer:
        """Whether the last episode may be reviewed; accepted with its folder."""
        if self.state not in (State.IDLE, State.RESET):
            return Answer(False, f"not now: {self.state}")
        if not self.result.folder:
            return Answer(False, "there is no episode to review: none has ended, or it was discarded")
        return Answer(True, self.result.folder)

    def reviewed(self, folder: str, outcome: str) -> None:
        """The last episode was relabelled, or taken out (then its folder is '')."""
        self.result = replace(self.result, folder=folder, outcome=outcome)

    def _finish(self, now_ns: int, folder: str, error: str) -> None:
        if self.take is None:
            return
        outcome = "error" if error else (self.take.outcome or "discarded")
        self.result = Result(self.take.name, folder, outcome, error)
        self._reset_until_ns = now_ns + self._reset_ns
        self.state, self.take = State.RESET if self._reset_ns else State.IDLE, None
