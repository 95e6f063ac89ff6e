"""A whole run folder made by hand: real bags, verdicts, a real dataset, a policy file, and statements about them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_typestore

from benchmarks.policy_model import write_policy
from data_recorder.episode_writer import Draft, EpisodeWriter, Received
from data_recorder.rosbag2_metadata import Topic, qos_profile
from demo_tools.dataset.build import build_dataset
from demo_tools.replay.tracking import tracking_report
from demo_tools.replay.verdict import Verdict
from demo_tools.statistics import wilson_interval
from learned_arm.canonical import hash_of, sha256_hex
from learned_arm.contract import Contract, load_contract
from learned_arm.episode import Episode, episode_name, load_episode
from learned_arm.provenance import snapshot

SECONDS, CAMERA_HZ, CONTROL_HZ = 2.0, 20, 100
EPOCH_NS = 1_767_225_600_000_000_000
_STORE = get_typestore(Stores.ROS2_JAZZY)


@dataclass(frozen=True)
class Made:
    """The run folder and the names behind it."""

    folder: Path
    contract: Contract
    demonstrations: tuple[Path, ...]
    policy_hash: str
    dataset_hash: str


def _header(stamp_ns: int) -> Any:
    types = _STORE.types
    stamp = types["builtin_interfaces/msg/Time"](sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return types["std_msgs/msg/Header"](stamp=stamp, frame_id="camera")


def _image(stamp_ns: int, pixels: NDArray[np.uint8]) -> bytes:
    height, width, _ = pixels.shape
    message = _STORE.types["sensor_msgs/msg/Image"](
        header=_header(stamp_ns),
        height=height,
        width=width,
        encoding="rgb8",
        is_bigendian=0,
        step=3 * width,
        data=pixels.reshape(-1),
    )
    return bytes(_STORE.serialize_cdr(message, "sensor_msgs/msg/Image"))


def _joint_state(stamp_ns: int, joints: tuple[str, ...], position: NDArray[np.float64]) -> bytes:
    message = _STORE.types["sensor_msgs/msg/JointState"](
        header=_header(stamp_ns),
        name=list(joints),
        position=position,
        velocity=np.empty(0),
        effort=np.empty(0),
    )
    return bytes(_STORE.serialize_cdr(message, "sensor_msgs/msg/JointState"))


def _scene(progress: float, at: tuple[float, float], wrist: bool) -> NDArray[np.uint8]:
    """A table, a cube and a gripper, well enough for a person to see what moves."""
    picture = np.full((96, 96, 3), (196, 186, 170), dtype=np.uint8)
    cv2.rectangle(picture, (0, 0), (96, 26), (92, 104, 120), -1)
    x, y = (48, 60) if wrist else (round(20 + 56 * at[0]), round(38 + 46 * at[1] - 22 * max(progress - 0.6, 0)))
    side = 12 if wrist else 6
    cv2.rectangle(picture, (x - side, y - side), (x + side, y + side), (204, 62, 46), -1)
    tip = (
        (48, round(90 - 22 * progress)) if wrist else (round(48 + (x - 48) * progress), round(8 + (y - 14) * progress))
    )
    cv2.line(picture, (48, 0), tip, (52, 58, 66), 5)
    cv2.circle(picture, tip, 5, (38, 92, 158), -1)
    return picture


def _record(
    root: Path, contract: Contract, seed: int, outcome: str, policy: str | None, provenance: dict[str, Any]
) -> Episode:
    rng = np.random.default_rng(seed)
    at = (float(rng.uniform()), float(rng.uniform()))
    start_ns = EPOCH_NS + (seed % 1000) * 60 * 10**9
    episode_id = f"{seed:08x}" + "0" * 24
    name = episode_name(start_ns, episode_id)
    draft = Draft(
        episode_id,
        name,
        contract.task,
        contract.canonical(),
        contract.hash,
        "expert",
        f"seed {seed}",
        policy,
        start_ns,
    )
    writer = EpisodeWriter(root, draft, contract)
    writer.add_provenance("start", provenance)
    for topic, kind in [(each.topic, "Image") for each in contract.cameras.values()] + [
        ("/joint_states", "JointState"),
        ("/arm/sent", "JointState"),
    ]:
        writer.add_topic(Topic(topic, f"sensor_msgs/msg/{kind}", "std_msgs/Header header", (qos_profile(),)))
    goal = rng.normal(0.0, 0.3, contract.robot.dof)
    home = np.asarray(contract.robot.home_rad)
    sequence = 0
    # The arm rests for the last fifth, so that the last target may be held.
    for step in range(round(SECONDS * CONTROL_HZ)):
        stamp_ns = step * 10**9 // CONTROL_HZ
        progress = min(step / (0.8 * SECONDS * CONTROL_HZ), 1.0)
        received_ns, sequence = start_ns + stamp_ns, sequence + 1
        sent = home + goal * (progress**2 * (3 - 2 * progress))
        measured = sent + rng.normal(0, 2e-4, contract.robot.dof)
        messages = []
        if step % (CONTROL_HZ // CAMERA_HZ) == 0:
            for camera, spec in contract.cameras.items():
                data = _image(stamp_ns, _scene(progress, at, camera == "wrist"))
                messages.append(
                    Received(received_ns, spec.topic, data, received_ns, step // (CONTROL_HZ // CAMERA_HZ) + 1)
                )
        for topic, values in (("/joint_states", measured), ("/arm/sent", sent)):
            messages.append(
                Received(
                    received_ns,
                    topic,
                    _joint_state(stamp_ns, contract.robot.joints, values),
                    received_ns,
                    sequence,
                )
            )
        writer.write(messages)
    writer.add_provenance("end", provenance)
    return writer.finish(outcome, "judged", "", start_ns + round(SECONDS * 1e9), {}, {}, {})


def _judge(episode: Episode, contract: Contract, verdict: str) -> None:
    assert episode.folder is not None
    rng = np.random.default_rng(episode.start_ns % 2**32)
    recorded = rng.normal(0, 0.3, (40, contract.robot.dof))
    replayed = recorded + rng.normal(0, 3e-3, recorded.shape)
    Verdict(
        verdict,
        "the cube was not lifted" if verdict == "failed" else "",
        contract.hash,
        episode.messages_hash,
        episode.outcome,
        tracking=tracking_report(contract.robot.joints, recorded, replayed),
    ).save(episode.folder)


def _write(folder: Path, name: str, value: Any) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(value))


def make_run(folder: Path, demonstrations: int = 5, trials: int = 6, blind_trials: int = 3) -> Made:
    """Make a whole run folder in an empty folder."""
    contract = load_contract("pick_cube")
    provenance = snapshot(contract)

    def relative(episode: Episode) -> str:
        assert episode.folder is not None
        return episode.folder.relative_to(folder).as_posix()

    recorded = [
        _record(folder / "demos", contract, seed, "success", None, provenance) for seed in range(demonstrations)
    ]
    verdicts = ["failed" if index == 1 else "passed" for index in range(demonstrations)]
    for episode, verdict in zip(recorded, verdicts, strict=True):
        _judge(episode, contract, verdict)
    paths = [episode.folder for episode in recorded if episode.folder is not None]
    manifest = build_dataset(paths, contract, folder / "dataset", workers=1)
    write_policy(folder / "policy.onnx", contract, made_from={"dataset": manifest.content_hash})
    policy_hash = sha256_hex((folder / "policy.onnx").read_bytes())

    def evaluate(name: str, root: str, first_seed: int, outcomes: list[bool]) -> tuple[int, int, tuple[float, float]]:
        rows = []
        for index, success in enumerate(outcomes):
            word = "success" if success else "failure"
            episode = _record(folder / root, contract, first_seed + index, word, policy_hash, provenance)
            rows.append(
                {
                    "seed": first_seed + index,
                    "success": success,
                    "folder": relative(episode),
                    "sim_seconds": SECONDS,
                    "lost": 0,
                }
            )
        interval = wilson_interval(sum(outcomes), len(outcomes))
        statement = {
            "policy": policy_hash,
            "trials": rows,
            "successes": sum(outcomes),
            "count": len(outcomes),
            "wilson": interval,
        }
        _write(folder, name, statement)
        return sum(outcomes), len(outcomes), interval

    successes, count, interval = evaluate(
        "evaluation.json", "rollouts", 1_000_000, [index != 2 for index in range(trials)]
    )
    blind_successes, blind_count, _ = evaluate("blind.json", "blind", 1_500_000, [False] * blind_trials)
    _write(
        folder,
        "record.json",
        {
            "episodes": [
                {
                    "seed": seed,
                    "outcome": "success",
                    "folder": relative(episode),
                    "lost": 0,
                    "sim_seconds": SECONDS,
                }
                for seed, episode in enumerate(recorded)
            ]
        },
    )
    _write(
        folder,
        "replays.json",
        {
            "replays": [
                {
                    "folder": relative(episode),
                    "verdict": verdict,
                    "reason": "the cube was not lifted" if verdict == "failed" else "",
                }
                for episode, verdict in zip(recorded, verdicts, strict=True)
            ]
        },
    )
    curve = [
        {
            "iteration": float(step),
            "train": 0.02 + 0.8 * float(np.exp(-step / 300)),
            "validation": 0.04 + 0.7 * float(np.exp(-step / 260)),
        }
        for step in range(50, 2001, 50)
    ]
    _write(folder, "training/loss.json", {"recipe": {"iterations": 2000, "seed": 0}, "curve": curve})
    times = {
        "record": 141.2,
        "replay": 96.0,
        "dataset": 22.4,
        "train": 318.5,
        "export": 4.1,
        "evaluate": 162.3,
        "blind": 44.0,
    }
    _write(folder, "stages.json", [{"stage": stage, "seconds": seconds} for stage, seconds in times.items()])
    _write(
        folder,
        "summary.json",
        {
            "task": contract.task,
            "seconds": sum(times.values()),
            "episodes": demonstrations,
            "lost_messages": 0,
            "replay_passed": verdicts.count("passed"),
            "dataset_frames": manifest.frames,
            "parity_max_abs": 8.3e-7,
            "eval_successes": successes,
            "eval_trials": count,
            "wilson_low": interval[0],
            "wilson_high": interval[1],
            "blind_successes": blind_successes,
            "blind_trials": blind_count,
            "hashes": {
                "contract": contract.hash,
                "episodes": hash_of([load_episode(path).messages_hash for path in paths]),
                "dataset": manifest.content_hash,
                "policy": policy_hash,
            },
        },
    )
    return Made(folder, contract, tuple(paths), policy_hash, manifest.content_hash)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A whole run, shared by all tests: copy it before changing it."""
    return make_run(tmp_path_factory.mktemp("run").resolve())
