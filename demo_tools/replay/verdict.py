"""The verdict of one replay, `replay.json` beside the episode: a separate statement that never changes the episode."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from learned_arm.canonical import hash_of
from learned_arm.episode import Episode
from learned_arm.errors import LearnedArmError
from learned_arm.sealed import read_sealed, write_sealed

LABELS, SENT = "labels", "sent"
STREAMS = (LABELS, SENT)
FILE_NAME, SENT_FILE_NAME = "replay.json", "replay_sent.json"
"""A replay of what was sent says nothing about labels: its verdict lies elsewhere, where no gate looks."""
_KIND = "replay"
VERDICTS = ("passed", "failed", "refused", "aborted")
EXIT_STATUS = {"passed": 0, "failed": 1, "refused": 3, "aborted": 4}


@dataclass(frozen=True)
class Verdict:
    """What a replay showed.

    Attributes:
        verdict: passed (the recorded outcome was reproduced), failed, refused (never played) or aborted.
        reason: Why, in words.
        contract_hash: Robot and contract that the labels were made for.
        messages_hash: Identity of the episode that was replayed.
        recorded_outcome: success or failure.
        initial_error_rad: Per joint, distance from the recorded initial position when playing began.
        tracking: Per-joint error and first divergence.
        lateness: How late ticks were played.
        judgement: What the judge saw.
        labels: What was played: stream, and of labels source, representation, dtype and chunking.
        watch: How the arm followed, now against then, see `Evidence.statement`.
        preflight: How the robot that runs differs from the one that was recorded, see `Preflight.statement`.
        diagnosis: Likely causes of a failure, the likeliest first, see `diagnose`.
        repeats: Where the episode was replayed several times: how many replays passed, of how many.
    """

    verdict: str
    reason: str
    contract_hash: str
    messages_hash: str
    recorded_outcome: str
    initial_error_rad: dict[str, float] = field(default_factory=dict)
    tracking: dict[str, Any] = field(default_factory=dict)
    lateness: dict[str, float] = field(default_factory=dict)
    judgement: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, Any] = field(default_factory=dict)
    preflight: dict[str, Any] = field(default_factory=dict)
    watch: dict[str, Any] = field(default_factory=dict)
    diagnosis: list[dict[str, Any]] = field(default_factory=list)
    repeats: dict[str, int] = field(default_factory=dict)

    @staticmethod
    def unplayed(verdict: str, reason: str, episode: Episode | None, stream: str) -> Verdict:
        """Of a replay that ended before anything of it could be played."""
        if episode is None:
            return Verdict(verdict, reason, "", "", "")
        labels = {"stream": stream}
        return Verdict(verdict, reason, episode.contract_hash, episode.messages_hash, episode.outcome, labels=labels)

    @property
    def hash(self) -> str:
        """Content hash of the statement."""
        return hash_of(asdict(self))

    def save(self, episode: Path) -> None:
        """Write beside the episode, or into another folder, whole or not at all."""
        name = SENT_FILE_NAME if self.labels.get("stream") == SENT else FILE_NAME
        write_sealed(episode / name, _KIND, asdict(self))

    @staticmethod
    def load(episode: Path, stream: str = LABELS) -> Verdict | None:
        """The verdict of an episode on its labels or on what was sent, None when that was never replayed.

        Raises:
            LearnedArmError: The file was altered or is no verdict.
        """
        path = episode / (SENT_FILE_NAME if stream == SENT else FILE_NAME)
        if not path.is_file():
            return None
        verdict = read_sealed(path, _KIND, lambda content: Verdict(**content))
        if verdict.verdict not in VERDICTS:
            raise LearnedArmError("no such verdict", where=path, got=verdict.verdict, allowed=list(VERDICTS))
        return verdict
