"""An episode on disk: `<root>/<task>/<utc>-<short id>/` with its bag, `episode.json` and statements."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from learned_arm import checked
from learned_arm.canonical import canonical_json, hash_of
from learned_arm.contract import Contract
from learned_arm.durable import read_json, write_json
from learned_arm.errors import LearnedArmError
from learned_arm.interventions import PERSON, Intervention

# 2: messages are known by BLAKE3, before by SHA-256.
EPISODE_VERSION = 2
EPISODE_FILE = "episode.json"
PROVENANCE_FILE = "provenance.json"
OUTCOMES = ("success", "failure")
# What the door publishes of every actuator: what was asked for, and what the controllers were given.
REQUESTED, SENT = "/arm/requested", "/arm/sent"
_HASH = re.compile(r"[0-9a-f]{64}")
_LARGEST_BYTES = 16_000_000
_LARGEST_STATE = 1_000_000
_NANOSECONDS = checked.integer(0, 2**63 - 1)
_COUNT = checked.integer(0, 2**53)
_FINITE = checked.number(-1e300, 1e300)


@dataclass(frozen=True)
class Stream:
    """What an episode holds of one topic.

    Attributes:
        type: Message type, such as `sensor_msgs/msg/Image`.
        messages: Messages in the bag.
        lost: Messages that the publisher sent between the first and the last and that are not in the bag;
            None when they cannot be counted (more than one publisher, or a recovered bag).
        dropped: Messages that reached the recorder and found its queue full (part of `lost`).
        publishers: The most publishers seen.
        first_ns: Receive stamp of the first message, None for an empty stream.
        last_ns: Receive stamp of the last message.
        largest_gap_ns: Longest time between two messages.
        transport_lost: Messages whose loss the middleware itself reported (part of `lost` where that is counted).
    """

    type: str
    messages: int
    lost: int | None
    dropped: int
    publishers: int
    first_ns: int | None
    last_ns: int | None
    largest_gap_ns: int
    transport_lost: int = 0

    @property
    def is_lossy(self) -> bool:
        """Whether messages are known to be missing."""
        return bool(self.lost or self.dropped or self.transport_lost)


@dataclass(frozen=True)
class InitialState:
    """Where an episode began.

    Attributes:
        stamp_ns: Header stamp of the joint state.
        positions_rad: Measured position by joint name, every joint of the robot.
        sim_state: The simulator's full state, None on a real arm.
        images: By camera the file in the episode's folder (PNG) that holds its first image.
    """

    stamp_ns: int
    positions_rad: dict[str, float]
    sim_state: tuple[float, ...] | None
    images: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Review:
    """What somebody said about an episode after it had ended.

    Attributes:
        stamp_ns: When, system time.
        operator: Who.
        before: Outcome until then.
        after: Outcome from then on; the same when it was kept.
        reason: Why.
    """

    stamp_ns: int
    operator: str
    before: str
    after: str
    reason: str


@dataclass(frozen=True)
class Episode:
    """An episode. `messages_hash` is its identity; everything beside the messages is a statement about it.

    Attributes:
        id: Random, 32 hex digits.
        name: Folder and bag name, `<utc>-<first digits of the id>`.
        task: What was done, also the folder above.
        contract: Canonical robot and contract (`Contract.canonical()`).
        outcome: `success` or `failure`.
        policy: Hash of the policy file of a rollout, None for a demonstration.
        start_ns: System time at which recording began.
        end_ns: System time at which it ended.
        interventions: Where a person took over from the policy, in order; none in an episode that was recorded before
            commands named their source.
        pre_roll_ns: How far before `start_ns` its bag begins: what was kept from before the start was asked for.
        session: Name of the session that it was recorded in, '' in none.
        changed: What changed on the robot while it was recorded, a line each with its severity (`learned-arm diff`).
        reviews: What was said about it after it had ended, in order.
        folder: Where it was loaded from; no part of the content.
    """

    id: str
    name: str
    task: str
    contract_hash: str
    contract: dict[str, Any]
    outcome: str
    operator: str
    reason: str
    notes: str
    policy: str | None
    initial_state: InitialState | None
    streams: dict[str, Stream]
    start_ns: int
    end_ns: int
    messages_hash: str
    interventions: tuple[Intervention, ...] = ()
    pre_roll_ns: int = 0
    session: str = ""
    changed: tuple[str, ...] = ()
    reviews: tuple[Review, ...] = ()
    folder: Path | None = field(default=None, compare=False)

    @property
    def messages(self) -> int:
        """Messages in the bag, all topics."""
        return sum(stream.messages for stream in self.streams.values())

    @property
    def lost_messages(self) -> int:
        """Messages lost, over the streams whose losses can be counted."""
        return sum(stream.lost or 0 for stream in self.streams.values())

    @property
    def uncounted(self) -> tuple[str, ...]:
        """Topics whose losses cannot be counted."""
        return tuple(topic for topic, stream in self.streams.items() if stream.messages and stream.lost is None)

    @property
    def lossy(self) -> tuple[str, ...]:
        """Streams of the contract, and of the door, of which messages are missing."""
        needed = set(self.loaded_contract.required_topics) | {SENT, REQUESTED}
        return tuple(topic for topic, stream in self.streams.items() if topic in needed and stream.is_lossy)

    @cached_property
    def loaded_contract(self) -> Contract:
        """The contract it was recorded under."""
        return Contract.from_canonical(self.contract, f"{self.name}: contract")

    def to_json(self) -> dict[str, Any]:
        """Plain data, as in `episode.json`."""
        value = asdict(self)
        del value["folder"]
        return {"version": EPISODE_VERSION, **value}


def checked_name(value: Any, where: str) -> str:
    """A name that may become a folder: letters, digits, `_` and `-`, 1 to 64 of them."""
    return checked.name(value, where)


def episode_name(start_ns: int, episode_id: str) -> str:
    """`<utc>-<short id>`, such as `20260131T120000Z-1f2e3d4c`."""
    stamp = datetime.fromtimestamp(start_ns // 1_000_000_000, UTC)
    return f"{stamp:%Y%m%dT%H%M%SZ}-{episode_id[:8]}"


def episode_folder(root: Path, task: str, name: str) -> Path:
    """Where an episode belongs.

    Raises:
        LearnedArmError: A name is not allowed, or a link leads out of the root.
    """
    folder = root / checked_name(task, "task") / checked_name(name, "episode name")
    if not folder.resolve().is_relative_to(root.resolve()):
        raise LearnedArmError("leads out of the root", where=folder, got=folder.resolve(), allowed=f"below {root}")
    return folder


def save_episode(episode: Episode, folder: Path) -> None:
    """Write `episode.json`, whole or not at all.

    Raises:
        LearnedArmError: A value is not allowed, so that what is written can be loaded.
    """
    value = json.loads(canonical_json(episode.to_json()))
    _parse(value, str(folder / EPISODE_FILE), None)
    write_json(folder / EPISODE_FILE, value)


def load_episode(folder: str | Path) -> Episode:
    """Load an episode by its folder.

    Raises:
        LearnedArmError: `episode.json` is missing, unreadable or wrong in any entry.
    """
    folder = Path(folder)
    path = folder / EPISODE_FILE
    if not path.is_file():
        raise LearnedArmError("no episode here", where=folder, allowed=f"a folder with {EPISODE_FILE}")
    value = read_json(path, _LARGEST_BYTES)
    return _parse(value, str(path), folder)


def list_episodes(root: str | Path, task: str | None = None) -> list[Episode]:
    """All finished episodes under a root, by task and name; not those that are being written.

    Raises:
        LearnedArmError: The root is no folder, or an episode is broken.
    """
    root = Path(root)
    if not root.is_dir():
        raise LearnedArmError("no such folder", got=str(root), allowed="a folder of <task>/<episode>")
    tasks = (
        [checked_name(task, "task")]
        if task is not None
        else sorted(each.name for each in root.iterdir() if each.is_dir())
    )
    found = []
    for name in tasks:
        for folder in sorted((root / name).glob("*/")):
            if checked.NAME.fullmatch(folder.name) and (folder / EPISODE_FILE).is_file():
                found.append(load_episode(folder))
    return found


def episode_folders(places: Iterable[Path]) -> list[Path]:
    """Folders of all finished episodes at or below some places, sorted; not those being written or taken out.

    Raises:
        LearnedArmError: There is none.
    """
    places = list(places)
    # An episode that was taken out has a name that none can have.
    found = {path.parent for place in places for path in place.rglob(EPISODE_FILE)}
    folders = sorted(folder for folder in found if checked.NAME.fullmatch(folder.name))
    if not folders:
        where = ", ".join(map(str, places))
        raise LearnedArmError("no episode found", where=where, allowed=f"folders with {EPISODE_FILE}")
    return folders


def _parse(value: Any, where: str, folder: Path | None) -> Episode:
    top = checked.Section(value, where)
    top.take("version", checked.integer(EPISODE_VERSION, EPISODE_VERSION))
    contract = top.take("contract", checked.free_mapping)
    contract_hash = top.take("contract_hash", _hash)
    if hash_of(contract) != contract_hash:
        raise LearnedArmError("contract and its hash differ", where=where, got=contract_hash, allowed=hash_of(contract))
    streams = {topic: _stream(each, f"{where}.streams.{topic}") for topic, each in top.section("streams").items()}
    episode = Episode(
        id=top.take("id", _id),
        name=top.take("name", checked_name),
        task=top.take("task", checked_name),
        contract_hash=contract_hash,
        contract=contract,
        outcome=top.take("outcome", checked.choice(*OUTCOMES)),
        operator=top.take("operator", _any_text),
        reason=top.take("reason", _any_text),
        notes=top.take("notes", _any_text),
        policy=top.take("policy", _or_none(_hash)),
        initial_state=top.take("initial_state", _or_none(_initial_state)),
        streams=streams,
        start_ns=top.take("start_ns", _NANOSECONDS),
        end_ns=top.take("end_ns", _NANOSECONDS),
        messages_hash=top.take("messages_hash", _hash),
        interventions=tuple(top.take("interventions", checked.list_of(_intervention, shortest=0), ())),
        pre_roll_ns=top.take("pre_roll_ns", _NANOSECONDS, 0),
        session=top.take("session", _any_text, ""),
        changed=tuple(top.take("changed", checked.list_of(_any_text, shortest=0), ())),
        reviews=tuple(top.take("reviews", checked.list_of(_review, shortest=0), ())),
        folder=folder,
    )
    top.done()
    if episode.end_ns < episode.start_ns:
        raise LearnedArmError(
            "ends before it starts", where=where, got=episode.end_ns, allowed=f">= {episode.start_ns}"
        )
    return episode


def _intervention(value: Any, where: str) -> Intervention:
    section = checked.Section(value, where)
    found = Intervention(
        source=section.take("source", checked.choice(PERSON)),
        start_ns=section.take("start_ns", _NANOSECONDS),
        end_ns=section.take("end_ns", _NANOSECONDS),
    )
    section.done()
    if found.end_ns < found.start_ns:
        raise LearnedArmError("ends before it starts", where=where, got=found.end_ns, allowed=f">= {found.start_ns}")
    return found


def _review(value: Any, where: str) -> Review:
    section = checked.Section(value, where)
    found = Review(
        stamp_ns=section.take("stamp_ns", _NANOSECONDS),
        operator=section.take("operator", _any_text),
        before=section.take("before", checked.choice(*OUTCOMES)),
        after=section.take("after", checked.choice(*OUTCOMES)),
        reason=section.take("reason", _any_text),
    )
    section.done()
    return found


def _stream(value: Any, where: str) -> Stream:
    section = checked.Section(value, where)
    stream = Stream(
        type=section.take("type", checked.text),
        messages=section.take("messages", _COUNT),
        lost=section.take("lost", _or_none(_COUNT)),
        dropped=section.take("dropped", _COUNT),
        publishers=section.take("publishers", _COUNT),
        first_ns=section.take("first_ns", _or_none(_NANOSECONDS)),
        last_ns=section.take("last_ns", _or_none(_NANOSECONDS)),
        largest_gap_ns=section.take("largest_gap_ns", _NANOSECONDS),
        transport_lost=section.take("transport_lost", _COUNT, 0),
    )
    section.done()
    return stream


def _initial_state(value: Any, where: str) -> InitialState:
    section = checked.Section(value, where)
    positions = section.take("positions_rad", checked.free_mapping)
    state = InitialState(
        stamp_ns=section.take("stamp_ns", checked.integer(-(2**63), 2**63 - 1)),
        positions_rad={joint: _FINITE(each, f"{where}.positions_rad.{joint}") for joint, each in positions.items()},
        sim_state=section.take("sim_state", _or_none(_state_vector)),
        images={
            checked.name(camera, f"{where}.images"): _file_name(file, f"{where}.images.{camera}")
            for camera, file in section.take("images", checked.free_mapping, {}).items()
        },
    )
    section.done()
    return state


def _state_vector(value: Any, where: str) -> tuple[float, ...]:
    if isinstance(value, list) and len(value) > _LARGEST_STATE:
        raise LearnedArmError("too long", where=where, got=len(value), allowed=f"{_LARGEST_STATE} numbers")
    return checked.list_of(_FINITE, shortest=0)(value, where)


def _hash(value: Any, where: str) -> str:
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise LearnedArmError("not a SHA-256", where=where, got=value, allowed="64 lower-case hex digits")
    return value


def _id(value: Any, where: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-f]{32}", value):
        raise LearnedArmError("not an episode id", where=where, got=value, allowed="32 lower-case hex digits")
    return value


def _file_name(value: Any, where: str) -> str:
    """A file beside `episode.json`, and nowhere else."""
    name = checked.text(value, where)
    if name != Path(name).name or name == "..":
        raise LearnedArmError("not the name of a file", where=where, got=name, allowed="a file in the episode's folder")
    return name


def _any_text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise LearnedArmError("not a text", where=where, got=value, allowed="string")
    return value


def _or_none(check: Any) -> Any:
    return lambda value, where: None if value is None else check(value, where)
