"""A compressed episode is the same episode; whatever happens on the way, the old bag or the new one is there."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader

from data_recorder.bag_reader import BagReader, messages_hash
from data_recorder.compress import PART_FILE, compress, episodes_below
from data_recorder.episode_writer import Draft, EpisodeWriter, Received, string_message
from demo_tools import cli
from learned_arm.contract import load_contract
from learned_arm.episode import load_episode
from learned_arm.errors import LearnedArmError

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = load_contract("pick_cube")
BIG_BYTES = 300_000


@pytest.fixture
def record(tmp_path: Path, draft: Draft, topics, make_messages) -> Callable[..., Path]:
    """Records an episode of small messages and some that are large and compress well."""

    def make(count: int = 400, large: int = 20) -> Path:
        writer = EpisodeWriter(tmp_path, draft, CONTRACT, ("string data\n", ""))
        writer.add_provenance("start", {"what": "snapshot"})
        for topic in topics:
            writer.add_topic(topic)
        messages = [Received(m.log_time_ns, m.topic, m.data, m.publish_time_ns, None) for m in make_messages(count)]
        rng = random.Random(0)
        for index in range(large):
            at = messages[index * count // large]
            data = string_message(rng.randbytes(BIG_BYTES // 10) * 10)
            messages.append(Received(at.received_ns, "/words", data, at.source_ns, None))
        writer.write(sorted(messages))
        episode = writer.finish("success", "", "", writer.last_ns, {}, {}, {})
        assert episode.folder is not None
        return episode.folder

    return make


def bag_file(folder: Path) -> Path:
    return folder / f"{folder.name}_0.mcap"


def test_nothing_but_the_size_changes(record: Callable[..., Path]) -> None:
    folder = record()
    reader, episode = BagReader(folder), load_episode(folder)
    topics, messages = reader.topics, list(reader.messages())
    others = {path.name: path.read_bytes() for path in folder.iterdir() if path != bag_file(folder)}
    mode, size = bag_file(folder).stat().st_mode, bag_file(folder).stat().st_size
    done = compress(folder)
    assert (done.before_bytes, done.after_bytes) == (size, bag_file(folder).stat().st_size)
    assert done.after_bytes < size / 3
    assert BagReader(folder).topics == topics and list(BagReader(folder).messages()) == messages
    assert load_episode(folder).messages_hash == episode.messages_hash == messages_hash(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path != bag_file(folder)} == others
    assert bag_file(folder).stat().st_mode == mode
    with AnyReader([folder]) as other:
        assert sorted(bytes(raw) for _, _, raw in other.messages()) == sorted(m.data for m in messages)


def test_the_file_is_what_the_cpp_tools_expect(record: Callable[..., Path]) -> None:
    folder = record()
    compress(folder)
    with open(bag_file(folder), "rb") as file:
        reader = make_reader(file, validate_crcs=True)
        summary, header = reader.get_summary(), reader.get_header()
        assert summary is not None and summary.statistics is not None
        assert sum(1 for _ in reader.iter_messages()) == summary.statistics.message_count
        records = [record.metadata["serialized_metadata"] for record in reader.iter_metadata()]
    assert (header.profile, header.library) == ("ros2", "learned_arm")
    assert {index.compression for index in summary.chunk_indexes} == {"zstd"}
    assert all(index.message_index_offsets for index in summary.chunk_indexes)
    information = yaml.safe_load((folder / "metadata.yaml").read_bytes())["rosbag2_bagfile_information"]
    assert (information["compression_format"], information["compression_mode"]) == ("", "")
    assert len(records) == 2 and yaml.safe_load(records[1]) == information


def test_what_is_compressed_is_left_alone(record: Callable[..., Path]) -> None:
    folder = record()
    compress(folder)
    before = bag_file(folder).stat()
    done = compress(folder)
    after = bag_file(folder).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert "compressed before" in done.line()


def test_a_bag_that_is_not_the_recorded_one_is_left_alone(record: Callable[..., Path]) -> None:
    folder = record()
    data = bytearray(bag_file(folder).read_bytes())
    statement = (folder / "episode.json").read_text()
    identity = load_episode(folder).messages_hash
    (folder / "episode.json").write_text(statement.replace(identity, "0" * 64))
    refused(folder, "not the one that was recorded")
    (folder / "episode.json").write_text(statement)
    data[len(data) // 2] ^= 1
    bag_file(folder).write_bytes(data)
    refused(folder, "")
    assert bag_file(folder).read_bytes() == data


def test_a_link_is_not_followed(record: Callable[..., Path], tmp_path: Path) -> None:
    folder = record()
    elsewhere = bag_file(folder).rename(tmp_path / "elsewhere.mcap")
    data = elsewhere.read_bytes()
    bag_file(folder).symlink_to(elsewhere)
    refused(folder, "not a bag of one file")
    (folder / PART_FILE).symlink_to(tmp_path / "victim")
    bag_file(folder).unlink()
    bag_file(folder).write_bytes(data)
    compress(folder)
    assert elsewhere.read_bytes() == data and not (tmp_path / "victim").exists()


def refused(folder: Path, why: str) -> None:
    with pytest.raises(LearnedArmError) as caught:
        compress(folder)
    assert "\n" not in str(caught.value) and why in str(caught.value)
    assert not (folder / PART_FILE).exists()


def test_without_room_the_old_file_stays(record: Callable[..., Path]) -> None:
    import resource

    folder = record()
    data = bag_file(folder).read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        refused(folder, "File too large")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert bag_file(folder).read_bytes() == data


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "data_recorder.compress", str(folder)]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_as_a_process_it_is_the_least_urgent_and_alone(record: Callable[..., Path]) -> None:
    folder = record(large=300)
    process = start(folder)
    while not (folder / PART_FILE).exists():
        assert process.poll() is None
        time.sleep(0.001)
    assert os.getpriority(os.PRIO_PROCESS, process.pid) == 19
    with pytest.raises(LearnedArmError, match="by another process"):
        compress(folder)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and " MB to " in text and text.count("\n") == 1
    process = start(folder.parent)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 2 and text.startswith("error: ") and text.count("\n") == 1


def kill_at(folder: Path, seconds: float | None) -> tuple[bool, float]:
    """Kill a compression so long after its second file began; whether it was still at work, and how long it was."""
    process = start(folder)
    while not (folder / PART_FILE).exists() and process.poll() is None:
        time.sleep(0.0005)
    began_s = time.monotonic()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    length_s = time.monotonic() - began_s
    process.communicate()
    return process.returncode == -signal.SIGKILL, length_s


def killed_at_random(folder: Path, times: int, seed: int) -> None:
    raw = bag_file(folder).read_bytes()
    identity = load_episode(folder).messages_hash
    _, length_s = kill_at(folder, None)
    rng = random.Random(seed)
    killed = 0
    for _ in range(times):
        bag_file(folder).write_bytes(raw)
        was_at_work, _ = kill_at(folder, rng.uniform(0.0, length_s))
        killed += was_at_work
        assert messages_hash(folder) == identity
        assert was_at_work or bag_file(folder).stat().st_size < len(raw)
    compress(folder)
    assert messages_hash(folder) == identity and not (folder / PART_FILE).exists()
    print(f"killed {killed} of {times} times within {length_s:.2f} s: always the old file or the new one")
    assert killed > 0


def test_killed_at_any_moment_the_old_file_or_the_new_one_is_there(record: Callable[..., Path]) -> None:
    killed_at_random(record(large=60), 3, seed=1)


@pytest.mark.prove
@pytest.mark.limit_s(600)
def test_killed_at_a_hundred_moments_the_old_file_or_the_new_one_is_there(record: Callable[..., Path]) -> None:
    killed_at_random(record(large=100), 100, seed=2)


def test_the_command_takes_a_root_and_says_what_was_won(record: Callable[..., Path], capfd) -> None:
    folder = record()
    assert episodes_below([folder]) == episodes_below([folder.parent.parent]) == [folder]
    priority = os.getpriority(os.PRIO_PROCESS, 0)
    process = subprocess.run(
        [sys.executable, "-m", "demo_tools.cli", "compress", str(folder.parent.parent)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert os.getpriority(os.PRIO_PROCESS, 0) == priority
    assert str(folder) in process.stdout and "1 episodes" in process.stdout
    with pytest.raises(LearnedArmError, match="no episode found"):
        cli.compress((folder.parent.parent / "nowhere",))
