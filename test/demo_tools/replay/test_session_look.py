"""What solved looks like is learned from the ends of a session's own episodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demo_tools.replay.session_look import end_images, session_look
from learned_arm.episode import load_episode
from learned_arm.errors import LearnedArmError


def by_outcome(run: Any, word: str) -> list[Path]:
    folders = [*(run.folder / "demos").rglob("episode.json"), *(run.folder / "rollouts").rglob("episode.json")]
    return [each.parent for each in folders if load_episode(each.parent).outcome == word]


def test_the_first_and_the_last_image_of_every_camera(finished_run: Any) -> None:
    folder, contract = finished_run.demonstrations[0], finished_run.contract
    first, last = end_images(folder, contract, last=False), end_images(folder, contract)
    assert set(first) == set(last) == set(contract.cameras)
    for name, camera in contract.cameras.items():
        assert first[name].shape == last[name].shape == (*camera.size, 3)
        assert not np.array_equal(first[name], last[name])


def test_a_camera_that_is_not_in_the_bag_is_an_error(finished_run: Any) -> None:
    value = finished_run.contract.canonical()
    value["observation"]["cameras"]["front"]["topic"] = "/elsewhere"
    other = type(finished_run.contract).from_canonical(value)
    with pytest.raises(LearnedArmError, match="not in the bag"):
        end_images(finished_run.demonstrations[0], other)


def test_successes_and_failures_of_the_session_are_what_it_is_calibrated_on(finished_run: Any) -> None:
    solved, unsolved = by_outcome(finished_run, "success"), by_outcome(finished_run, "failure")
    assert solved and unsolved
    look = session_look([*solved, *unsolved], finished_run.contract)
    for folder in solved:
        assert look.score(end_images(folder, finished_run.contract)) > 0
    for folder in unsolved:
        assert look.score(end_images(folder, finished_run.contract)) < 0


def test_without_a_failure_there_is_nothing_to_tell_it_from(finished_run: Any) -> None:
    with pytest.raises(LearnedArmError, match="0 failures"):
        session_look(by_outcome(finished_run, "success"), finished_run.contract)
