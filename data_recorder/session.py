"""What the recorder is doing and may be asked: idle -> recording -> closing -> idle. No clock, no files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class State(StrEnum):
    """Where the recorder stands."""

    IDLE = "idle"
    RECORDING = "recording"
    CLOSING = "closing"


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
    """The state machine. Answers at once; an accepted end is followed by `closed` or `failed`."""

    def __init__(self) -> None:
        self.state = State.IDLE
        self.take: Take | None = None
        self.result = Result()

    def start(self, now_ns: int, name: str, silent: Sequence[str] = ()) -> Answer:
        """Begin an episode.

        Args:
            now_ns: System time.
            name: Name of the new episode.
            silent: Streams that the contract needs and that are not arriving: reason to refuse.
        """
        if self.state is not State.IDLE:
            return Answer(False, f"not idle: {self.state}")
        if silent:
            return Answer(False, f"no messages on {', '.join(silent)}")
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

    def closed(self, folder: str) -> None:
        """The files of the ended episode are in place, or removed when it was discarded."""
        self._finish(folder, "")

    def failed(self, error: str) -> None:
        """The files could not be written; may also happen while recording."""
        self._finish("", error)

    def _finish(self, folder: str, error: str) -> None:
        if self.take is None:
            return
        outcome = "error" if error else (self.take.outcome or "discarded")
        self.result = Result(self.take.name, folder, outcome, error)
        self.state, self.take = State.IDLE, None
