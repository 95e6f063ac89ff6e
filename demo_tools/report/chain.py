"""The chain of hashes from bags to the success rate, each link computed again from the files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from demo_tools.dataset.manifest import Manifest
from demo_tools.report.run_files import Run, Trials
from learned_arm.canonical import hash_of, sha256_hex

HOLDS, BROKEN, UNKNOWN = "holds", "broken", "unknown"


@dataclass(frozen=True)
class Check:
    """One thing that must agree; `state` is one of holds, broken, unknown (a side is missing)."""

    text: str
    state: str


@dataclass(frozen=True)
class Link:
    """One station: what it is, its hash, and the checks against the stations before it."""

    name: str
    about: str
    hash: str
    checks: tuple[Check, ...]


def hash_chain(run: Run, manifest: Manifest | None, lineage: dict[str, Any] | None) -> list[Link]:
    """Contract, episodes, dataset, policy and evaluation, with what ties each to the one before.

    Args:
        run: The run's files.
        manifest: Of the dataset, None without one.
        lineage: What the policy file says of its origin, None without a policy.
    """
    stated = run.summary.get("hashes", {})
    episodes = [each.episode for each in run.demonstrations if each.episode is not None]
    complete = bool(episodes) and len(episodes) == len(run.demonstrations)
    identity = hash_of([episode.messages_hash for episode in episodes]) if complete else ""
    contracts = {episode.contract_hash for episode in episodes}
    policy = sha256_hex(run.policy_file.read_bytes()) if run.policy_file.is_file() else ""
    dataset = manifest.content_hash if manifest is not None else ""
    recorded = {episode.messages_hash for episode in episodes}
    used = {each.messages_hash for each in manifest.episodes} if manifest is not None else set()
    links = [
        Link(
            "contract",
            "robot, observations and labels",
            stated.get("contract", ""),
            (_same("every episode was recorded under it", contracts, {stated.get("contract", "")}),),
        ),
        Link(
            "episodes",
            f"{len(run.demonstrations)} bags, identified by their messages",
            identity or stated.get("episodes", ""),
            (_same("equals the summary's", {identity}, {stated.get("episodes", "")}),),
        ),
        Link(
            "dataset",
            f"{len(used)} episodes, {manifest.frames} frames" if manifest is not None else "not in this run",
            dataset or stated.get("dataset", ""),
            (
                _check(
                    "every episode in it is among the recorded ones",
                    used <= recorded if used and recorded else None,
                ),
                _check("every episode in it passed replay", _all_passed(manifest)),
                _same("equals the summary's", {dataset}, {stated.get("dataset", "")}),
            ),
        ),
        Link(
            "policy",
            "policy.onnx",
            policy or stated.get("policy", ""),
            (
                _check("names this dataset as its origin", _mentions(lineage, dataset)),
                _same("equals the summary's", {policy}, {stated.get("policy", "")}),
            ),
        ),
    ]
    for name, trials in (("evaluation", run.evaluation), ("blind evaluation", run.blind)):
        if trials is not None:
            links.append(_evaluation(name, trials, policy))
    return links


def _evaluation(name: str, trials: Trials, policy: str) -> Link:
    rollouts = [each.episode for each in trials.rollouts]
    known = [episode.policy for episode in rollouts if episode is not None]
    linked = all(each == policy for each in known) if policy and len(known) == len(rollouts) and known else None
    identity = hash_of([episode.messages_hash for episode in rollouts if episode is not None])
    text = f"each of its {len(rollouts)} rollouts is linked to this policy"
    checks = (_same("was made with this policy", {trials.policy}, {policy}), _check(text, linked))
    return Link(name, f"{trials.successes} of {trials.count} rollouts succeeded", identity, checks)


def _all_passed(manifest: Manifest | None) -> bool | None:
    return None if manifest is None else all(each.verdict == "passed" for each in manifest.episodes)


def _mentions(lineage: dict[str, Any] | None, wanted: str) -> bool | None:
    """Whether any entry of the lineage is this hash."""
    return None if lineage is None or not wanted else wanted in _leaves(lineage)


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for each in value.values() for leaf in _leaves(each)]
    if isinstance(value, list):
        return [leaf for each in value for leaf in _leaves(each)]
    return [value]


def _same(text: str, one: set[str], other: set[str]) -> Check:
    both_known = all(one) and all(other) and bool(one) and bool(other)
    return _check(text, one == other if both_known else None)


def _check(text: str, held: bool | None) -> Check:
    return Check(text, UNKNOWN if held is None else HOLDS if held else BROKEN)


def broken(links: Sequence[Link]) -> list[str]:
    """Links that do not hold, in words."""
    return [
        f"{link.name}: does not hold: {check.text}" for link in links for check in link.checks if check.state == BROKEN
    ]
