"""What the recorder tells in its status, from plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from data_recorder.monitor import Health, StreamHealth
from data_recorder.session import Session, State


@dataclass(frozen=True)
class Standing:
    """How the recorder stands.

    Attributes:
        session: Its state machine.
        now_ns: System time.
        messages: In the running episode, or the last one.
        losses: By topic the messages missing so far in the running episode, None where they cannot be counted.
        lost: Messages missing in the last episode, None while one is running.
        transport_lost: Messages whose loss the middleware reported.
        dropped: Messages that found the queue full.
        waiting_bytes: Payload that waits for the disk.
        topics: Topics subscribed to.
        unrecordable: Topics whose type is not installed.
        interventions: How often a person took over.
        streams: By topic of the contract how it is.
        idle: A warning about an arm that does nothing, or ''.
        free_bytes: On the disk.
        waits_for: What the next episode of a session waits for.
        left: Successes that the session still wants of the task, None without a target.
        compressing: Episodes that are compressed or wait for it.
        compression_failures: Folders that could not be, and why.
    """

    session: Session
    now_ns: int
    messages: int
    losses: Mapping[str, int | None]
    lost: int | None
    transport_lost: int
    dropped: int
    waiting_bytes: int
    topics: int
    unrecordable: tuple[str, ...]
    interventions: int
    streams: Mapping[str, StreamHealth]
    idle: str
    free_bytes: int
    waits_for: str
    left: int | None
    compressing: int
    compression_failures: tuple[tuple[str, str], ...]

    @property
    def lost_messages(self) -> int | None:
        """Of the running episode, or of the last one; None before the first."""
        return sum(each or 0 for each in self.losses.values()) if self.losses else self.lost

    @property
    def uncounted(self) -> list[str]:
        """Topics of the running episode whose losses cannot be counted."""
        return sorted(topic for topic, lost in self.losses.items() if lost is None)

    @property
    def ill(self) -> list[str]:
        """Streams of the contract that are not as they must be, in words."""
        return [f"{topic} {each}" for topic, each in self.streams.items() if each.health is not Health.OK]


def level(standing: Standing) -> str:
    """`ok`, `warn` or `error`."""
    if standing.session.result.error:
        return "error"
    recording = standing.session.state is State.RECORDING
    lossy = standing.dropped or standing.transport_lost or (recording and standing.lost_messages)
    sick = lossy or standing.idle or (recording and standing.ill)
    return "warn" if sick or standing.unrecordable or standing.compression_failures else "ok"


def words(standing: Standing) -> str:
    """The most urgent in one line."""
    session = standing.session
    if session.result.error:
        return session.result.error
    if session.state is not State.RECORDING:
        left_s = session.reset_left_s(standing.now_ns)
        return f"reset: {left_s:.1f} s left" if session.state is State.RESET else session.state.value
    assert session.take is not None
    troubles = [*standing.ill, standing.idle]
    return "; ".join([f"recording {session.take.name}", *filter(None, troubles)])


def values(standing: Standing) -> dict[str, object]:
    """The entries of the status."""
    session, result = standing.session, standing.session.result
    recording = session.state is State.RECORDING and session.take is not None
    seconds = (standing.now_ns - session.take.start_ns) / 1e9 if recording and session.take is not None else 0.0
    lost = standing.lost_messages
    return {
        "state": session.state.value,
        "episode_name": session.take.name if session.take is not None else result.name,
        "episode": result.folder,
        "outcome": result.outcome,
        "error": result.error,
        "seconds": f"{seconds:.1f}",
        "lost_messages": "" if lost is None else lost,
        "uncounted": ",".join(standing.uncounted),
        "transport_lost": standing.transport_lost,
        "messages": standing.messages,
        "interventions": standing.interventions,
        "dropped": standing.dropped,
        "waiting_bytes": standing.waiting_bytes,
        "topics": standing.topics,
        "unrecordable": ",".join(sorted(standing.unrecordable)),
        "free_mb": standing.free_bytes // 1_000_000,
        "idle": standing.idle,
        "waits_for": standing.waits_for,
        "left": "" if standing.left is None else standing.left,
        "reset_left_s": f"{session.reset_left_s(standing.now_ns):.1f}",
        "compressing": standing.compressing,
        "compression_failures": "; ".join(f"{folder}: {why}" for folder, why in standing.compression_failures),
        **{f"stream {topic}": str(each) for topic, each in standing.streams.items()},
    }
