"""After a kill: reads what was written from the front, and makes a complete, indexed bag of it."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from data_recorder import bounded_yaml
from data_recorder.bag_reader import BagReader, BagTopic, messages_hash
from data_recorder.bag_writer import BagSummary, BagWriter, bag_file_name
from data_recorder.episode_writer import RECORDING_SUFFIX, Draft, finished_episode, load_draft, place_episode
from data_recorder.initial_state import InitialStateCapture
from data_recorder.provenance_messages import ProvenanceMessages
from data_recorder.rosbag2_metadata import Topic
from data_recorder.salvage import Salvage
from data_recorder.takeovers import Takeovers
from data_recorder.topics import PROVENANCE, SIM_STATE
from learned_arm import checked
from learned_arm.canonical import sha256_hex
from learned_arm.contract import Contract
from learned_arm.durable import rename_folder, write_whole
from learned_arm.episode import EPISODE_FILE, PROVENANCE_FILE, SENT, Episode, Stream, checked_name, load_episode
from learned_arm.errors import LearnedArmError
from learned_arm.streams import StreamCounter, StreamStatistics

RECOVERED = "recovered: the recorder was killed"
RECOVERING_SUFFIX = ".recovering"
# A gap is worth telling when it is this much longer than a stream's mean period, and not shorter than this.
_GAP_PERIODS = 5
_SHORTEST_GAP_NS = 100_000_000


@dataclass(frozen=True)
class RecoveryReport:
    """What became of an unfinished episode.

    Attributes:
        folder: The finished episode.
        messages: Messages in it.
        unread_bytes: Bytes behind the last whole message.
        problem: What stopped the reading, '' when the file was whole.
        start_ns: When recording began, system time.
        last_ns: Receive stamp of the last message.
        gaps_ns: Longest silence by topic, where it is much longer than the topic's period: messages may be missing.
        ended_ns: By topic, how long before the last message of all its own last one came; the same streams.
    """

    folder: Path
    messages: int
    unread_bytes: int
    problem: str
    start_ns: int
    last_ns: int
    gaps_ns: dict[str, int]
    ended_ns: dict[str, int]

    def lines(self) -> list[str]:
        """What was saved and what is missing, for people."""
        seconds = (self.last_ns - self.start_ns) / 1e9
        found = [f"{self.messages} messages, {seconds:.3f} s, the last one at {self.last_ns}  {self.folder}"]
        if self.problem:
            found.append(f"the recording ended early: {self.problem}; {self.unread_bytes} bytes could not be read")
        found += [f"{topic}: silent for {gap / 1e9:.3f} s" for topic, gap in self.gaps_ns.items()]
        found += [f"{topic}: ended {gap / 1e9:.3f} s before the last message" for topic, gap in self.ended_ns.items()]
        return found


def unfinished_episodes(folder: Path) -> list[Path]:
    """The folder itself when it is an unfinished episode, else all unfinished ones below it.

    Raises:
        LearnedArmError: There is none.
    """
    if folder.name.endswith(RECORDING_SUFFIX):
        return [folder]
    found = sorted(each for each in folder.rglob(f"*{RECORDING_SUFFIX}") if each.is_dir())
    if not found:
        allowed = f"a folder <name>{RECORDING_SUFFIX}, or one with such folders below it"
        raise LearnedArmError("no unfinished episode", got=str(folder), allowed=allowed)
    return found


def recover(folder: str | Path) -> RecoveryReport:
    """Finish an episode that the recorder could not: `<name>.recording` becomes `<name>`.

    Losses cannot be counted any more (bags keep no sequence numbers); outcome is `failure` with the reason.

    Raises:
        LearnedArmError: It is no unfinished episode, there is no message to save, or no room to write; then
            everything is as it was.
    """
    folder = Path(folder)
    if not folder.name.endswith(RECORDING_SUFFIX) or not folder.is_dir() or folder.is_symlink():
        raise LearnedArmError("no unfinished episode", got=str(folder), allowed=f"a folder <name>{RECORDING_SUFFIX}")
    name = checked_name(folder.name.removesuffix(RECORDING_SUFFIX), str(folder))
    target = folder.with_name(name)
    try:
        if target.exists():
            # Killed between the rename of a recovery and the removal of its source.
            episode = load_episode(target)
            shutil.rmtree(folder)
            return _report(episode, target)
        if (folder / EPISODE_FILE).is_file():
            # Killed between the last file and the rename: everything is there.
            episode = load_episode(folder)
            if messages_hash(folder) != episode.messages_hash:
                raise LearnedArmError("bag is not the one that was recorded", where=folder)
            rename_folder(folder, target)
            return _report(episode, target)
        return _rewrite(folder, target, name)
    except (OSError, ValueError, struct.error) as error:
        if isinstance(error, LearnedArmError):
            raise
        raise LearnedArmError("cannot be recovered", where=folder, got=str(error)) from error


def _report(episode: Episode, target: Path) -> RecoveryReport:
    """Of an episode that was whole."""
    messages = BagReader(target).message_count
    return RecoveryReport(target, messages, 0, "", episode.start_ns, episode.end_ns, {}, {})


def _rewrite(folder: Path, target: Path, name: str) -> RecoveryReport:
    draft = _checked_draft(folder, name)
    source = folder / bag_file_name(name)
    if not source.is_file():
        raise LearnedArmError("no bag file to recover", where=folder, allowed=source.name)
    saved = _Saved(draft, Contract.from_canonical(draft.contract, str(folder)))
    salvage = Salvage(source)
    work = target.with_name(name + RECOVERING_SUFFIX)
    if work.exists():
        shutil.rmtree(work)
    work.mkdir()
    try:
        summary = saved.write(work, salvage)
        if not saved.counters:
            raise LearnedArmError("no message to recover", where=source, got=salvage.problem or "an empty bag")
        place_episode(saved.episode(summary), work, target)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    shutil.rmtree(folder)
    return saved.report(target, summary, salvage)


class _Saved:
    """What is learned about an episode while its messages are written anew."""

    def __init__(self, draft: Draft, contract: Contract) -> None:
        self._draft = draft
        self._initial = InitialStateCapture(contract)
        self._takeovers = Takeovers()
        self._types: dict[str, str] = {}
        self._end_ns = draft.start_ns
        self.counters: dict[str, StreamCounter] = {}

    def write(self, work: Path, salvage: Salvage) -> BagSummary:
        """Write every message to a new bag; the snapshots that travelled in it become the file beside it again."""
        custom = {"learned_arm.episode": self._draft.id, "learned_arm.contract": self._draft.contract_hash}
        bag = BagWriter(work, self._draft.name, custom)
        provenance = ProvenanceMessages()
        try:
            for topic, message in salvage.messages():
                bag.add_topic(_written_topic(topic, bag.topics))
                bag.write(message.topic, message.data, message.log_time_ns, message.publish_time_ns)
                self._end_ns = max(self._end_ns, message.log_time_ns)
                if message.topic == PROVENANCE:
                    provenance.add(message.data)
                else:
                    self._add(message.topic, message.type, message.data, message.publish_time_ns, message.log_time_ns)
            statement = provenance.statement(RECOVERED)
            write_whole(work / PROVENANCE_FILE, statement)
            self._initial.save_images(work)
            return bag.close({"learned_arm.provenance": sha256_hex(statement)})
        finally:
            bag.abandon()

    def _add(self, topic: str, message_type: str, data: bytes, publish_time_ns: int, log_time_ns: int) -> None:
        self._types[topic] = message_type
        self.counters.setdefault(topic, StreamCounter()).add(None, publish_time_ns, log_time_ns)
        if log_time_ns >= self._draft.start_ns or topic == SIM_STATE:
            self._initial.add(topic, data)
        if topic == SENT:
            self._takeovers.add(data)

    def episode(self, summary: BagSummary) -> Episode:
        """The episode that was saved."""
        streams = {topic: _stream(self._types[topic], counter) for topic, counter in self.counters.items()}
        draft = self._draft
        return finished_episode(
            draft, "failure", RECOVERED, draft.notes, self._end_ns, self._initial, self._takeovers, streams, summary
        )

    def report(self, target: Path, summary: BagSummary, salvage: Salvage) -> RecoveryReport:
        """What was saved and what is missing."""
        seen = {topic: counter.statistics() for topic, counter in self.counters.items()}
        gaps = {topic: each.largest_gap_ns for topic, each in seen.items()}
        ends = {topic: self._end_ns - (each.last_ns or 0) for topic, each in seen.items()}
        return RecoveryReport(
            target,
            summary.extent.messages,
            salvage.unread_bytes,
            salvage.problem,
            self._draft.start_ns,
            self._end_ns,
            {topic: gap for topic, gap in gaps.items() if gap > _longest_usual_ns(seen[topic])},
            {topic: gap for topic, gap in ends.items() if gap > _longest_usual_ns(seen[topic])},
        )


def _longest_usual_ns(seen: StreamStatistics) -> float:
    """A silence longer than this is told; of a stream of one message none is, since it has no rate."""
    if seen.mean_rate_hz == 0.0:
        return float("inf")
    return max(_GAP_PERIODS * 1e9 / seen.mean_rate_hz, _SHORTEST_GAP_NS)


def _checked_draft(folder: Path, name: str) -> Draft:
    """The draft, of the types that it is written with; what its texts say is checked with the episode."""
    draft = load_draft(folder)
    where = str(folder)
    if draft.name != name:
        raise LearnedArmError("draft of another episode", where=where, got=draft.name, allowed=name)
    checks: dict[str, Callable[[object, str], object]] = {
        "id": checked.text,
        "contract": checked.free_mapping,
        "contract_hash": checked.text,
        "start_ns": checked.integer(0, 2**63 - 1),
    }
    for field, check in checks.items():
        check(getattr(draft, field), f"{where}: draft.{field}")
    return draft


def _stream(message_type: str, counter: StreamCounter) -> Stream:
    seen = counter.statistics()
    return Stream(message_type, seen.messages, None, 0, 1, seen.first_ns, seen.last_ns, seen.largest_gap_ns)


def _written_topic(topic: BagTopic, known: tuple[str, ...]) -> Topic:
    """A topic as it was; its offered QoS is read once."""
    offers: object = None
    if topic.name not in known and topic.offered_qos_yaml:
        try:
            offers = bounded_yaml.load(topic.offered_qos_yaml, topic.name)
        except LearnedArmError:
            offers = None
    profiles = tuple(offers) if isinstance(offers, list) and all(isinstance(each, dict) for each in offers) else ()
    return Topic(topic.name, topic.type, topic.schema_text, profiles, topic.type_hash)
