"""Who commanded a label, and which frames of an episode are labels to learn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learned_arm.commander import SOURCES
from learned_arm.errors import LearnedArmError
from learned_arm.interventions import PERSON, POLICY

# The column `source` counts in this order. Unnamed: nobody held the lease, or the recording does not tell.
SOURCE_NAMES = ("unnamed", *SOURCES)
_INDEX = {name: index for index, name in enumerate(SOURCE_NAMES)}


@dataclass(frozen=True)
class Part:
    """A stretch of an episode's frames that becomes an episode of the dataset.

    Attributes:
        frames: Which ones.
        handed_over: Whether the policy went on after it, so that nobody knows what the person would have done next.
    """

    frames: slice
    handed_over: bool


def source_index(name: str) -> int:
    """Place of a source in `SOURCE_NAMES`; 0 for one that is not known."""
    return _INDEX.get(name, 0)


def counted(sources: NDArray[np.int64]) -> dict[str, int]:
    """How many frames each source commanded, by name."""
    counts = np.bincount(sources, minlength=len(SOURCE_NAMES)).tolist()
    return {name: count for name, count in zip(SOURCE_NAMES, counts, strict=True) if count}


def parts_to_learn(sources: NDArray[np.int64], policy_frames: bool) -> list[Part]:
    """The parts of an episode that go into a dataset.

    Without a frame of the policy it is the whole episode. With some, it is every stretch of a person's frames: a
    policy that learns its own labels imitates itself.

    Args:
        sources: Who commanded each frame's label, index into `SOURCE_NAMES`, shape (N,).
        policy_frames: Take the whole episode, the policy's frames included.

    Raises:
        LearnedArmError: The policy commanded, and no person did.
    """
    count = len(sources)
    by_policy = sources == source_index(POLICY)
    if policy_frames or not by_policy.any():
        return [Part(slice(0, count), False)]
    edges = np.diff((sources == source_index(PERSON)).astype(np.int8), prepend=0, append=0)
    begins, ends = np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist()
    if not begins:
        raise LearnedArmError(
            "commanded by the policy, and no person took over",
            got=counted(sources),
            allowed="frames of a person, or policy_frames",
        )
    return [Part(slice(begin, end), bool(by_policy[end:].any())) for begin, end in zip(begins, ends, strict=True)]
