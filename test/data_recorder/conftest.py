"""Bags to test with: a few topics of the contract, filled with messages from a seed."""

from __future__ import annotations

import importlib.util
import random
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from data_recorder.bag_reader import BagMessage
from data_recorder.bag_writer import BagWriter
from data_recorder.episode_writer import Draft
from data_recorder.rosbag2_metadata import Topic, qos_profile
from learned_arm.contract import load_contract

CONTRACT = load_contract("pick_cube")
START_NS = 1_770_000_000_000_000_000
TEXTS = {
    "std_msgs/msg/String": "string data\n",
    "std_msgs/msg/Bool": "bool data\n",
}
STRING_HASH = "RIHS01_df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18"
BEST_EFFORT = qos_profile("best_effort", depth=5)
TOPICS = (
    Topic("/words", "std_msgs/msg/String", TEXTS["std_msgs/msg/String"], (qos_profile(),), STRING_HASH),
    Topic(
        "/task/success",
        "std_msgs/msg/Bool",
        TEXTS["std_msgs/msg/Bool"],
        (BEST_EFFORT,),
    ),
    Topic("/more/words", "std_msgs/msg/String", TEXTS["std_msgs/msg/String"], (), STRING_HASH),
)


@pytest.fixture
def topics() -> tuple[Topic, ...]:
    """Three topics of two types."""
    return TOPICS


@pytest.fixture
def make_messages() -> Callable[..., list[BagMessage]]:
    """Messages from a seed, in the order of their log stamps."""

    def make(count: int, seed: int = 0) -> list[BagMessage]:
        rng = random.Random(seed)
        found, now_ns = [], START_NS
        for _ in range(count):
            now_ns += rng.randrange(0, 5_000_000)
            topic = rng.choice(TOPICS)
            if topic.type == "std_msgs/msg/Bool":
                data = b"\x00\x01\x00\x00" + bytes([rng.randrange(2)])
            else:
                text = bytes(rng.choices(range(97, 123), k=rng.randrange(0, 400))) + b"\x00"
                data = b"\x00\x01\x00\x00" + struct.pack("<I", len(text)) + text
            found.append(BagMessage(topic.name, topic.type, now_ns, now_ns - rng.randrange(0, 1_000_000), data))
        return found

    return make


@pytest.fixture
def write_bag() -> Callable[..., str]:
    """Writes a finished bag into a folder and returns its identity."""

    def write(folder: Path, name: str, messages: Sequence[BagMessage], chunk_bytes: int = 4096) -> str:
        folder.mkdir(parents=True, exist_ok=True)
        bag = BagWriter(folder, name, {"key": "value=with equals"}, chunk_bytes)
        for topic in TOPICS:
            bag.add_topic(topic)
        for message in messages:
            bag.write(message.topic, message.data, message.log_time_ns, message.publish_time_ns)
        return bag.close({"late": "known at the end"}).messages_hash

    return write


@pytest.fixture
def draft() -> Draft:
    """An episode that is about to be recorded under the shipped contract."""
    return Draft(
        id="0123456789abcdef" * 2,
        name="20260131T120000Z-01234567",
        task="pick_cube",
        contract=CONTRACT.canonical(),
        contract_hash=CONTRACT.hash,
        operator="someone",
        notes="",
        policy=None,
        start_ns=START_NS,
    )


@pytest.fixture
def joint_state() -> Callable[..., bytes]:
    """A sensor_msgs/msg/JointState as raw CDR, with positions only."""

    def encode(stamp_ns: int, names: Sequence[str], positions: Sequence[float], frame_id: str = "") -> bytes:
        frame = frame_id.encode() + b"\0"
        body = struct.pack("<iI", stamp_ns // 10**9, stamp_ns % 10**9) + struct.pack("<I", len(frame)) + frame
        body += bytes(-len(body) % 4)
        body += struct.pack("<I", len(names))
        for name in names:
            text = name.encode() + b"\0"
            body += bytes(-len(body) % 4) + struct.pack("<I", len(text)) + text
        body += bytes(-len(body) % 4) + struct.pack("<I", len(positions))
        body += bytes(-len(body) % 8) + struct.pack(f"<{len(positions)}d", *positions)
        return b"\x00\x01\x00\x00" + body + struct.pack("<II", 0, 0)

    return encode


def _load_bench() -> Any:
    """The module `load_bench`, which needs ROS."""
    spec = importlib.util.spec_from_file_location("load_bench", Path(__file__).with_name("load_bench.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def make_load_bench(spawn: Any, tmp_path: Path) -> Iterator[Callable[[Path], Any]]:
    """A recorder under load that writes below a given root, see `load_bench`."""
    made: list[Any] = []

    def make(root: Path) -> Any:
        made.append(_load_bench().Bench(spawn, tmp_path, root))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(scope="module")
def _module_load_bench(module_spawn: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("load")
    bench = _load_bench().Bench(module_spawn, folder, folder / "demos")
    yield bench
    bench.close()


@pytest.fixture
def load_bench(_module_load_bench: Any) -> Any:
    """A recorder under load, without episodes; the load goes on from test to test."""
    _module_load_bench.renew()
    return _module_load_bench
