"""Second thoughts about the last episode: relabel it, or take it out. Its messages are never touched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from learned_arm.durable import rename_folder
from learned_arm.episode import Episode, Review, load_episode, save_episode
from learned_arm.errors import LearnedArmError

DISCARDED_SUFFIX = ".discarded"


def relabel(folder: Path, outcome: str, operator: str, reason: str, stamp_ns: int) -> Episode:
    """Change the outcome of an episode; what it was before stays in `reviews`.

    Args:
        folder: The episode's folder.
        outcome: `success` or `failure`.
        operator: Who says so.
        reason: Why.
        stamp_ns: When, system time.

    Raises:
        LearnedArmError: There is no episode, or the outcome is none.
    """
    episode = load_episode(folder)
    review = Review(stamp_ns, operator, episode.outcome, outcome, reason)
    changed = replace(episode, outcome=outcome, reason=reason or episode.reason, reviews=(*episode.reviews, review))
    save_episode(changed, folder)
    return changed


def take_out(folder: Path) -> Path:
    """Take an episode out of its task: it is renamed, nothing is deleted. Giving it its old name brings it back.

    Returns:
        Where it lies now.

    Raises:
        LearnedArmError: There is no episode.
    """
    load_episode(folder)
    target = folder.with_name(folder.name + DISCARDED_SUFFIX)
    if target.exists():
        raise LearnedArmError("was taken out before", where=folder, got=target.name, allowed="a free name")
    rename_folder(folder, target)
    return target
