"""After a kill: every message wholly written is saved, as a complete episode, and nothing else is left."""

from __future__ import annotations

import json
import random
import struct
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from rosbags.highlevel import AnyReader

from data_recorder.bag_reader import BagReader, messages_hash
from data_recorder.episode_writer import DRAFT_FILE, RECORDING_SUFFIX, Draft, EpisodeWriter, Received, string_message
from data_recorder.recover import RECOVERED, recover, unfinished_episodes
from data_recorder.rosbag2_metadata import Topic
from data_recorder.salvage import Salvage
from data_recorder.topics import PROVENANCE
from demo_tools import cli
from learned_arm.contract import load_contract
from learned_arm.episode import SENT, list_episodes
from learned_arm.errors import LearnedArmError
from learned_arm.interventions import Intervention

CONTRACT = load_contract("pick_cube")
STRING = ("string data\n", "")


@pytest.fixture
def unfinished(tmp_path: Path, draft: Draft, topics, make_messages):
    """Makes an unfinished episode whose bag is cut to a share of its length."""

    def make(share: float, count: int = 1500) -> tuple[Path, list]:
        writer = EpisodeWriter(tmp_path, draft, CONTRACT, STRING)
        writer.add_provenance("start", {"what": "snapshot"})
        for topic in topics:
            writer.add_topic(topic)
        messages = make_messages(count)
        # Nearly four seconds: a chunk is written out every second, and the last part is still in memory.
        for m in messages:
            writer.write([Received(m.log_time_ns, m.topic, m.data, m.publish_time_ns, None)])
        writer.abandon()
        bag = next(writer.folder.glob("*.mcap"))
        data = bag.read_bytes()
        bag.write_bytes(data[: round(len(data) * share)])
        return writer.folder, messages

    return make


@pytest.mark.parametrize("seed", range(12))
def test_a_bag_cut_anywhere_gives_every_message_before_the_cut(unfinished, tmp_path: Path, seed: int) -> None:
    share = random.Random(seed).uniform(0.1, 1.0)
    folder, messages = unfinished(share)
    cut = next(folder.glob("*.mcap")).read_bytes()
    report = recover(folder)
    saved = [m for m in BagReader(report.folder).messages() if m.topic != "/recorder_node/provenance"]
    assert saved == messages[: len(saved)]
    # Nothing that lies whole before the cut is missing.
    following = messages[len(saved)]
    assert struct.pack("<QQ", following.log_time_ns, following.publish_time_ns) + following.data not in cut
    assert share < 0.9 or len(saved) > 1000
    with AnyReader([report.folder]) as reader:
        assert reader.message_count == report.messages == len(saved) + 1
    episode = list_episodes(tmp_path)[0]
    assert (episode.outcome, episode.reason) == ("failure", RECOVERED)
    assert episode.messages_hash == messages_hash(report.folder)
    assert episode.messages == len(saved) and set(episode.uncounted) == {m.topic for m in saved}
    assert json.loads((report.folder / "provenance.json").read_bytes()) == {"start": {"what": "snapshot"}}
    assert sorted(path.name for path in (tmp_path / "pick_cube").iterdir()) == [episode.name]


def test_interventions_are_those_that_the_recorder_saw(tmp_path: Path, draft: Draft, joint_state) -> None:
    stretches = [("policy", 20), ("teleop", 30), ("", 3), ("policy", 10), ("teleop", 12)]
    sources = [source for source, count in stretches for _ in range(count)]
    messages = []
    for index, source in enumerate(sources):
        stamp_ns, received_ns = 10**9 + index * 10**7, draft.start_ns + index * 10**7
        data = joint_state(stamp_ns, ("joint",), (0.5,), source)
        messages.append(Received(received_ns, SENT, data, received_ns, index))
    messages.insert(25, Received(messages[25].received_ns, SENT, b"spoilt", draft.start_ns, 99))
    found = []
    for name, killed in (("20260131T120000Z-01234567", False), ("20260131T120000Z-89abcdef", True)):
        writer = EpisodeWriter(tmp_path, replace(draft, name=name), CONTRACT, STRING)
        writer.add_topic(Topic(SENT, "sensor_msgs/msg/JointState", "std_msgs/Header header\n"))
        writer.write(messages)
        if killed:
            # A second later, so that all of it was handed to the system.
            writer.write([Received(draft.start_ns + 3 * 10**9, SENT, messages[-1].data, draft.start_ns, 100)])
            writer.abandon()
            recover(writer.folder)
        else:
            writer.finish("success", "", "", draft.start_ns + 10**9, {}, {}, {})
        found.append(next(each for each in list_episodes(tmp_path) if each.name == name).interventions)
    stamps = [10**9 + index * 10**7 for index in (20, 49, 63, 74)]
    assert found[0] == found[1] == (Intervention("teleop", *stamps[:2]), Intervention("teleop", *stamps[2:]))


def test_topics_keep_their_qos_and_type_hash(unfinished, topics: tuple[Topic, ...]) -> None:
    folder, _ = unfinished(1.0)
    found = BagReader(recover(folder).folder).topics
    for topic in topics:
        assert found[topic.name].offered_qos_yaml == topic.offered_qos_yaml
        assert found[topic.name].type_hash == topic.type_hash


def test_damage_in_the_middle_saves_what_lies_before(unfinished) -> None:
    folder, messages = unfinished(1.0)
    bag = next(folder.glob("*.mcap"))
    data = bytearray(bag.read_bytes())
    data[data.find(max((m.data for m in messages[600:700]), key=len)) + 20] ^= 0xFF
    bag.write_bytes(data)
    report = recover(folder)
    saved = [m for m in BagReader(report.folder).messages() if m.topic != "/recorder_node/provenance"]
    assert 0 < len(saved) < len(messages) and saved == messages[: len(saved)]
    assert "checksum" in report.problem and report.unread_bytes > 0


def test_killed_before_the_rename_only_the_name_was_missing(
    tmp_path: Path, draft: Draft, topics, make_messages
) -> None:
    writer = EpisodeWriter(tmp_path, draft, CONTRACT, STRING)
    for topic in topics:
        writer.add_topic(topic)
    writer.write(
        Received(m.log_time_ns, m.topic, m.data, m.publish_time_ns, i) for i, m in enumerate(make_messages(50))
    )
    episode = writer.finish("success", "", "", draft.start_ns + 10**9, {}, {}, {})
    assert episode.folder is not None
    folder = episode.folder.rename(episode.folder.with_name(episode.name + RECORDING_SUFFIX))
    report = recover(folder)
    assert list_episodes(tmp_path) == [episode]
    assert report.folder == episode.folder and not folder.exists()


def test_killed_while_recovering_is_done_again(unfinished, tmp_path: Path) -> None:
    folder, _ = unfinished(1.0)
    (folder.parent / "20260131T120000Z-01234567.recovering").mkdir()
    report = recover(folder)
    assert report.messages > 1000
    # And between the rename of the result and the removal of its source:
    folder.mkdir()
    assert recover(folder).folder == report.folder
    assert [path.name for path in (tmp_path / "pick_cube").iterdir()] == [report.folder.name]


@pytest.mark.parametrize("content", [b"", b"\x89MCAP0\r\n", b"not mcap at all" * 10])
def test_nothing_to_recover_is_one_line_and_leaves_everything(unfinished, content: bytes) -> None:
    folder, _ = unfinished(1.0)
    next(folder.glob("*.mcap")).write_bytes(content)
    with pytest.raises(LearnedArmError) as caught:
        recover(folder)
    assert "\n" not in str(caught.value)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_foreign_or_damaged_draft_is_refused(unfinished, draft: Draft) -> None:
    folder, _ = unfinished(1.0)
    (folder / DRAFT_FILE).write_text(json.dumps(asdict(replace(draft, name="other"))))
    with pytest.raises(LearnedArmError, match="another episode"):
        recover(folder)
    (folder / DRAFT_FILE).write_text("{")
    with pytest.raises(LearnedArmError, match="cannot be read"):
        recover(folder)
    with pytest.raises(LearnedArmError, match="no unfinished episode"):
        recover(folder.parent)


def test_random_damage_never_crashes_the_salvage(unfinished, tmp_path: Path) -> None:
    folder, messages = unfinished(1.0)
    bag = next(folder.glob("*.mcap"))
    data = bag.read_bytes()
    known = {(m.topic, m.data) for m in messages}
    rng = random.Random(3)
    target = tmp_path / "damaged.mcap"
    for _ in range(150):
        damaged = bytearray(data)
        at = rng.randrange(8, len(damaged))
        damaged[at : at + 8] = rng.randbytes(8)
        target.write_bytes(damaged)
        for _, message in Salvage(target).messages():
            assert message.topic == "/recorder_node/provenance" or (message.topic, message.data) in known


@pytest.mark.parametrize(
    ("snapshots", "stated"),
    [
        ([], {"unreachable": RECOVERED}),
        ([b"no json"], {"unreachable": RECOVERED}),
        ([b'{"start":{"a":1}}'], {"start": {"a": 1}}),
        ([b'{"start":{"a":1}}', b'{"end":{"a":2}}'], {"start": {"a": 1}, "end": {"a": 2}}),
        ([b'{"x":{"a":1}}', b"[]", b'{"x":{"a":2}}', b'{"x":{"a":3}}'], {"start": {"a": 1}, "end": {"a": 3}}),
        ([b"[" * 100_000, b'{"start":{"a":NaN}}', b'{"start":{"a":1}}'], {"start": {"a": 1}}),
    ],
)
def test_snapshots_are_found_wherever_they_come(
    tmp_path: Path, draft: Draft, topics, make_messages, snapshots: list[bytes], stated: dict
) -> None:
    writer = EpisodeWriter(tmp_path, draft, CONTRACT)
    for topic in (*topics, Topic(PROVENANCE, "std_msgs/msg/String", "string data\n")):
        writer.add_topic(topic)
    messages = [Received(m.log_time_ns, m.topic, m.data, m.publish_time_ns, None) for m in make_messages(600)]
    for index, text in enumerate(snapshots):
        at = messages[index * 100 + 50]
        messages.append(Received(at.received_ns, PROVENANCE, string_message(text), at.source_ns, None))
    writer.write(sorted(messages))
    writer.abandon()
    report = recover(writer.folder)
    statement = (report.folder / "provenance.json").read_bytes()
    assert json.loads(statement) == stated
    assert PROVENANCE not in list_episodes(tmp_path)[0].streams
    found = [m.data for m in BagReader(report.folder).messages() if m.topic == PROVENANCE]
    assert found == [string_message(text) for text in snapshots]


def test_it_says_what_is_missing(tmp_path: Path, draft: Draft) -> None:
    writer = EpisodeWriter(tmp_path, draft, CONTRACT)
    names = ("/steady", "/gap", "/ended", "/once")
    for name in names:
        writer.add_topic(Topic(name, "std_msgs/msg/String", "string data\n"))
    messages = [Received(draft.start_ns, "/once", string_message(b""), draft.start_ns, None)]
    for tick in range(300):
        at = draft.start_ns + tick * 10**7
        there = ["/steady", *(["/gap"] if not 100 <= tick < 150 else []), *(["/ended"] if tick < 250 else [])]
        messages += [Received(at, name, string_message(b""), at, None) for name in there]
    writer.write(messages)
    writer.write([Received(draft.start_ns + 4 * 10**9, "/steady", string_message(b""), draft.start_ns, None)])
    writer.abandon()
    bag = next(writer.folder.glob("*.mcap"))
    bag.write_bytes(bag.read_bytes()[:-100])
    report = recover(writer.folder)
    assert report.last_ns == draft.start_ns + 299 * 10**7 and report.start_ns == draft.start_ns
    assert report.gaps_ns == {"/gap": 51 * 10**7}
    assert report.ended_ns == {"/ended": 50 * 10**7}
    assert report.unread_bytes > 0 and report.problem
    text = "\n".join(report.lines())
    assert "/gap: silent for 0.510 s" in text and "/ended: ended 0.500 s before" in text and "could not be read" in text


def test_a_root_recovers_all_below_it(tmp_path: Path, draft: Draft, topics, make_messages, capsys) -> None:
    names = [f"20260131T12000{index}Z-01234567" for index in range(3)]
    for name in names:
        writer = EpisodeWriter(tmp_path, replace(draft, name=name), CONTRACT, STRING)
        for topic in topics:
            writer.add_topic(topic)
        writer.write(Received(m.log_time_ns, m.topic, m.data, m.publish_time_ns, None) for m in make_messages(600))
        writer.abandon()
    spoilt = tmp_path / "pick_cube" / f"{names[1]}{RECORDING_SUFFIX}"
    assert len(unfinished_episodes(tmp_path)) == 3
    (spoilt / DRAFT_FILE).write_text("{")
    assert cli.recover(tmp_path) == 2
    said = capsys.readouterr()
    assert said.out.count(" messages, ") == 2 and said.err.startswith("error: ") and str(spoilt) in said.err
    assert [each.name for each in list_episodes(tmp_path)] == [names[0], names[2]]
    assert unfinished_episodes(tmp_path) == [spoilt]
    with pytest.raises(LearnedArmError, match="no unfinished episode"):
        unfinished_episodes(tmp_path / "nowhere")


@pytest.mark.parametrize("change", [{"start_ns": "0"}, {"start_ns": -1}, {"id": 7}, {"contract": []}, {"notes": 1}])
def test_a_draft_of_wrong_types_is_one_line(unfinished, draft: Draft, change: dict) -> None:
    folder, _ = unfinished(1.0)
    (folder / DRAFT_FILE).write_text(json.dumps(asdict(draft) | change))
    with pytest.raises(LearnedArmError) as caught:
        recover(folder)
    assert "\n" not in str(caught.value)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
