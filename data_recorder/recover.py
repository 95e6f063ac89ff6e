"""After a kill: reads what was written from the front, and makes a complete, indexed bag of it."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from data_recorder import mcap_records as mcap
from data_recorder.bag_reader import BagMessage, BagReader, BagTopic, ChannelTable
from data_recorder.bag_writer import BagSummary, BagWriter, bag_file_name
from data_recorder.episode_writer import RECORDING_SUFFIX, finished_episode, load_draft, place_episode
from data_recorder.initial_state import InitialStateCapture
from data_recorder.rosbag2_metadata import Topic
from data_recorder.takeovers import Takeovers
from data_recorder.topics import PROVENANCE, SIM_STATE
from learned_arm.canonical import canonical_json, sha256_hex
from learned_arm.contract import Contract
from learned_arm.durable import rename_folder, write_whole
from learned_arm.episode import EPISODE_FILE, PROVENANCE_FILE, SENT, Stream, checked_name, load_episode
from learned_arm.errors import LearnedArmError
from learned_arm.streams import StreamCounter

RECOVERED = "recovered: the recorder was killed"
RECOVERING_SUFFIX = ".recovering"


@dataclass(frozen=True)
class RecoveryReport:
    """What became of an unfinished episode.

    Attributes:
        folder: The finished episode.
        messages: Messages in it.
        unread_bytes: Bytes behind the last whole message.
        problem: What stopped the reading, '' when the file was whole.
    """

    folder: Path
    messages: int
    unread_bytes: int
    problem: str


class Salvage:
    """Messages of an MCAP file up to its first damage, also from within a chunk that was cut off."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.table = ChannelTable()
        self.problem = ""
        self.unread_bytes = 0

    def messages(self) -> Iterator[tuple[BagTopic, BagMessage]]:
        """Whole messages in file order; `problem` and `unread_bytes` are known at the end.

        Raises:
            LearnedArmError: The file does not even begin as MCAP.
        """
        size = self._path.stat().st_size
        with open(self._path, "rb") as file:
            if file.read(len(mcap.MAGIC)) != mcap.MAGIC:
                raise LearnedArmError("not an MCAP file", where=self._path, got=f"{size} bytes")
            whole = file.tell()
            try:
                for opcode, content in mcap.read_records(file, size - whole):
                    if opcode == mcap.DATA_END:
                        return
                    inside = mcap.chunk_data(content) if opcode == mcap.CHUNK else None
                    if inside is None:
                        yield from self._record(opcode, content)
                    else:
                        for inner, data in mcap.chunk_records(inside):
                            yield from self._record(inner, data)
                    whole = file.tell()
            except LearnedArmError as error:
                self.problem = str(error)
            file.seek(whole)
            cut = file.read(min(size - whole, mcap.LARGEST_RECORD_BYTES))
            self.unread_bytes = size - whole
            yield from self._cut_chunk(cut, size - whole)

    def _cut_chunk(self, cut: bytes, left: int) -> Iterator[tuple[BagTopic, BagMessage]]:
        """Whole records of an uncompressed chunk whose end is missing; no checksum can vouch for them."""
        head = 9 + 8 + 8 + 8 + 4 + 4
        if len(cut) < head + 8 or cut[0] != mcap.CHUNK or cut[head - 4 : head] != bytes(4):
            return
        if struct.unpack_from("<Q", cut, 1)[0] + 9 <= left:
            # The chunk is all there and still could not be read: damaged, not cut off.
            return
        view = memoryview(cut)[head + 8 :]
        at = 0
        try:
            for inner, data in mcap.chunk_records(view):
                yield from self._record(inner, data)
                at += 9 + len(data)
                self.unread_bytes = len(view) - at
        except LearnedArmError:
            return

    def _record(self, opcode: int, content: bytes | memoryview) -> Iterator[tuple[BagTopic, BagMessage]]:
        if opcode != mcap.MESSAGE:
            self.table.learn(opcode, content)
            return
        message = mcap.parse_message(content)
        topic = self.table.topic(message.channel_id)
        yield (
            topic,
            BagMessage(topic.name, topic.type, message.log_time_ns, message.publish_time_ns, bytes(message.data)),
        )


def recover(folder: str | Path) -> RecoveryReport:
    """Finish an episode that the recorder could not: `<name>.recording` becomes `<name>`.

    Losses cannot be counted any more (bags keep no sequence numbers); outcome is `failure` with the reason.

    Raises:
        LearnedArmError: It is no unfinished episode, or there is no message to save.
    """
    folder = Path(folder)
    if not folder.name.endswith(RECORDING_SUFFIX) or not folder.is_dir():
        raise LearnedArmError("no unfinished episode", got=str(folder), allowed=f"a folder <name>{RECORDING_SUFFIX}")
    name = checked_name(folder.name.removesuffix(RECORDING_SUFFIX), str(folder))
    target = folder.with_name(name)
    if target.exists():
        # Killed between the rename of a recovery and the removal of its source.
        episode = load_episode(target)
        shutil.rmtree(folder)
        return RecoveryReport(target, episode.messages, 0, "")
    if (folder / EPISODE_FILE).is_file():
        # Killed between the last file and the rename: everything is there.
        load_episode(folder)
        messages = sum(1 for _ in BagReader(folder).messages())
        rename_folder(folder, target)
        return RecoveryReport(target, messages, 0, "")
    return _rewrite(folder, target, name)


def _rewrite(folder: Path, target: Path, name: str) -> RecoveryReport:
    draft = load_draft(folder)
    if draft.name != name:
        raise LearnedArmError("draft of another episode", where=folder, got=draft.name, allowed=name)
    source = folder / bag_file_name(name)
    if not source.is_file():
        raise LearnedArmError("no bag file to recover", where=folder, allowed=source.name)
    initial = InitialStateCapture(Contract.from_canonical(draft.contract, str(folder)))
    takeovers = Takeovers()
    counters: dict[str, StreamCounter] = {}
    types: dict[str, str] = {}
    statements: dict[str, bytes] = {}
    work = target.with_name(name + RECOVERING_SUFFIX)
    if work.exists():
        shutil.rmtree(work)
    work.mkdir()
    salvage = Salvage(source)
    end_ns = draft.start_ns
    try:
        bag = BagWriter(work, name, {"learned_arm.episode": draft.id, "learned_arm.contract": draft.contract_hash})
        for topic, message in salvage.messages():
            bag.add_topic(_written_topic(topic))
            bag.write(message.topic, message.data, message.log_time_ns, message.publish_time_ns)
            end_ns = max(end_ns, message.log_time_ns)
            if message.topic == PROVENANCE:
                statements["start"] = message.data
                continue
            types[message.topic] = message.type
            counters.setdefault(message.topic, StreamCounter()).add(None, message.publish_time_ns, message.log_time_ns)
            if message.log_time_ns >= draft.start_ns or message.topic == SIM_STATE:
                initial.add(message.topic, message.data)
            if message.topic == SENT:
                takeovers.add(message.data)
        summary = _close(bag, work, statements)
        if not counters:
            raise LearnedArmError("no message to recover", where=source, got=salvage.problem or "an empty bag")
        streams = {topic: _stream(types[topic], counter) for topic, counter in counters.items()}
        initial.save_images(work)
        episode = finished_episode(
            draft, "failure", RECOVERED, draft.notes, end_ns, initial, takeovers, streams, summary
        )
        place_episode(episode, work, target)
    except (OSError, LearnedArmError):
        shutil.rmtree(work, ignore_errors=True)
        raise
    shutil.rmtree(folder)
    return RecoveryReport(target, summary.extent.messages, salvage.unread_bytes, salvage.problem)


def _close(bag: BagWriter, work: Path, statements: dict[str, bytes]) -> BagSummary:
    """Finish the bag; the snapshot that travelled in it becomes the file beside it again."""
    statement = statements["start"][8:-1] if "start" in statements else canonical_json({"unreachable": RECOVERED})
    write_whole(work / PROVENANCE_FILE, statement)
    return bag.close({"learned_arm.provenance": sha256_hex(statement)})


def _stream(message_type: str, counter: StreamCounter) -> Stream:
    seen = counter.statistics()
    return Stream(message_type, seen.messages, None, 0, 1, seen.first_ns, seen.last_ns, seen.largest_gap_ns)


def _written_topic(topic: BagTopic) -> Topic:
    try:
        offers = yaml.safe_load(topic.offered_qos_yaml) or []
    except yaml.YAMLError:
        offers = []
    return Topic(topic.name, topic.type, topic.schema_text, tuple(offers), topic.type_hash)
