"""An episode -> aligned ticks with observations and label targets, on the grid that the policy node ticks on.

Used by the dataset builder and by the replay, so that what is replayed is what will be learned.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_recorder.bag_reader import BagReader
from data_recorder.identity import MessagesHash
from demo_tools.dataset.targets import TargetCollector, TargetTrack, is_still
from learned_arm import cdr
from learned_arm.alignment import CAMERA, AlignedTick, Aligner, Refusal, Sample, stream_names, ticks_between
from learned_arm.contract import Contract
from learned_arm.episode import SENT, Episode, load_episode
from learned_arm.errors import LearnedArmError
from learned_arm.observation import ObservationBuilder
from learned_arm.timeline import Timeline

TARGET_TOPICS = {"sent": SENT, "requested": "/arm/requested"}
_SECOND_NS = 1_000_000_000
# A tick waits for streams that come late in the bag, but not for one that has stopped.
_PATIENCE_NS = 1 * _SECOND_NS
# Commanded ticks without an observation that may be cut off at each end, where recording starts and stops.
_LARGEST_TRIM_NS = _SECOND_NS // 2
_LONGEST_EPISODE_NS = 6 * 3600 * _SECOND_NS


@dataclass(frozen=True)
class EpisodeTicks:
    """The ticks of an episode: N in a row, one period apart.

    Attributes:
        ticks_ns: Tick in ROS time, multiples of the period, shape (N,).
        measured: Measured joints at the tick, rad, shape (N, dof).
        state: What a policy's state is at the tick: those, and what the contract adds, shape (N, numbers).
        commanded: Target in force at the tick, rad, shape (N, dof).
        targets: Target in force at tick + offset_ticks * period, rad, shape (N, dof).
        sources: Who commanded that target, index into `SOURCE_NAMES`, shape (N,).
        images: Per camera what a policy sees at the tick, uint8, RGB, shape (N, height, width, 3); empty when it was
            read without images.
        stamps_ns: Per stream the header stamp chosen at each tick, shape (N,).
        trimmed: Reason -> number of ticks cut off at the ends.
        messages_hash: Identity of the episode, computed from the bag.
        sent: What the door sent from the first tick on, as often as it sent; None where labels are what was requested.
    """

    ticks_ns: NDArray[np.int64]
    measured: NDArray[np.float64]
    state: NDArray[np.float64]
    commanded: NDArray[np.float64]
    targets: NDArray[np.float64]
    sources: NDArray[np.int64]
    images: dict[str, NDArray[np.uint8]]
    stamps_ns: dict[str, NDArray[np.int64]]
    trimmed: dict[str, int]
    messages_hash: str
    sent: Timeline | None = None

    def __len__(self) -> int:
        return len(self.ticks_ns)

    def part(self, frames: slice) -> EpisodeTicks:
        """Some ticks in a row."""
        return replace(
            self,
            ticks_ns=self.ticks_ns[frames],
            measured=self.measured[frames],
            state=self.state[frames],
            commanded=self.commanded[frames],
            targets=self.targets[frames],
            sources=self.sources[frames],
            images={name: each[frames] for name, each in self.images.items()},
            stamps_ns={name: each[frames] for name, each in self.stamps_ns.items()},
        )


def read_episode_ticks(folder: str | Path, contract: Contract, images: bool = True) -> EpisodeTicks:
    """Read an episode as the ticks at which it was commanded.

    Ticks run from the first command after the start to the last. A tick's target past the last command is that last
    one, held, but only when the command and the arm had stopped there; otherwise those ticks are cut off. Up to half a
    second without an observation is cut off at either end; anywhere else a refused tick refuses the whole episode.

    Args:
        folder: The episode's folder.
        contract: Streams, grid and labels. It may differ from the one that the episode was recorded under.
        images: Whether to decode images. Without them the same ticks come out, faster.

    Raises:
        LearnedArmError: The bag is broken or is not the one its episode names, a stream was not recorded, or there is
            a gap.
    """
    folder = Path(folder)
    reader = BagReader(folder)
    sampler = _Sampler(contract, images)
    topic = TARGET_TOPICS.get(contract.action.source)
    wanted = [*sampler.streams, *([topic] if topic is not None else [])]
    missing = [each for each in wanted if each not in reader.topics or not reader.topics[each].messages]
    if missing:
        raise LearnedArmError("stream not recorded", where=folder, got=missing, allowed=sorted(reader.topics))
    episode = load_episode(folder)
    messages_hash, said, joints_ns = _survey(reader, contract, topic or SENT, episode)
    stated, track = episode.messages_hash, said if topic is not None else None
    if messages_hash != stated:
        raise LearnedArmError("bag is not the one that was recorded", where=folder, got=messages_hash, allowed=stated)
    if topic is not None and track is None:
        joints = list(contract.robot.joints)
        raise LearnedArmError("not every joint was commanded", where=folder, got=topic, allowed=joints)
    first_ns, last_ns = (track.first_ns, track.last_ns) if track is not None else joints_ns
    if last_ns - first_ns > _LONGEST_EPISODE_NS:
        got = f"{(last_ns - first_ns) / 1e9:.0f} s"
        raise LearnedArmError("episode too long", where=folder, got=got, allowed="6 h")
    sampler.sample(reader, ticks_between(first_ns, last_ns, contract.period_ns))
    try:
        found = _assemble(sampler, track, said, contract, messages_hash)
    except LearnedArmError as error:
        raise LearnedArmError(error.what, where=folder, got=error.got, allowed=error.allowed) from error
    if said is None or topic not in (SENT, None):
        return found
    return replace(found, sent=said.since(int(found.ticks_ns[0])))


def _survey(
    reader: BagReader, contract: Contract, topic: str, episode: Episode
) -> tuple[str, TargetTrack | None, tuple[int, int]]:
    """Identity of the bag, the targets of a topic, and the stamps between which joints were measured."""
    digest = MessagesHash()
    collector = TargetCollector(contract.robot.joints)
    joints_topic = contract.robot.joint_states[0].topic
    stamps: list[int] = []
    for message in reader.messages():
        digest.add(*message)
        if message.log_time_ns < episode.start_ns:
            # The pre-roll: observations may reach into it, the episode itself begins when its start was asked for.
            continue
        if message.topic == topic:
            collector.add(cdr.read_joint_state(message.data))
        elif message.topic == joints_topic:
            stamps.append(cdr.header_stamp_ns(message.data))
    if not stamps:
        raise LearnedArmError("no joint state from the start on", where=joints_topic, allowed="one or more")
    complete = topic in episode.streams and episode.streams[topic].lost == 0
    track = collector.track(round(contract.state_max_age_s * _SECOND_NS), complete)
    return digest.hexdigest(), track, (min(stamps), max(stamps))


class _Sampler:
    """Samples ticks while messages come in file order; holds no more raw images than a tick may still ask for."""

    def __init__(self, contract: Contract, images: bool) -> None:
        seen = replace(contract, history=1, cameras=contract.cameras if images else {})
        self._aligner = Aligner(contract)
        self._builder = ObservationBuilder(seen)
        self._images = images
        self.streams = stream_names(contract)
        self._raw: dict[str, dict[int, bytes]] = {stream: {} for stream in self.streams.values()}
        self.ticks: list[AlignedTick | Refusal] = []
        self.states: list[NDArray[np.float64]] = []
        self.images: dict[str, list[NDArray[np.uint8]]] = {name: [] for name in seen.cameras}

    def sample(self, reader: BagReader, ticks_ns: range) -> None:
        """Sample every tick: `ticks` gets one entry each, `states` and `images` one for each that was not refused."""
        newest_ns = 0
        for message in reader.messages(self.streams):
            stamp_ns, stream = cdr.header_stamp_ns(message.data), self.streams[message.topic]
            newest_ns = max(newest_ns, stamp_ns)
            if self._aligner.push(message.topic, stamp_ns, message.log_time_ns, None):
                unread = stream.startswith(f"{CAMERA}:") and not self._images
                self._raw[stream][stamp_ns] = b"" if unread else message.data
            while len(self.ticks) < len(ticks_ns):
                tick_ns = ticks_ns[len(self.ticks)]
                # Once every stream has reached the tick, no later message can change what was in force at it.
                if not self._aligner.reached(tick_ns) and newest_ns < tick_ns + _PATIENCE_NS:
                    break
                self._take(tick_ns)
            if len(self.ticks) == len(ticks_ns):
                return
        for tick_ns in ticks_ns[len(self.ticks) :]:
            self.ticks.append(Refusal(tick_ns, "recording", "ends before every stream reached the tick"))

    def _take(self, tick_ns: int) -> None:
        found = self._aligner.sample(tick_ns)
        if isinstance(found, AlignedTick):
            samples: dict[str, Sample] = {}
            for stream, sample in found.samples.items():
                held = self._raw[stream]
                samples[stream] = replace(sample, raw=held[sample.stamp_ns])
                self._raw[stream] = {stamp: raw for stamp, raw in held.items() if stamp >= sample.stamp_ns}
            found = self._observe(AlignedTick(tick_ns, samples))
        self.ticks.append(found)

    def _observe(self, tick: AlignedTick) -> AlignedTick | Refusal:
        try:
            state = self._builder.state(tick)
            seen = self._builder.build([tick]).images if self._images else {}
        except LearnedArmError as error:
            return Refusal(tick.tick_ns, "observation", str(error))
        self.states.append(state)
        for name, frames in seen.items():
            self.images[name].append(frames[0])
        return AlignedTick(tick.tick_ns, {name: replace(each, raw=None) for name, each in tick.samples.items()})


def _assemble(
    sampler: _Sampler, track: TargetTrack | None, said: TargetTrack | None, contract: Contract, messages_hash: str
) -> EpisodeTicks:
    """Ticks with their targets from a track, or from what was measured where there is none; `said`: who commanded."""
    ticks, period_ns, dof = sampler.ticks, contract.period_ns, contract.robot.dof
    numbers = len(contract.state_names)
    times = np.array([tick.tick_ns for tick in ticks], dtype=np.int64)
    seen = np.array([isinstance(tick, AlignedTick) for tick in ticks], dtype=bool)
    state = np.zeros((len(ticks), numbers))
    measured = state[:, :dof]
    if seen.any():
        state[seen] = np.stack(sampler.states)
        if track is None:
            unnamed, never = np.zeros(seen.sum(), np.int64), np.zeros(seen.sum(), bool)
            track = TargetTrack(times[seen], measured[seen], unnamed, never, int(times[seen][-1]), 0)
    if track is None:
        raise LearnedArmError("no tick with an observation", got=_reasons(ticks), allowed="every stream at the ticks")
    # The offset reaches past the last command at the end; what is held there is in force by definition.
    label_times = times + contract.action.offset_ticks * period_ns
    beyond = label_times > track.last_ns
    commanded, commanded_known = track.at(times)
    targets, targets_known = track.at(np.minimum(label_times, track.last_ns))
    sources = np.zeros(len(ticks), np.int64)
    if said is not None:
        sources = said.sources_at(np.minimum(label_times, track.last_ns))
    stopped = track.stopped_at_end(period_ns) and is_still(measured[seen][-2:], period_ns)
    known = commanded_known & targets_known
    good = seen & known & (~beyond | stopped)
    if not good.any():
        raise LearnedArmError("no usable tick", got=_reasons(ticks), allowed="every stream and a command at the ticks")
    first, last = int(np.flatnonzero(good)[0]), int(np.flatnonzero(good)[-1])
    reasons = [
        str(tick)
        if isinstance(tick, Refusal)
        else "no command in force"
        if not known[i]
        else "past the last command"
        if not good[i]
        else ""
        for i, tick in enumerate(ticks)
    ]
    _require_no_gap(good, first, last, times, reasons)
    _require_small_trim(good, beyond & ~good, first, last, period_ns, reasons)
    keep = slice(first, last + 1)
    cut = Counter(_short(reason) for i, reason in enumerate(reasons) if not first <= i <= last)
    aligned = [tick for tick in ticks[keep] if isinstance(tick, AlignedTick)]
    before = int(seen[:first].sum())
    return EpisodeTicks(
        ticks_ns=times[keep],
        measured=measured[keep],
        state=state[keep],
        commanded=commanded[keep],
        targets=targets[keep],
        sources=sources[keep],
        images={name: np.stack(frames[before : before + len(aligned)]) for name, frames in sampler.images.items()},
        stamps_ns={
            stream: np.array([tick.samples[stream].stamp_ns for tick in aligned], dtype=np.int64)
            for stream in sampler.streams.values()
        },
        trimmed=dict(cut),
        messages_hash=messages_hash,
    )


def _require_no_gap(
    good: NDArray[np.bool_], first: int, last: int, times: NDArray[np.int64], reasons: list[str]
) -> None:
    gaps = np.flatnonzero(~good[first : last + 1]) + first
    if len(gaps):
        at_s = (int(times[gaps[0]]) - int(times[first])) / 1e9
        raise LearnedArmError(
            "gap inside the episode",
            got=f"{len(gaps)} ticks, the first at +{at_s:.2f} s: {reasons[gaps[0]]}",
            allowed="every stream and a command at every tick from the first to the last command",
        )


def _require_small_trim(
    good: NDArray[np.bool_], past_end: NDArray[np.bool_], first: int, last: int, period_ns: int, reasons: list[str]
) -> None:
    for name, outside in (("begins", range(first)), ("ends", range(last + 1, len(good)))):
        refused = [i for i in outside if not past_end[i]]
        if len(refused) * period_ns > _LARGEST_TRIM_NS:
            raise LearnedArmError(
                f"commanded while a stream was missing: the episode {name} with a gap",
                got=f"{len(refused)} ticks, {reasons[refused[0]]}",
                allowed=f"at most {_LARGEST_TRIM_NS / 1e9:g} s at either end",
            )


def _short(reason: str) -> str:
    """A reason without the numbers behind it, to count by."""
    return ": ".join(reason.split(": ")[:2])


def _reasons(ticks: list[AlignedTick | Refusal]) -> dict[str, int]:
    return dict(Counter(_short(str(tick)) for tick in ticks if isinstance(tick, Refusal)))
