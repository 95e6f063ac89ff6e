"""A full disk ends an episode, never the recorder: what was recorded is kept, and the next one waits for room."""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

from data_recorder.bag_reader import messages_hash
from data_recorder.disk_file import RESERVE_BYTES, DiskFile, Reserve, require_room
from data_recorder.episode_writer import Draft, EpisodeWriter, Received, string_message
from data_recorder.rosbag2_metadata import Topic
from data_recorder.topics import SIM_STATE
from learned_arm.contract import load_contract
from learned_arm.episode import list_episodes, load_episode
from learned_arm.errors import LearnedArmError

CONTRACT = load_contract("pick_cube")
MOUNTED_BYTES = 60_000_000
_LIBC = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 60 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    options = f"size={MOUNTED_BYTES}".encode()
    if _LIBC.mount(b"none", os.fsencode(folder), b"tmpfs", 0, options) != 0:
        pytest.skip(f"a tmpfs cannot be mounted here: {os.strerror(ctypes.get_errno())}")
    yield folder
    # Lazily, so that a process which still ends does not keep it.
    assert _LIBC.umount2(os.fsencode(folder), 2) == 0


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(LearnedArmError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


@pytest.mark.parametrize("batch", [1, 50])
def test_what_was_kept_free_is_enough_for_the_end(small_disk: Path, draft: Draft, batch: int) -> None:
    writer = EpisodeWriter(small_disk, draft, CONTRACT, ("string data\n", ""))
    writer.add_provenance("start", {"python": "3"})
    writer.add_topic(Topic(SIM_STATE, "std_msgs/msg/Float64MultiArray", "float64[] data\n"))
    data, stamp_ns = string_message(os.urandom(300_000)), draft.start_ns
    while writer.full is None:
        messages = [Received(stamp_ns + each, SIM_STATE, data, stamp_ns, stamp_ns + each) for each in range(batch)]
        writer.write(messages)
        stamp_ns += batch
        assert stamp_ns - draft.start_ns < 2 * MOUNTED_BYTES // len(data)
    assert "No space left" in str(writer.full)
    episode = writer.finish("failure", "full", "", writer.last_ns, {}, {}, {})
    assert episode.folder is not None and load_episode(episode.folder) == episode
    # Not one message up to its end is missing.
    assert episode.streams[SIM_STATE].messages == episode.end_ns - draft.start_ns + 1
    assert episode.messages_hash == messages_hash(episode.folder)
    assert free_bytes(small_disk) > RESERVE_BYTES // 2


def test_room_is_kept_for_large_images_and_what_is_written_of_them(small_disk: Path, draft: Draft) -> None:
    topic = next(iter(CONTRACT.cameras.values())).topic
    writer = EpisodeWriter(small_disk, draft, CONTRACT)
    writer.add_topic(Topic(topic, "sensor_msgs/msg/Image", "uint8[] data\n"))
    size = 1440, 1920
    image = Image(height=size[0], width=size[1], encoding="rgb8", step=3 * size[1])
    image.data.frombytes(os.urandom(3 * size[0] * size[1]))
    data, stamp_ns = serialize_message(image), draft.start_ns
    writer.write([Received(stamp_ns, topic, data, stamp_ns, 0)])
    while writer.full is None:
        stamp_ns += 1
        writer.write([Received(stamp_ns, topic, data, stamp_ns, stamp_ns - draft.start_ns)])
    episode = writer.finish("failure", "full", "", writer.last_ns, {}, {}, {})
    assert episode.folder is not None and (episode.folder / "initial_front.png").stat().st_size > 0.9 * len(data)


def test_without_room_for_its_end_no_episode_is_begun(small_disk: Path, draft: Draft) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(bytes(free_bytes(small_disk) - RESERVE_BYTES // 2))
    assert "no room to record" in refusal(lambda: require_room(small_disk / "not" / "yet" / "there"))
    with pytest.raises(OSError, match="No space left"):
        EpisodeWriter(small_disk, draft, CONTRACT)
    assert list((small_disk / "pick_cube").iterdir()) == []
    filler.unlink()
    require_room(small_disk)
    assert os.listdir(small_disk) == ["pick_cube"]
    EpisodeWriter(small_disk, draft, CONTRACT).abandon()


def test_spare_room_is_taken_at_once_grows_and_is_given_back(small_disk: Path) -> None:
    before = free_bytes(small_disk)
    file = DiskFile(small_disk / "file", sync_s=0.01, reserve_bytes=1_000_000)
    assert before - free_bytes(small_disk) >= 1_000_000
    file.write(b"some")
    file.close()
    assert before - free_bytes(small_disk) <= 8192
    reserve = Reserve(small_disk, 1_000_000)
    assert reserve.grow(2_000_000) is None and before - free_bytes(small_disk) >= 3_000_000
    assert "No space left" in str(reserve.grow(MOUNTED_BYTES))
    reserve.close()
    assert before - free_bytes(small_disk) <= 8192 and os.listdir(small_disk) == ["file"]


@pytest.mark.ros
@pytest.mark.prove
def test_a_full_disk_ends_the_episode_and_the_next_waits_for_room(
    make_load_bench: Callable[[Path], Any], small_disk: Path
) -> None:
    bench = make_load_bench(small_disk / "demos")
    name = bench.begin()
    bench.operator.wait(lambda: bool(bench.status.get("error")), 30.0, "the disk to be full")
    assert "the disk is full" in bench.status["error"] and name in bench.status["error"]
    (episode,) = list_episodes(bench.root)
    assert (episode.name, episode.outcome, episode.reason) == (name, "failure", "the disk is full")
    # The node lives, and says why it does not begin.
    assert "no room to record" in refusal(lambda: bench.operator.trigger("/recorder_node", "start"))
    assert os.listdir(bench.root / "pick_cube") == [name]
    kept = bench.root.parent.parent / "kept"
    shutil.move(bench.root / "pick_cube" / name, kept)
    bench.begin()
    bench.operator.spin_for(0.2)
    assert bench.end().outcome == "success"
    bench.losses(load_episode(kept))
