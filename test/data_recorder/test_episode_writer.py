"""An episode is whole or absent; what it says about itself is what is in its bag."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest

from data_recorder.bag_reader import BagReader, messages_hash
from data_recorder.episode_writer import RECORDING_SUFFIX, Draft, EpisodeWriter, Received, string_message
from data_recorder.rosbag2_metadata import Topic
from data_recorder.topics import SIM_STATE
from learned_arm.canonical import sha256_hex
from learned_arm.contract import load_contract
from learned_arm.episode import load_episode
from learned_arm.errors import LearnedArmError

CONTRACT = load_contract("pick_cube")
JOINTS = CONTRACT.robot.joints
STRING = ("string data\n", "")
JOINT_TOPIC = Topic("/joint_states", "sensor_msgs/msg/JointState", "builtin_interfaces/Time stamp\n")
STATE_TOPIC = Topic(SIM_STATE, "std_msgs/msg/Float64MultiArray", "float64[] data\n")
SIM_MESSAGE = b"\x00\x01\x00\x00" + bytes(8) + (2).to_bytes(4, "little") + bytes(4) + bytes(16)
SECOND_NS = 1_000_000_000


@pytest.fixture
def writer(tmp_path: Path, draft: Draft) -> EpisodeWriter:
    writer = EpisodeWriter(tmp_path, draft, CONTRACT, STRING)
    writer.add_topic(JOINT_TOPIC)
    writer.add_topic(STATE_TOPIC)
    return writer


def finish(writer: EpisodeWriter, **changes):
    values = {
        "outcome": "success",
        "reason": "",
        "notes": "n",
        "end_ns": writer.draft.start_ns + SECOND_NS,
        "dropped": {},
        "publishers": {},
        "transport_lost": {},
    }
    return writer.finish(**{**values, **changes})


def test_the_episode_tells_what_its_bag_holds(writer: EpisodeWriter, draft: Draft, joint_state) -> None:
    start = draft.start_ns
    latched = Received(start - 9 * SECOND_NS, SIM_STATE, SIM_MESSAGE, start - 9 * SECOND_NS, 4)
    moving = [
        Received(
            start + i * 1000,
            "/joint_states",
            joint_state(i, JOINTS, [0.1 * i] * 7),
            start + i * 1000 - 5,
            10 + i,
        )
        for i in (1, 2, 5)
    ]
    writer.write([latched])
    assert not writer.target.exists() and writer.folder.name.endswith(RECORDING_SUFFIX)
    writer.write(moving)
    episode = finish(writer, dropped={"/joint_states": 2}, publishers={SIM_STATE: 2})
    assert episode.folder == writer.target and not writer.folder.exists()
    assert load_episode(writer.target) == episode
    assert sorted(path.name for path in writer.target.iterdir()) == [
        f"{draft.name}_0.mcap",
        "episode.json",
        "metadata.yaml",
        "provenance.json",
    ]
    joints, state = episode.streams["/joint_states"], episode.streams[SIM_STATE]
    assert (joints.messages, joints.lost, joints.dropped, joints.largest_gap_ns) == (3, 2, 2, 3000)
    assert (state.messages, state.lost, state.publishers) == (1, None, 2)
    assert episode.lost_messages == 2 and episode.uncounted == (SIM_STATE,)
    assert episode.initial_state is not None
    assert episode.initial_state.positions_rad == dict.fromkeys(JOINTS, 0.1)
    assert (episode.initial_state.stamp_ns, episode.initial_state.sim_state) == (1, (0.0, 0.0))
    assert episode.messages_hash == messages_hash(writer.target)
    read = list(BagReader(writer.target).messages([SIM_STATE, "/joint_states"]))
    # The latched message was in force at the start: logged there, published when it was.
    assert (read[0].log_time_ns, read[0].publish_time_ns) == (start, latched.source_ns)
    assert [m.data for m in read[1:]] == [m.data for m in moving]


def test_provenance_lies_beside_and_inside_and_is_named_by_hash(writer: EpisodeWriter) -> None:
    writer.add_provenance("start", {"python": "3"})
    writer.add_provenance("end", {"python": "4"})
    finish(writer)
    statement = (writer.target / "provenance.json").read_bytes()
    assert json.loads(statement) == {"start": {"python": "3"}, "end": {"python": "4"}}
    inside = [m.data for m in BagReader(writer.target).messages(["/recorder_node/provenance"])]
    assert inside == [string_message(b'{"start":{"python":"3"}}'), string_message(b'{"end":{"python":"4"}}')]
    assert f"learned_arm.provenance: {sha256_hex(statement)}" in (writer.target / "metadata.yaml").read_text()


def test_no_joint_is_made_up(writer: EpisodeWriter, draft: Draft, joint_state) -> None:
    part = joint_state(1, JOINTS[:-1], [0.0] * 6)
    broken = part[:20]
    for index, data in enumerate([part, broken]):
        writer.write([Received(draft.start_ns + index, "/joint_states", data, draft.start_ns, index)])
    assert finish(writer).initial_state is None


def test_discard_leaves_nothing(writer: EpisodeWriter) -> None:
    writer.discard()
    assert list(writer.folder.parent.iterdir()) == []


def test_names_and_folders_are_never_taken_twice(tmp_path: Path, draft: Draft, writer: EpisodeWriter) -> None:
    with pytest.raises(FileExistsError):
        EpisodeWriter(tmp_path, draft, CONTRACT)
    finish(writer)
    with pytest.raises(FileExistsError):
        EpisodeWriter(tmp_path, draft, CONTRACT)


def test_a_task_that_is_no_name_is_refused(tmp_path: Path, draft: Draft) -> None:
    with pytest.raises(LearnedArmError, match="not a name"):
        EpisodeWriter(tmp_path, Draft(**{**vars(draft), "task": "../out"}), CONTRACT)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_no_episode(writer: EpisodeWriter, draft: Draft) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        data = string_message(bytes(2_000_000))
        with pytest.raises(OSError, match="File too large"):
            writer.write([Received(draft.start_ns, SIM_STATE, data, draft.start_ns, 1)])
        writer.abandon()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not writer.target.exists() and writer.folder.exists()
