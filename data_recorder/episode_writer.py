"""One episode on its way to disk: under a temporary name until everything in it is durable, then renamed."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from data_recorder import rosbag2_metadata as rosbag2
from data_recorder.bag_writer import BagSummary, BagWriter
from data_recorder.changes import changes
from data_recorder.disk_file import RESERVE_BYTES
from data_recorder.initial_state import InitialStateCapture
from data_recorder.rosbag2_metadata import Topic
from data_recorder.takeovers import Takeovers
from data_recorder.topics import PROVENANCE, SIM_STATE
from learned_arm.canonical import canonical_json, sha256_hex
from learned_arm.contract import Contract
from learned_arm.durable import read_json, rename_folder, sync_folder, write_whole
from learned_arm.episode import PROVENANCE_FILE, SENT, Episode, Stream, episode_folder, save_episode
from learned_arm.errors import LearnedArmError
from learned_arm.streams import StreamCounter

RECORDING_SUFFIX = ".recording"
DRAFT_FILE = "draft.json"
_LARGEST_DRAFT_BYTES = 16_000_000
# What was received waits this long for the system, and there this long for the disk: a kill takes at most the last
# half second, a power cut about the last one.
_FLUSH_NS = 500_000_000
_SYNC_S = 0.5


class Received(NamedTuple):
    """A message as it came in. `received_ns` comes first: batches are sorted by it."""

    received_ns: int
    topic: str
    data: bytes
    source_ns: int
    sequence: int | None


@dataclass(frozen=True)
class Draft:
    """What is known of an episode when it starts; kept beside the bag so that `recover` can finish it."""

    id: str
    name: str
    task: str
    contract: dict[str, Any]
    contract_hash: str
    operator: str
    notes: str
    policy: str | None
    start_ns: int
    pre_roll_ns: int = 0
    session: str = ""

    @property
    def first_ns(self) -> int:
        """Where its bag begins."""
        return self.start_ns - self.pre_roll_ns


class EpisodeWriter:
    """Writes messages, counts them, and ends in an episode folder or in nothing.

    Args:
        root: Folder of all episodes.
        draft: The episode.
        contract: Its contract.
        provenance_schema: Definition and type hash of std_msgs/msg/String; None leaves the bag without snapshots.

    Raises:
        LearnedArmError: A name is not allowed.
        OSError: The folder cannot be made, or was there before, or the disk is full; then it is removed again.
    """

    def __init__(
        self,
        root: Path,
        draft: Draft,
        contract: Contract,
        provenance_schema: tuple[str, str] | None = None,
    ) -> None:
        self.draft = draft
        self.target = episode_folder(root, draft.task, draft.name)
        self.folder = self.target.with_name(self.target.name + RECORDING_SUFFIX)
        self.target.parent.mkdir(parents=True, exist_ok=True)
        if self.target.exists():
            raise FileExistsError(f"{self.target} exists")
        self.folder.mkdir(exist_ok=False)
        custom = {"learned_arm.episode": draft.id, "learned_arm.contract": draft.contract_hash}
        try:
            write_whole(self.folder / DRAFT_FILE, canonical_json(asdict(draft)))
            self._bag = BagWriter(self.folder, draft.name, custom, sync_s=_SYNC_S, reserve_bytes=RESERVE_BYTES)
        except OSError:
            # Nothing was recorded, so that nothing is left for `recover`.
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        self._provenance: dict[str, Any] = {}
        self._initial = InitialStateCapture(contract)
        self.takeovers = Takeovers()
        self._counters: dict[str, StreamCounter] = {}
        self._types: dict[str, str] = {}
        self.last_ns = self._flushed_ns = draft.first_ns
        self._has_provenance = provenance_schema is not None
        if provenance_schema is not None:
            offer = rosbag2.qos_profile(durability="transient_local", depth=1)
            self._bag.add_topic(
                Topic(PROVENANCE, "std_msgs/msg/String", provenance_schema[0], (offer,), provenance_schema[1])
            )

    @property
    def full(self) -> OSError | None:
        """Why the episode should be finished now: the disk is full, and only room for its end is left."""
        return self._bag.full

    def add_topic(self, topic: Topic) -> None:
        """Add a topic; it is listed even when no message comes."""
        self._bag.add_topic(topic)
        self._types.setdefault(topic.name, topic.type)
        self._counters.setdefault(topic.name, StreamCounter())

    def write(self, messages: Iterable[Received]) -> None:
        """Write messages in the order of their receive stamps.

        A latched message received before the bag begins is logged at its beginning: it was in force then. Where the
        episode began is what was measured from its start on, not in the pre-roll. On a full disk the episode ends with
        the message that was found too much: what comes behind it is not in it.
        """
        start_ns, first_ns, last_ns = self.draft.start_ns, self.draft.first_ns, self.last_ns
        initial = self._initial
        for message in messages:
            if self._bag.full is not None:
                break
            last_ns = max(message.received_ns, first_ns)
            topic = message.topic
            self._bag.write(topic, message.data, last_ns, message.source_ns)
            self._counters[topic].add(message.sequence, message.source_ns, last_ns)
            if topic == SENT:
                self.takeovers.add(message.data)
            elif topic in initial.wanted and (last_ns >= start_ns or topic == SIM_STATE):
                self._bag.spare(initial.add(topic, message.data))
        self.last_ns = last_ns
        if last_ns - self._flushed_ns >= _FLUSH_NS:
            self._bag.flush()
            self._flushed_ns = last_ns

    def losses(self, publishers: Mapping[str, int]) -> dict[str, int | None]:
        """By topic the messages missing so far, None where they cannot be counted; from any thread."""
        return {
            topic: counter.statistics(publishers.get(topic, 1)).lost for topic, counter in list(self._counters.items())
        }

    def add_provenance(self, moment: str, snapshot: Mapping[str, Any]) -> None:
        """Keep a snapshot, `start` or `end`, and write it into the bag, stamped with its last message."""
        self._provenance[moment] = dict(snapshot)
        if self._has_provenance:
            text = canonical_json({moment: self._provenance[moment]})
            self._bag.write(PROVENANCE, string_message(text), self.last_ns, self.last_ns)

    def finish(
        self,
        outcome: str,
        reason: str,
        notes: str,
        end_ns: int,
        dropped: Mapping[str, int],
        publishers: Mapping[str, int],
        transport_lost: Mapping[str, int],
    ) -> Episode:
        """Close the bag, write what belongs beside it and give the folder its final name.

        Args:
            outcome: `success` or `failure`.
            reason: Why.
            notes: Free text.
            end_ns: System time of the end.
            dropped: Messages by topic that found the queue full.
            publishers: The most publishers by topic.
            transport_lost: Messages by topic that the middleware says it lost.
        """
        statement = canonical_json(self._provenance)
        summary = self._bag.close({"learned_arm.provenance": sha256_hex(statement)})
        streams = {
            topic: self._stream(topic, dropped.get(topic, 0), publishers.get(topic, 1), transport_lost.get(topic, 0))
            for topic in self._counters
        }
        self._initial.save_images(self.folder)
        write_whole(self.folder / PROVENANCE_FILE, statement)
        episode = finished_episode(
            self.draft, outcome, reason, notes, end_ns, self._initial, self.takeovers, streams, summary
        )
        episode = replace(episode, changed=changes(self._provenance))
        return place_episode(episode, self.folder, self.target)

    def discard(self) -> None:
        """Remove everything."""
        self._bag.abandon()
        shutil.rmtree(self.folder)
        sync_folder(self.folder.parent)

    def abandon(self) -> None:
        """Leave the folder as it is, for `recover`."""
        self._bag.abandon()

    def _stream(self, topic: str, dropped: int, publishers: int, transport_lost: int) -> Stream:
        seen = self._counters[topic].statistics(publishers)
        return Stream(
            self._types[topic],
            seen.messages,
            seen.lost,
            dropped,
            publishers,
            seen.first_ns,
            seen.last_ns,
            seen.largest_gap_ns,
            transport_lost,
        )


def finished_episode(
    draft: Draft,
    outcome: str,
    reason: str,
    notes: str,
    end_ns: int,
    initial: InitialStateCapture,
    takeovers: Takeovers,
    streams: dict[str, Stream],
    summary: BagSummary,
) -> Episode:
    """The episode that a draft became."""
    return Episode(
        id=draft.id,
        name=draft.name,
        task=draft.task,
        contract_hash=draft.contract_hash,
        contract=draft.contract,
        outcome=outcome,
        operator=draft.operator,
        reason=reason,
        notes=notes,
        policy=draft.policy,
        initial_state=initial.state(),
        streams=streams,
        start_ns=draft.start_ns,
        end_ns=max(end_ns, draft.start_ns),
        messages_hash=summary.messages_hash,
        interventions=takeovers.found,
        pre_roll_ns=draft.pre_roll_ns,
        session=draft.session,
    )


def place_episode(episode: Episode, folder: Path, target: Path) -> Episode:
    """Write `episode.json` into a folder that is otherwise complete, and give it its final name."""
    save_episode(episode, folder)
    (folder / DRAFT_FILE).unlink(missing_ok=True)
    rename_folder(folder, target)
    return Episode(**{**vars(episode), "folder": target})


def load_draft(folder: Path) -> Draft:
    """The draft in an unfinished folder.

    Raises:
        LearnedArmError: It is missing or damaged.
    """
    path = folder / DRAFT_FILE
    if not path.is_file():
        raise LearnedArmError("no unfinished episode here", where=folder, allowed=DRAFT_FILE)
    try:
        return Draft(**read_json(path, _LARGEST_DRAFT_BYTES))
    except TypeError as error:
        raise LearnedArmError(
            "cannot be read", where=path, got=str(error), allowed="what the recorder wrote"
        ) from error


def string_message(text: bytes) -> bytes:
    """A std_msgs/msg/String as little-endian CDR."""
    return b"\x00\x01\x00\x00" + struct.pack("<I", len(text) + 1) + text + b"\x00"
