"""Which episodes may be learned from: those whose labels were proved, and what may stand in for the proof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo_tools.dataset.manifest import RefusedEpisode
from demo_tools.replay.golden import Waiver, waived
from demo_tools.replay.verdict import LABELS, Verdict
from demo_tools.statistics import clopper_pearson_interval
from learned_arm.contract import Contract
from learned_arm.episode import Episode, load_episode
from learned_arm.errors import LearnedArmError

CONFIDENCE = 0.95
SAMPLED, WAIVED, NEVER = "sampled", "waived", "none"


@dataclass(frozen=True)
class Gate:
    """What may go in besides successes whose replay passed under the very contract.

    Attributes:
        allow_unreplayed: Episodes without a passed replay.
        allow_losses: Episodes of which messages were lost that they need.
        accept_sampled: Episodes that were not replayed, if those of the session that were say with 95 % confidence that
            at least this share would pass; None: none.
        waivers: Episodes that passed under another contract from which these lead to this one.
    """

    allow_unreplayed: bool = False
    allow_losses: bool = False
    accept_sampled: float | None = None
    waivers: tuple[Waiver, ...] = ()

    def __post_init__(self) -> None:
        if self.accept_sampled is not None and not 0.0 < self.accept_sampled < 1.0:
            raise LearnedArmError("share not in range", where="gate", got=self.accept_sampled, allowed="(0, 1)")

    def statement(self) -> dict[str, Any]:
        """For the manifest, but for what the sample came to."""
        return {
            "allow_unreplayed": self.allow_unreplayed,
            "allow_losses": self.allow_losses,
            "waivers": [each.hash for each in self.waivers],
        }


@dataclass(frozen=True)
class Accepted:
    """An episode that may go in, and on whose word."""

    episode: Episode
    folder: Path
    verdict: str
    replay_hash: str | None


@dataclass(frozen=True)
class Admission:
    """What a gate came to.

    Attributes:
        accepted: By name.
        refused: With the reason.
        sampling: `least` (asked for), `confidence`, `replayed`, `passed`, `bound` (the pass rate that these prove) and
            `accepted` (episodes on their word); empty where nobody asked for it.
    """

    accepted: list[Accepted]
    refused: list[RefusedEpisode]
    sampling: dict[str, Any]


def admit(folders: Sequence[Path], contract: Contract, gate: Gate) -> Admission:
    """Episodes that may go in; a broken one is refused, not an error."""
    found: list[tuple[Episode, Path, Verdict | None]] = []
    refused: list[RefusedEpisode] = []
    for folder in sorted({Path(each) for each in folders}, key=lambda path: (path.name, str(path))):
        try:
            episode, verdict = load_episode(folder), Verdict.load(folder)
            reason = _objection(episode, verdict, contract, gate)
        except LearnedArmError as error:
            reason = str(error)
        if reason is not None:
            refused.append(RefusedEpisode(folder.name, reason))
        else:
            found.append((episode, folder, verdict))
    sampling = _sample([verdict for _, _, verdict in found], contract, gate)
    accepted: list[Accepted] = []
    seen: set[str] = set()
    for episode, folder, verdict in found:
        word, reason = _word(verdict, contract, gate, sampling)
        if reason is None and episode.messages_hash in seen:
            reason = "the same messages as another episode"
        if reason is not None:
            refused.append(RefusedEpisode(folder.name, reason))
            continue
        seen.add(episode.messages_hash)
        accepted.append(Accepted(episode, folder, word, verdict.hash if verdict else None))
    if sampling:
        sampling["accepted"] = sum(each.verdict == SAMPLED for each in accepted)
    return Admission(accepted, refused, sampling)


def _objection(episode: Episode, verdict: Verdict | None, contract: Contract, gate: Gate) -> str | None:
    """What speaks against an episode whatever its replay said."""
    if episode.task != contract.task:
        return f"another task: {episode.task}"
    if episode.outcome != "success":
        return f"recorded as {episode.outcome}"
    if verdict is not None and verdict.messages_hash != episode.messages_hash:
        return "its verdict is about other messages"
    if episode.lossy and not gate.allow_losses:
        return f"messages lost on {', '.join(episode.lossy)}"
    return None


def _sample(verdicts: Sequence[Verdict | None], contract: Contract, gate: Gate) -> dict[str, Any]:
    """What the replayed episodes of a session say about the others."""
    if gate.accept_sampled is None:
        return {}
    # A copy is no second witness; what was refused or aborted might have failed.
    said: dict[str, bool] = {}
    for each in verdicts:
        if each is not None and each.contract_hash == contract.hash and not _manner(each):
            said[each.messages_hash] = said.get(each.messages_hash, True) and each.verdict == "passed"
    replayed, passed = len(said), sum(said.values())
    # One-sided: nobody minds more passing than thought.
    bound = clopper_pearson_interval(passed, replayed, 2 * CONFIDENCE - 1)[0]
    return {
        "least": gate.accept_sampled,
        "confidence": CONFIDENCE,
        "replayed": replayed,
        "passed": passed,
        "bound": round(bound, 4),
    }


def _word(verdict: Verdict | None, contract: Contract, gate: Gate, sampling: dict[str, Any]) -> tuple[str, str | None]:
    """On what an episode goes in, and the reason against it."""
    word = NEVER if verdict is None else verdict.verdict
    if gate.allow_unreplayed:
        return word, None
    if verdict is None:
        if not sampling:
            return word, "never replayed"
        if sampling["bound"] >= sampling["least"]:
            return SAMPLED, None
        figures = f"{sampling['passed']} of {sampling['replayed']} replays prove a pass rate of {sampling['bound']:.3f}"
        return word, f"never replayed, and {figures}, wanted {sampling['least']}"
    if verdict.verdict != "passed":
        return word, f"replay {verdict.verdict}: {verdict.reason}"
    if otherwise := _manner(verdict):
        return word, f"replayed otherwise than it is learned: {otherwise}"
    if verdict.contract_hash != contract.hash:
        if waived(verdict.contract_hash, contract.hash, gate.waivers):
            return WAIVED, None
        return word, f"replayed under another contract ({verdict.contract_hash[:12]}, wanted {contract.hash[:12]})"
    return word, None


def _manner(verdict: Verdict) -> str:
    """How labels were played otherwise than they are learned, in words; empty where they were not."""
    learned = {"stream": LABELS, "dtype": "float32", "hold": False, "shift_ticks": 0}
    return ", ".join(
        f"{name} {verdict.labels[name]}"
        for name, value in learned.items()
        if name in verdict.labels and verdict.labels[name] != value
    )
