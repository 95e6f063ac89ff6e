"""Second thoughts change what is said about an episode, never the episode; a session counts what is left of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_recorder.bag_reader import messages_hash
from data_recorder.episode_writer import Draft, EpisodeWriter
from data_recorder.review import relabel, take_out
from data_recorder.session_log import SessionLog, load_session, parse_targets
from learned_arm.contract import load_contract
from learned_arm.episode import Episode, list_episodes, load_episode
from learned_arm.errors import LearnedArmError

CONTRACT = load_contract("pick_cube")


@pytest.fixture
def recorded(tmp_path: Path, draft: Draft):
    """Records an empty episode of a name."""

    def record(name: str = "", outcome: str = "success") -> Episode:
        named = Draft(**{**vars(draft), "name": name or draft.name})
        return EpisodeWriter(tmp_path, named, CONTRACT).finish(outcome, "", "", draft.start_ns + 2 * 10**9, {}, {}, {})

    return record


def test_relabelling_keeps_what_was_said_before_and_the_identity(recorded) -> None:
    folder = recorded().folder
    before = load_episode(folder)
    relabel(folder, "failure", "anna", "the cube fell afterwards", 7)
    relabel(folder, "failure", "ben", "", 8)
    after = load_episode(folder)
    assert (after.outcome, after.reason) == ("failure", "the cube fell afterwards")
    assert [(each.operator, each.before, each.after) for each in after.reviews] == [
        ("anna", "success", "failure"),
        ("ben", "failure", "failure"),
    ]
    assert after.messages_hash == before.messages_hash == messages_hash(folder)


def test_an_episode_that_was_taken_out_is_no_longer_listed_and_can_be_brought_back(recorded, tmp_path: Path) -> None:
    folder = recorded().folder
    target = take_out(folder)
    assert list_episodes(tmp_path) == [] and not folder.exists()
    with pytest.raises(LearnedArmError, match="no episode here"):
        take_out(folder)
    target.rename(folder)
    assert len(list_episodes(tmp_path)) == 1


def test_an_outcome_that_is_none_is_refused_and_changes_nothing(recorded) -> None:
    folder = recorded().folder
    before = (folder / "episode.json").read_bytes()
    with pytest.raises(LearnedArmError, match="unknown value"):
        relabel(folder, "maybe", "anna", "", 7)
    assert (folder / "episode.json").read_bytes() == before


def test_a_session_counts_towards_its_targets_and_goes_on_after_a_restart(recorded, tmp_path: Path) -> None:
    log = SessionLog(tmp_path, "monday", "anna", {"pick_cube": 2}, 5)
    assert log.left("pick_cube") == 2 and log.left("other") is None
    log.add(recorded("one"))
    log.add(recorded("two", "failure"))
    assert log.left("pick_cube") == 1
    again = SessionLog(tmp_path, "monday", "anna", {"pick_cube": 2}, 99)
    again.add(recorded("three"))
    assert again.left("pick_cube") == 0
    again.relabel("one", "discarded", 9)
    again.relabel("unknown", "success", 9)
    assert again.left("pick_cube") == 1
    read = load_session(again.path)
    assert read["start_ns"] == 5 and [each["name"] for each in read["episodes"]] == ["one", "two", "three"]
    assert read["tasks"]["pick_cube"] == {"success": 1, "failure": 1, "discarded": 1, "target": 2, "seconds": 6.0}
    assert len(list_episodes(tmp_path)) == 3


@pytest.mark.parametrize("entry", ["pick_cube", "pick_cube:0", "pick_cube:x", "../up:3", ":3", "a:1,a:2"])
def test_a_wrong_target_is_one_line(entry: str) -> None:
    with pytest.raises(LearnedArmError, match="parameter targets"):
        parse_targets(entry, "parameter targets")
