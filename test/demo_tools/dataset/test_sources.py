"""Of an episode in which the policy commanded, a dataset takes what a person showed, stretch by stretch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo_tools.dataset.sources import SOURCE_NAMES, Part, counted, parts_to_learn, source_index
from learned_arm.commander import SOURCES
from learned_arm.errors import LearnedArmError

TELEOP, POLICY = source_index("teleop"), source_index("policy")


def frames(*stretches: tuple[str, int]) -> np.ndarray:
    return np.concatenate([np.full(count, source_index(name), np.int64) for name, count in stretches])


def test_every_source_has_its_own_number_and_strangers_have_none() -> None:
    assert [source_index(name) for name in SOURCES] == list(range(1, len(SOURCE_NAMES)))
    assert source_index("") == source_index("camera") == 0
    assert counted(frames(("teleop", 3), ("", 1), ("teleop", 2))) == {"unnamed": 1, "teleop": 5}


@pytest.mark.parametrize("stretches", [[("teleop", 9), ("", 2)], [("", 9)], [("home", 2), ("replay", 5)]])
def test_without_the_policy_an_episode_is_whole(stretches: list[tuple[str, int]]) -> None:
    assert parts_to_learn(frames(*stretches), False) == [Part(slice(0, sum(count for _, count in stretches)), False)]


def test_each_stretch_of_a_person_is_a_part_and_the_last_was_not_handed_over() -> None:
    sources = frames(("policy", 4), ("teleop", 3), ("", 1), ("policy", 2), ("teleop", 5), ("", 2))
    assert parts_to_learn(sources, False) == [Part(slice(4, 7), True), Part(slice(10, 15), False)]
    assert parts_to_learn(sources, True) == [Part(slice(0, 17), False)]


def test_a_rollout_that_nobody_corrected_teaches_nothing_unless_asked() -> None:
    sources = frames(("policy", 4), ("", 1))
    with pytest.raises(LearnedArmError, match="no person took over"):
        parts_to_learn(sources, False)
    assert parts_to_learn(sources, True) == [Part(slice(0, 5), False)]


@given(st.lists(st.sampled_from((0, TELEOP, POLICY)), min_size=1).filter(lambda row: {TELEOP, POLICY} <= set(row)))
def test_the_parts_are_the_persons_frames_once_each(row: list[int]) -> None:
    sources = np.array(row)
    parts = parts_to_learn(sources, False)
    taken = [index for part in parts for index in range(len(row))[part.frames]]
    assert taken == np.flatnonzero(sources == TELEOP).tolist()
    assert all(part.handed_over == (POLICY in row[part.frames.stop :]) for part in parts)
