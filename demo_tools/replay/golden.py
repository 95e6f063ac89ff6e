"""Golden episodes: a kept set that is replayed after every change. Staying inside its baseline is worth a waiver.

The baseline says how closely each golden episode was followed when it was made. After a change of software or contract
the same episodes are replayed; where all pass and no joint strays further than it did, a waiver links the two, and what
passed before the change need not be replayed again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from demo_tools.replay.verdict import Verdict
from learned_arm.canonical import hash_of
from learned_arm.errors import LearnedArmError
from learned_arm.sealed import read_sealed, write_sealed

# A replay is never the same to the last bit on a real arm: so much more than in the baseline is no change.
_FACTOR, _SLACK_RAD = 1.5, 2e-3
_GOLDEN, _WAIVER = "golden", "waiver"


@dataclass(frozen=True)
class Golden:
    """The baseline of a kept set.

    Attributes:
        state: What it was made with, see `flow.golden.state_of`.
        largest_rad: By the messages hash of each episode the largest error of each joint over its replays.
    """

    state: dict[str, Any]
    largest_rad: dict[str, dict[str, float]]

    @staticmethod
    def of(verdicts: Mapping[Path, Sequence[Verdict]], state: dict[str, Any]) -> Golden:
        """The baseline of replays that all passed.

        Raises:
            LearnedArmError: One did not: what fails is no measure.
        """
        for folder, each in verdicts.items():
            for verdict in each:
                if verdict.verdict != "passed":
                    raise LearnedArmError("a golden episode must pass", where=folder, got=verdict.reason)
        found = {
            each[0].messages_hash: {
                joint: max(verdict.tracking["joints"][joint]["max_rad"] for verdict in each)
                for joint in each[0].tracking["joints"]
            }
            for each in verdicts.values()
        }
        return Golden(state, found)

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        write_sealed(path, _GOLDEN, asdict(self))

    @property
    def hash(self) -> str:
        """Content hash."""
        return hash_of(asdict(self))

    @staticmethod
    def load(path: Path) -> Golden:
        """Read the file.

        Raises:
            LearnedArmError: It is missing, altered or none.
        """
        return read_sealed(path, _GOLDEN, lambda content: Golden(**content))

    def strays(self, verdicts: Iterable[Verdict]) -> list[str]:
        """What left the baseline, in words; empty when every golden episode was replayed inside it."""
        said, seen = list[str](), set[str]()
        for verdict in verdicts:
            name, known = verdict.messages_hash[:12], self.largest_rad.get(verdict.messages_hash)
            if known is None:
                continue
            seen.add(verdict.messages_hash)
            if verdict.verdict != "passed":
                said.append(f"{name}: {verdict.verdict}, {verdict.reason}")
                continue
            for joint, allowed_rad in known.items():
                found = verdict.tracking["joints"].get(joint)
                if found is None:
                    said.append(f"{name}: nothing is known of {joint}")
                elif (strayed_rad := found["max_rad"]) > _FACTOR * allowed_rad + _SLACK_RAD:
                    said.append(f"{name}: {joint} strayed {strayed_rad:.4f} rad, before {allowed_rad:.4f}")
        missing = sorted(each[:12] for each in set(self.largest_rad) - seen)
        return said + [f"{each}: not replayed" for each in missing]


@dataclass(frozen=True)
class Waiver:
    """What passed in one state need not be replayed in the other.

    Attributes:
        before: The state of the baseline, see `flow.golden.state_of`.
        after: The state in which its episodes were replayed inside it.
        golden_hash: Of the baseline.
        episodes: Messages hashes of what was replayed.
    """

    before: dict[str, Any]
    after: dict[str, Any]
    golden_hash: str
    episodes: tuple[str, ...]

    @property
    def hash(self) -> str:
        """Content hash."""
        return hash_of(asdict(self))

    def save(self, folder: Path) -> Path:
        """Write `waiver_<hash>.json` into a folder; returns its path."""
        path = folder / f"waiver_{self.hash[:12]}.json"
        write_sealed(path, _WAIVER, asdict(self))
        return path

    @staticmethod
    def load(path: Path) -> Waiver:
        """Read the file.

        Raises:
            LearnedArmError: It is missing, altered or none.
        """

        def build(content: dict[str, Any]) -> Waiver:
            content["episodes"] = tuple(content["episodes"])
            found = Waiver(**content)
            # What it is looked up by must be there.
            _ = found.before["contract_hash"], found.after["contract_hash"]
            return found

        return read_sealed(path, _WAIVER, build)


def waived(from_hash: str, to_hash: str, waivers: Iterable[Waiver]) -> tuple[Waiver, ...]:
    """The waivers that lead from one contract to another, in order; empty when none do."""
    links = [(each.before["contract_hash"], each.after["contract_hash"], each) for each in waivers]
    ways: dict[str, tuple[Waiver, ...]] = {from_hash: ()}
    reached = [from_hash]
    for here in reached:
        for before, after, waiver in links:
            if before == here and after not in ways:
                ways[after] = (*ways[here], waiver)
                reached.append(after)
    return ways.get(to_hash, ())
