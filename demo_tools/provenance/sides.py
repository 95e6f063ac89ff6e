"""The two sides of a comparison: an episode, a snapshot file, or the robot that is running."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from learned_arm.canonical import canonical_json
from learned_arm.contract import Contract, load_contract
from learned_arm.durable import read_json
from learned_arm.episode import EPISODE_FILE, PROVENANCE_FILE, load_episode
from learned_arm.errors import LearnedArmError
from learned_arm.provenance_facts import check_snapshot, node_names

LIVE = "live"
_MOMENTS = ("start", "end")

Snapshot = dict[str, Any]


def load_sides(before: str, after: str, contract: str = "") -> tuple[Snapshot, Snapshot]:
    """Both snapshots; `live` is asked last, with the contract of the other side unless another is named.

    Raises:
        LearnedArmError: A side is no episode, no snapshot, or holds none; or both are `live`.
    """
    names = before, after
    if names == (LIVE, LIVE):
        raise LearnedArmError("both sides are the robot that is running", allowed="one episode or snapshot file")
    known = {name: load_side(Path(name)) for name in names if name != LIVE}
    if LIVE in names:
        (other,) = known.values()
        known[LIVE] = live_side(_contract(other, contract), node_names(other) or ())
    return known[before], known[after]


def load_side(path: Path) -> Snapshot:
    """The snapshot at the start of an episode (where there is none, at its end), or the one that a file holds.

    Raises:
        LearnedArmError: There is none.
    """
    if not path.is_dir():
        return _snapshot_in(read_json(path), path)
    found = _snapshot_in(read_json(path / PROVENANCE_FILE), path / PROVENANCE_FILE)
    if not (path / EPISODE_FILE).is_file():
        return found
    episode = load_episode(path)
    facts = {"operator": episode.operator, "task": episode.task, "policy": episode.policy}
    # Older snapshots hold the contract's hash alone; the episode holds it whole.
    content = {"contract_content": episode.contract} if found.get("contract") == episode.contract_hash else {}
    return {**content, **found, "episode": facts}


def live_side(contract: Contract, expected: Collection[str] = ()) -> Snapshot:
    """The robot that is running on this ROS_DOMAIN_ID, as a file would hold it.

    Args:
        contract: Names cameras and joint states.
        expected: Nodes to wait for.
    """
    from demo_tools.provenance.node import NAME, take_snapshot

    return _as_read(take_snapshot(contract, [each for each in expected if each != f"/{NAME}"]))


def as_text(snapshot: Snapshot) -> str:
    """A snapshot as indented JSON."""
    return json.dumps(_as_read(snapshot), indent=2, sort_keys=True, ensure_ascii=False)


def _snapshot_in(content: Any, where: Path) -> Snapshot:
    if isinstance(content, dict) and "version" not in content:
        for moment in _MOMENTS:
            if isinstance(content.get(moment), dict) and "version" in content[moment]:
                content = content[moment]
                break
        else:
            reason = content.get("unreachable")
            if isinstance(reason, str):
                raise LearnedArmError("holds no snapshot", where=where, got=reason, allowed="another episode")
    return dict(check_snapshot(content, where))


def _contract(other: Snapshot, name: str) -> Contract:
    if name:
        return load_contract(name)
    if "contract_content" not in other:
        what = "the other side does not hold its contract"
        raise LearnedArmError(what, where=LIVE, allowed="--contract NAME")
    return Contract.from_canonical(other["contract_content"], "the other side's contract")


def _as_read(snapshot: Snapshot) -> Snapshot:
    return json.loads(canonical_json(snapshot))
