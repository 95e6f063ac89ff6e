"""The thread that writes: takes batches and commands from the inbox, one episode after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_recorder.disk_file import OUT_OF_ROOM
from data_recorder.episode_writer import Draft, EpisodeWriter, Received
from data_recorder.inbox import Inbox
from data_recorder.rosbag2_metadata import Topic
from data_recorder.session import Take
from learned_arm.contract import Contract
from learned_arm.episode import Episode
from learned_arm.errors import LearnedArmError

DISK_FULL = "the disk is full"


@dataclass(frozen=True)
class Begin:
    """Start an episode: its draft, the topics known so far, and what was received before: latched, then pre-roll."""

    root: Path
    draft: Draft
    contract: Contract
    topics: Sequence[Topic]
    before: Sequence[Received]


@dataclass(frozen=True)
class Snapshot:
    """What was running at a moment of the episode, `start` or `end`."""

    moment: str
    content: Mapping[str, Any]


@dataclass(frozen=True)
class End:
    """End an episode as its take says."""

    take: Take
    notes: str
    publishers: Mapping[str, int]
    transport_lost: Mapping[str, int]


@dataclass(frozen=True)
class Done:
    """How an episode ended: the episode itself, nothing when discarded, or the error.

    On a full disk there may be both: the episode as far as it went, and the error that ended it.
    """

    name: str
    episode: Episode | None = None
    error: str = ""


class Scribe:
    """Runs until `stop`.

    Args:
        inbox: Where batches (lists of `Received`), `Topic`, `Begin`, `Snapshot` and `End` come from.
        provenance_schema: Definition and type hash of std_msgs/msg/String.
        done: Called from this thread when an episode has ended.
        counts: By topic so far the most publishers, and what the transport lost, for an episode that ends by itself.

    Attributes:
        interventions: How often a person took over, in the running episode or in the last one.
    """

    def __init__(
        self,
        inbox: Inbox,
        provenance_schema: tuple[str, str] | None,
        done: Callable[[Done], None],
        counts: Callable[[], tuple[Mapping[str, int], Mapping[str, int]]],
    ) -> None:
        self._inbox = inbox
        self._schema = provenance_schema
        self._done = done
        self._counts = counts
        self._writer: EpisodeWriter | None = None
        self.interventions = 0
        self._thread = threading.Thread(target=self._run, name="scribe")
        self._thread.start()

    def losses(self, publishers: Mapping[str, int]) -> dict[str, int | None]:
        """By topic the messages missing so far in the running episode; see `EpisodeWriter.losses`."""
        writer = self._writer
        return writer.losses(publishers) if writer is not None else {}

    def stop(self) -> None:
        """Write what waits, and end."""
        self._inbox.put_command(None)
        self._thread.join()

    def _run(self) -> None:
        while (item := self._inbox.take()) is not None:
            try:
                self._handle(item)
            except Exception as error:
                self._fail(item, error)
        if self._writer is not None:
            self._writer.abandon()

    def _handle(self, item: Any) -> None:
        if isinstance(item, Begin):
            self.interventions = 0
            self._writer = EpisodeWriter(item.root, item.draft, item.contract, self._schema)
            for topic in item.topics:
                self._writer.add_topic(topic)
            self._writer.write(item.before)
        elif self._writer is None:
            # The episode has failed; its error was told.
            return
        elif isinstance(item, Topic):
            self._writer.add_topic(item)
        elif isinstance(item, Snapshot):
            self._writer.add_provenance(item.moment, item.content)
        elif isinstance(item, End):
            self._done(self._end(self._writer, item))
            self._writer = None
        else:
            self._writer.write(item)
            self.interventions = len(self._writer.takeovers.found)
            if self._writer.full is not None:
                self._done(self._end_full(self._writer, self._writer.full))
                self._writer = None

    def _end(self, writer: EpisodeWriter, end: End) -> Done:
        take = end.take
        if take.discarded or take.outcome is None or take.end_ns is None:
            writer.discard()
            return Done(take.name)
        dropped = self._inbox.dropped()
        episode = writer.finish(
            take.outcome, take.reason, end.notes, take.end_ns, dropped, end.publishers, end.transport_lost
        )
        return Done(take.name, episode)

    def _end_full(self, writer: EpisodeWriter, full: OSError) -> Done:
        """Finish the episode with the room that was kept for it: the disk takes no more."""
        episode = writer.finish(
            "failure",
            DISK_FULL,
            writer.draft.notes,
            writer.last_ns,
            self._inbox.dropped(),
            *self._counts(),
        )
        error = LearnedArmError(f"{DISK_FULL}; the episode so far is kept", where=episode.folder, got=full.strerror)
        return Done(writer.draft.name, episode, str(error))

    def _fail(self, item: Any, error: Exception) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.abandon()
        name = writer.draft.name if writer is not None else item.draft.name if isinstance(item, Begin) else ""
        if isinstance(error, OSError) and error.errno in OUT_OF_ROOM:
            where = writer.folder if writer is not None else None
            error = LearnedArmError(DISK_FULL, where=where, got=error.strerror, allowed="room; then recover the folder")
        text = str(error) if isinstance(error, LearnedArmError | OSError) else f"{type(error).__name__}: {error}"
        self._done(Done(name, error=" ".join(text.split())))
