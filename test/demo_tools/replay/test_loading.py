"""What a replay is asked for must fit the episode and what there is to see; otherwise nothing is played."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demo_tools.replay.loading import Asked, load
from demo_tools.replay.player import Manner
from learned_arm.episode import load_episode
from learned_arm.errors import LearnedArmError


def asking(folder: Path, **change: Any) -> Asked:
    asked = Asked(
        episode=folder,
        stream="labels",
        contract="",
        manner=Manner(),
        into=folder,
        cameras=True,
        overlay=False,
        calibrated_on=folder.parent,
        tolerance_rad=0.05,
        preflight=True,
        speed_scale=0.25,
        mover="ruckig",
    )
    return replace(asked, **change)


def changed(run: Any, into: Path, change: dict[str, Any]) -> str:
    """Path of the run's contract with other values, by their dotted names."""
    value = run.contract.canonical()
    for name, other in change.items():
        *way, last = name.split(".")
        section = value
        for each in way:
            section = section[each]
        section[last] = other
    path = into / "contract.yaml"
    path.write_text(json.dumps(value))
    return str(path)


def test_labels_are_those_of_the_episode_unless_others_are_asked_for(finished_run: Any, tmp_path: Path) -> None:
    folder = finished_run.demonstrations[0]
    episode = load_episode(folder)
    own = load(asking(folder), episode)
    assert own.contract.hash == episode.contract_hash and own.goal is None and own.first == {}
    other = changed(finished_run, tmp_path, {"action.source": "measured_next"})
    found = load(asking(folder, contract=other), episode)
    assert found.contract.hash != episode.contract_hash
    assert not np.array_equal(found.ticks.targets[:20], own.ticks.targets[:20])
    # Whatever labels are made of: what was sent is what was sent.
    sent = load(asking(folder, contract=other, stream="sent"), episode)
    assert sent.contract.hash == found.contract.hash
    assert sent.ticks.sent is not None and np.array_equal(sent.ticks.targets, own.ticks.targets)


def test_who_is_asked_sees_what_was_there_first(finished_run: Any) -> None:
    folder = finished_run.demonstrations[0]
    found = load(asking(folder, overlay=True), load_episode(folder))
    assert set(found.first) == set(finished_run.contract.cameras)


def test_the_goal_image_is_calibrated_on_the_session_that_is_named(finished_run: Any, tmp_path: Path) -> None:
    folder = finished_run.demonstrations[0]
    contract = changed(finished_run, tmp_path, {"success": {"judge": "goal_image"}})
    asked = asking(folder, contract=contract, calibrated_on=finished_run.folder)
    assert load(asked, load_episode(folder)).goal is not None
    with pytest.raises(LearnedArmError, match="cannot be calibrated"):
        # Demonstrations alone have no failure.
        load(asking(folder, contract=contract), load_episode(folder))


@pytest.mark.parametrize(
    ("change", "asked", "said"),
    [
        ({"task": "pour"}, {}, "another task"),
        ({"success": {"judge": "goal_image"}}, {"cameras": False}, "goal_image needs eyes"),
        ({}, {"cameras": False, "overlay": True}, "overlay needs eyes"),
    ],
)
def test_what_cannot_be_is_refused(
    finished_run: Any, tmp_path: Path, change: dict[str, Any], asked: dict[str, Any], said: str
) -> None:
    folder = finished_run.demonstrations[0]
    contract = changed(finished_run, tmp_path, change) if change else ""
    with pytest.raises(LearnedArmError, match=said):
        load(asking(folder, contract=contract, **asked), load_episode(folder))


def test_labels_of_another_arm_are_refused(finished_run: Any, tmp_path: Path) -> None:
    value = json.dumps(finished_run.contract.canonical()).replace("elbow_joint", "knee_joint")
    path = tmp_path / "contract.yaml"
    path.write_text(value)
    folder = finished_run.demonstrations[0]
    with pytest.raises(LearnedArmError, match="another arm"):
        load(asking(folder, contract=str(path)), load_episode(folder))
