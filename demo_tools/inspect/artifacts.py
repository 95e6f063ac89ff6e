"""The facts about each kind of thing that the flywheel makes."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from data_recorder.bag_reader import BagReader
from data_recorder.episode_writer import load_draft
from data_recorder.identity import MessagesHash
from data_recorder.takeovers import Takeovers
from demo_tools.dataset.manifest import SPLITS, Manifest
from demo_tools.replay.verdict import Verdict
from learned_arm.contract import Contract
from learned_arm.durable import read_json
from learned_arm.episode import SENT, load_episode
from learned_arm.errors import LearnedArmError
from learned_policy_node.loading import open_policy, prove

_RUN_PARTS = (
    "record.json",
    "replays.json",
    "dataset/manifest.json",
    "training/loss.json",
    "policy.onnx",
    "evaluation.json",
    "blind.json",
    "report.html",
)


def bag(path: Path, takeovers: Takeovers | None = None) -> dict[str, Any]:
    """A rosbag2 bag: topics, times, and the hash of its messages; `takeovers` is shown its commands."""
    reader = BagReader(path)
    digest = MessagesHash()
    first_ns, last_ns, payload = None, 0, 0
    for message in reader.messages():
        digest.add(*message)
        first_ns = message.log_time_ns if first_ns is None else min(first_ns, message.log_time_ns)
        last_ns = max(last_ns, message.log_time_ns)
        payload += len(message.data)
        if takeovers is not None and message.topic == SENT:
            takeovers.add(message.data)
    return {
        "kind": "rosbag2 bag (MCAP)",
        "path": str(path),
        "messages": reader.message_count,
        "payload": f"{payload / 1e6:.1f} MB",
        "began": utc(first_ns) if first_ns is not None else None,
        "seconds": round((last_ns - (first_ns or 0)) / 1e9, 3),
        "messages_hash": digest.hexdigest(),
        "topics": [f"{each.messages:>7}  {each.name}  ({each.type})" for each in reader.topics.values()],
    }


def episode(path: Path) -> dict[str, Any]:
    """An episode: its outcome, its bag checked against its identity, and the statements about it."""
    found = load_episode(path)
    takeovers = Takeovers()
    content = bag(path, takeovers)
    if content["messages_hash"] != found.messages_hash:
        raise LearnedArmError(
            "bag is not the one that was recorded",
            where=path,
            got=content["messages_hash"],
            allowed=found.messages_hash,
        )
    if takeovers.found != found.interventions:
        raise LearnedArmError(
            "interventions are not those of the bag", where=path, got=found.interventions, allowed=takeovers.found
        )
    verdict = Verdict.load(path)
    return {
        "kind": "episode",
        "path": str(path),
        "task": found.task,
        "outcome": found.outcome,
        "reason": found.reason,
        "operator": found.operator,
        "notes": found.notes,
        "began": utc(found.start_ns),
        "seconds": round((found.end_ns - found.start_ns) / 1e9, 3),
        "messages": found.messages,
        "lost_messages": found.lost_messages,
        "losses_uncounted": ", ".join(found.uncounted) or None,
        "replay": f"{verdict.verdict}: {verdict.reason}".rstrip(": ") if verdict is not None else "none",
        "interventions": [
            f"{each.source} for {(each.end_ns - each.start_ns) / 1e9:.2f} s, {each.start_ns} to {each.end_ns}"
            for each in found.interventions
        ],
        "contract": contract_line(found.loaded_contract),
        "lineage": {
            "messages_hash": f"{found.messages_hash} (matches the bag)",
            "contract_hash": found.contract_hash,
            "policy": found.policy or "none: a demonstration",
        },
        "topics": content["topics"],
    }


def unfinished(path: Path) -> dict[str, Any]:
    """A recording that was cut off."""
    draft = load_draft(path)
    return {
        "kind": "unfinished recording",
        "path": str(path),
        "task": draft.task,
        "began": utc(draft.start_ns),
        "next": f"learned-arm recover {path}",
    }


def dataset(path: Path) -> dict[str, Any]:
    """A LeRobot v3.0 dataset by its manifest, which is checked against its hash."""
    manifest = Manifest.load(path)
    info = read_json(path / "meta/info.json")
    try:
        version, features = str(info["codebase_version"]), sorted(info["features"])
        totals = int(info["total_episodes"]), int(info["total_frames"])
    except (KeyError, TypeError, ValueError) as error:
        raise LearnedArmError("not a LeRobot dataset", where=path / "meta/info.json", got=str(error)) from error
    if totals != (len(manifest.episodes), manifest.frames):
        stated = (len(manifest.episodes), manifest.frames)
        raise LearnedArmError("info.json and manifest.json differ", where=path, got=totals, allowed=stated)
    contract = manifest.loaded_contract
    return {
        "kind": f"dataset (LeRobotDataset {version})",
        "path": str(path),
        "task": contract.task,
        "episodes": len(manifest.episodes),
        "frames": manifest.frames,
        "seconds": round(manifest.frames / contract.rate_hz, 1),
        **{f"{split} episodes": len(manifest.indices(split)) for split in SPLITS},
        "replay verdicts": _counted(each.verdict for each in manifest.episodes),
        "unreplayed allowed": manifest.allow_unreplayed,
        "frames by source": _shares(manifest.frames_by_source),
        "frames left out": _shares(manifest.left_out) or "none",
        "frames of the policy allowed": manifest.policy_frames,
        "losses allowed": manifest.allow_losses,
        **({"accepted by sampling": manifest.sampling} if manifest.sampling else {}),
        **({"waivers": list(manifest.waivers)} if manifest.waivers else {}),
        "refused": len(manifest.refused),
        "contract": contract_line(contract),
        "video codec": manifest.codec,
        "features": ", ".join(features),
        "lineage": {"content_hash": manifest.content_hash, "contract_hash": contract.hash},
        "made from (messages hashes)": [f"{each.messages_hash}  {each.name}" for each in manifest.episodes],
    }


def policy(path: Path) -> dict[str, Any]:
    """A policy file; its self-test is run."""
    found = open_policy(path)
    worst, action = prove(found, allow_untested=True), found.contract.action
    cases = f"{found.selftest.cases} cases, off by {worst:.2g}" if worst is not None else "none"
    numbers = len(found.contract.state_names)
    cameras = (f"{name} {camera.size[1]}x{camera.size[0]}" for name, camera in found.contract.cameras.items())
    return {
        "kind": "policy (ONNX)",
        "path": str(path),
        "size": f"{path.stat().st_size / 1e6:.2f} MB",
        "hash": found.hash,
        "task": found.contract.task,
        "contract": contract_line(found.contract),
        "sees": f"{', '.join(cameras)}; {numbers} numbers of state; history {found.contract.history}",
        "gives": f"{action.horizon} x {len(found.contract.label_names)} {action.representation} labels",
        "joints": ", ".join(found.contract.robot.joints),
        "kind of policy": found.kind,
        "self-test": cases if worst is None else f"{cases} (allowed {found.tolerance:g})",
        "contract_hash": found.contract.hash,
        "lineage": found.lineage or None,
    }


def run(path: Path) -> dict[str, Any]:
    """A run folder of the demo: its summary, and which parts are there."""
    summary = read_json(path / "summary.json") if (path / "summary.json").is_file() else {}
    if not isinstance(summary, dict):
        raise LearnedArmError("not a summary", where=path / "summary.json", got=summary, allowed="a mapping")
    hashes = summary.pop("hashes", {})
    return {
        "kind": "run of the demo",
        "path": str(path),
        **(summary or {"summary": "none: the run did not end"}),
        "hashes": hashes,
        "parts": [f"{name}{'' if (path / name).is_file() else '  (missing)'}" for name in _RUN_PARTS],
    }


def utc(stamp_ns: int) -> str:
    """System time for people."""
    return f"{datetime.fromtimestamp(stamp_ns / 1e9, UTC):%Y-%m-%d %H:%M:%S} UTC"


def contract_line(contract: Contract) -> str:
    """A contract in a line."""
    action = contract.action
    labels = f"{action.source} as {action.representation}"
    return f"{contract.task} on {contract.robot.name}, {contract.rate_hz} Hz, {labels}"


def _shares(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def _counted(values: Any) -> str:
    return ", ".join(f"{count} {value}" for value, count in sorted(Counter(values).items()))
