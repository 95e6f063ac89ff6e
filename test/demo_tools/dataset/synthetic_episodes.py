"""Small recorded episodes without a simulator: a coloured square that moves with the joints, in real bags."""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_recorder.bag_writer import BagWriter
from data_recorder.rosbag2_metadata import Topic
from demo_tools.replay.verdict import Verdict
from learned_arm.contract import Contract, load_contract
from learned_arm.episode import Episode, Stream, save_episode

START_NS = 40_000_000_000
# Received on another clock than the stamps', a little later.
RECEIVED_OFFSET_NS = 1_700_000_000_002_000_000
IMAGE, JOINTS = "sensor_msgs/msg/Image", "sensor_msgs/msg/JointState"


@dataclass(frozen=True)
class Recipe:
    """An episode to write.

    Attributes:
        seed: Of the motion.
        ticks: Length of the commanded part.
        idle_s: Time before the first command and after the last.
        lag_ns: How far the measured joints follow behind the command.
        camera_gaps: Camera frames that were never published, counted from the first command.
        command_gap_s: Time in mid-motion at which `/arm/sent` falls silent for 0.2 s, None for never.
        moving_end: Whether the last command comes in mid-motion.
        outcome: As recorded.
        frozen_camera: Whether every picture is the same, whatever the joints do.
        sources: Who commands, as pairs of the tick from which on and the source.
        rests: Ticks in which nobody commands and the door says so once, as it does in real time.
    """

    seed: int = 0
    ticks: int = 30
    idle_s: float = 0.3
    lag_ns: int = 40_000_000
    camera_gaps: Collection[int] = ()
    command_gap_s: float | None = None
    moving_end: bool = False
    outcome: str = "success"
    frozen_camera: bool = False
    sources: Sequence[tuple[int, str]] = ((0, "teleop"),)
    rests: range = range(0)


def small_contract(**changes: Any) -> Contract:
    """`pick_cube` with cameras of 48 x 48 pixels and chunks of 8, so that tests are quick."""
    contract = load_contract("pick_cube")
    cameras = {name: replace(camera, size=(48, 48)) for name, camera in contract.cameras.items()}
    changed: dict[str, Any] = {"cameras": cameras, "action": replace(contract.action, horizon=8), **changes}
    return replace(contract, **changed)


def command_at(recipe: Recipe, contract: Contract, time_ns: int) -> NDArray[np.float64]:
    """Commanded joints at a time: a smooth way from home to a goal, still over the last fifth unless told."""
    rng = np.random.default_rng(recipe.seed)
    start = np.array(contract.robot.home_rad)
    goal = start + rng.uniform(-0.4, 0.4, size=contract.robot.dof)
    goal[-1] = 0.6
    length_ns = recipe.ticks * contract.period_ns * (2.0 if recipe.moving_end else 0.8)
    share = float(np.clip((time_ns - START_NS) / length_ns, 0.0, 1.0))
    return start + (goal - start) * (share**2 * (3 - 2 * share))


def picture(joints: NDArray[np.float64], size: tuple[int, int], camera: int) -> NDArray[np.uint8]:
    """A dark, graded background with a square whose place shows two of the joints."""
    height, width = size
    rows, columns = np.mgrid[0:height, 0:width]
    pixels = np.stack([40 + 60 * rows / height, 60 + 40 * columns / width, np.full(size, 70.0 + 20 * camera)], axis=-1)
    side = height // 4
    down = int(np.clip((joints[camera] + 1.0) * 0.3 * height, 0, height - side))
    right = int(np.clip((joints[camera + 2] - 0.5) * 0.3 * width, 0, width - side))
    pixels[down : down + side, right : right + side] = (210, 120, 60)
    return pixels.astype(np.uint8)


def write_episode(root: Path, contract: Contract, recipe: Recipe, *, replayed: Contract | None = None) -> Path:
    """Write an episode's folder; with `replayed`, a passed verdict under that contract too."""
    name = f"20260131T1200{recipe.seed % 60:02d}Z-{recipe.seed:08x}"
    folder = root / contract.task / name
    folder.mkdir(parents=True)
    writer = BagWriter(folder, name)
    topics = {camera.topic: IMAGE for camera in contract.cameras.values()}
    topics |= {"/joint_states": JOINTS, "/arm/sent": JOINTS, "/arm/requested": JOINTS}
    for topic, kind in topics.items():
        writer.add_topic(Topic(topic, kind, ""))
    for stamp_ns, topic, data in _messages(contract, recipe):
        writer.write(topic, data, stamp_ns + RECEIVED_OFFSET_NS, stamp_ns + RECEIVED_OFFSET_NS)
    summary = writer.close()
    streams = {topic: Stream(kind, summary.counts[topic], 0, 0, 1, None, None, 0) for topic, kind in topics.items()}
    episode = Episode(
        id=f"{recipe.seed:032x}",
        name=name,
        task=contract.task,
        contract_hash=contract.hash,
        contract=contract.canonical(),
        outcome=recipe.outcome,
        operator="test",
        reason="",
        notes="",
        policy=None,
        initial_state=None,
        streams=streams,
        start_ns=RECEIVED_OFFSET_NS,
        end_ns=RECEIVED_OFFSET_NS + 1,
        messages_hash=summary.messages_hash,
    )
    save_episode(episode, folder)
    if replayed is not None:
        Verdict("passed", "reproduced", replayed.hash, summary.messages_hash, recipe.outcome).save(folder)
    return folder


def _messages(contract: Contract, recipe: Recipe) -> list[tuple[int, str, bytes]]:
    robot, period_ns = contract.robot, contract.period_ns
    idle_ns = round(recipe.idle_s * 1e9)
    last_ns = START_NS + recipe.ticks * period_ns
    found: list[tuple[int, str, bytes]] = []
    for stamp_ns in range(START_NS - idle_ns, last_ns + idle_ns + 1, robot.control_period_ns):
        measured = command_at(recipe, contract, min(stamp_ns, last_ns) - recipe.lag_ns)
        frame, off_grid = divmod(stamp_ns - START_NS, period_ns)
        if not off_grid and frame not in recipe.camera_gaps:
            shown = np.array(robot.home_rad) if recipe.frozen_camera else measured
            for index, camera in enumerate(contract.cameras.values()):
                found.append((stamp_ns, camera.topic, image(stamp_ns, picture(shown, camera.size, index))))
        # In another order than the robot's own, as drivers publish.
        found.append((stamp_ns, "/joint_states", joint_state(stamp_ns, robot.joints[::-1], measured[::-1])))
        since_s = (stamp_ns - START_NS) / 1e9
        if recipe.command_gap_s is not None and recipe.command_gap_s < since_s < recipe.command_gap_s + 0.2:
            continue
        if frame in recipe.rests:
            if frame == recipe.rests[0] and not off_grid:
                found.append((stamp_ns, "/arm/sent", joint_state(stamp_ns, (), np.empty(0))))
        elif START_NS <= stamp_ns <= last_ns:
            source = [each for tick, each in recipe.sources if tick <= frame][-1]
            sent = joint_state(stamp_ns, robot.joints, command_at(recipe, contract, stamp_ns), source)
            found += [(stamp_ns, "/arm/requested", sent), (stamp_ns, "/arm/sent", sent)]
        else:
            found.append((stamp_ns, "/arm/sent", joint_state(stamp_ns, (), np.empty(0))))
    return found


def joint_state(stamp_ns: int, names: Sequence[str], position: NDArray[np.float64], frame_id: str = "") -> bytes:
    """A sensor_msgs/msg/JointState with positions only."""
    body = _aligned(_text(_header(stamp_ns), frame_id), 4) + struct.pack("<I", len(names))
    for name in names:
        body = _text(body, name)
    body = _aligned(body, 4) + struct.pack("<I", len(position))
    if len(position):
        body = _aligned(body, 8) + np.asarray(position, "<f8").tobytes()
    return b"\x00\x01\x00\x00" + bytes(_aligned(body, 4) + struct.pack("<II", 0, 0))


def image(stamp_ns: int, pixels: NDArray[np.uint8]) -> bytes:
    """A sensor_msgs/msg/Image, rgb8."""
    height, width = pixels.shape[:2]
    body = _aligned(_text(_header(stamp_ns), "camera"), 4) + struct.pack("<II", height, width)
    body = _text(body, "rgb8") + b"\0"
    body = _aligned(body, 4) + struct.pack("<II", width * 3, pixels.size) + pixels.tobytes()
    return b"\x00\x01\x00\x00" + bytes(body)


def _header(stamp_ns: int) -> bytes:
    return struct.pack("<iI", *divmod(stamp_ns, 1_000_000_000))


def _text(body: bytes, text: str) -> bytes:
    data = text.encode() + b"\0"
    return _aligned(body, 4) + struct.pack("<I", len(data)) + data


def _aligned(body: bytes, size: int) -> bytes:
    return body + bytes(-len(body) % size)
