"""A goal image is judged by what a session's own ends look like: read from the bags of its successes and failures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_recorder.bag_reader import BagReader
from demo_tools.replay.judge import Look
from learned_arm.contract import Contract
from learned_arm.episode import load_episode
from learned_arm.errors import LearnedArmError


def end_images(folder: Path, contract: Contract, last: bool = True) -> dict[str, NDArray[np.uint8]]:
    """The last image of every camera (or the first) in the size that the policy sees, uint8 RGB.

    Raises:
        LearnedArmError: The bag is broken, or a camera has no image in it.
    """
    topics = {camera.topic: name for name, camera in contract.cameras.items()}
    found: dict[str, bytes] = {}
    for message in BagReader(folder).messages(topics):
        if last or message.topic not in found:
            found[message.topic] = message.data
        if not last and len(found) == len(topics):
            break
    missing = sorted(set(topics) - set(found))
    if missing:
        raise LearnedArmError("no image in the bag", where=folder, got=missing, allowed=sorted(topics))
    return {name: contract.cameras[name].picture(found[topic]) for topic, name in topics.items()}


def session_look(folders: Sequence[Path], contract: Contract) -> Look:
    """What solved and unsolved look like, from the ends of a session's episodes under a contract's cameras.

    Raises:
        LearnedArmError: The session has no success or no failure, or an episode cannot be read.
    """
    ends: dict[str, list[dict[str, NDArray[np.uint8]]]] = {"success": [], "failure": []}
    for folder in folders:
        episode = load_episode(folder)
        if episode.task == contract.task and episode.outcome in ends:
            ends[episode.outcome].append(end_images(folder, contract))
    return Look(ends["success"], ends["failure"])
