"""An episode on disk: what is saved loads equal, what is wrong is named."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learned_arm.contract import load_contract
from learned_arm.episode import (
    EPISODE_FILE,
    Episode,
    InitialState,
    Stream,
    checked_name,
    episode_folder,
    episode_name,
    list_episodes,
    load_episode,
    save_episode,
)
from learned_arm.errors import LearnedArmError
from learned_arm.interventions import Intervention

CONTRACT = load_contract("pick_cube")
START_NS = 1_770_000_000_123_456_789


def sample(**changes: object) -> Episode:
    joints = dict.fromkeys(CONTRACT.robot.joints, 0.25)
    stream = Stream("sensor_msgs/msg/Image", 3, 0, 0, 1, START_NS, START_NS + 100, 60)
    empty = replace(stream, messages=0, lost=None, first_ns=None, last_ns=None)
    episode = Episode(
        id="0123456789abcdef" * 2,
        name=episode_name(START_NS, "01234567"),
        task="pick_cube",
        contract_hash=CONTRACT.hash,
        contract=CONTRACT.canonical(),
        outcome="success",
        operator="someone",
        reason="",
        notes="zwölf Würfel",
        policy=None,
        initial_state=InitialState(1_000, joints, (0.0, -1.5, 1e-9)),
        streams={
            "/front/image_raw": stream,
            "/late": empty,
        },
        start_ns=START_NS,
        end_ns=START_NS + 1_000,
        messages_hash="ab" * 32,
    )
    return replace(episode, **changes)  # type: ignore[arg-type]


def saved(root: Path, episode: Episode) -> Path:
    folder = episode_folder(root, episode.task, episode.name)
    folder.mkdir(parents=True)
    save_episode(episode, folder)
    return folder


TAKEN_OVER = Intervention("teleop", 4_000, 9_000)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"policy": "cd" * 32},
        {"initial_state": None},
        {"outcome": "failure"},
        {"interventions": (TAKEN_OVER, replace(TAKEN_OVER, start_ns=10_000, end_ns=10_000))},
    ],
)
def test_what_is_saved_loads_equal(tmp_path: Path, changes: dict[str, object]) -> None:
    episode = sample(**changes)
    loaded = load_episode(saved(tmp_path, episode))
    assert loaded == episode
    assert loaded.folder == tmp_path / episode.task / episode.name
    assert loaded.loaded_contract == CONTRACT
    assert loaded.messages == 3 and loaded.lost_messages == 0 and loaded.uncounted == ()


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("version", 1, "version"),
        ("outcome", "maybe", "outcome"),
        ("task", "../up", "task"),
        ("messages_hash", "xyz", "SHA-256"),
        ("contract_hash", "00" * 32, "contract and its hash differ"),
        ("end_ns", START_NS - 1, "ends before it starts"),
        ("start_ns", 1.5, "start_ns"),
        ("extra", 1, "unknown key"),
        ("interventions", [{"source": "policy", "start_ns": 1, "end_ns": 2}], "interventions[0].source"),
        ("interventions", [{"source": "teleop", "start_ns": 2, "end_ns": 1}], "ends before it starts"),
        ("streams", {"/x": {"type": "a/msg/B"}}, "missing key"),
        (
            "initial_state",
            {"stamp_ns": 0, "positions_rad": {"a": None}, "sim_state": None},
            "positions_rad.a",
        ),
    ],
)
def test_a_wrong_entry_is_named_in_one_line(tmp_path: Path, key: str, value: object, named: str) -> None:
    folder = saved(tmp_path, sample())
    content = json.loads((folder / EPISODE_FILE).read_text())
    (folder / EPISODE_FILE).write_text(json.dumps({**content, key: value}))
    with pytest.raises(LearnedArmError, match=re.escape(named)) as caught:
        load_episode(folder)
    assert "\n" not in str(caught.value)


def test_an_episode_from_before_interventions_were_noted_has_none(tmp_path: Path) -> None:
    folder = saved(tmp_path, sample())
    content = json.loads((folder / EPISODE_FILE).read_text())
    assert content.pop("interventions") == []
    (folder / EPISODE_FILE).write_text(json.dumps(content))
    assert load_episode(folder) == sample()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"version": NaN}'])
def test_damaged_json_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / EPISODE_FILE).write_bytes(content)
    with pytest.raises(LearnedArmError) as caught:
        load_episode(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_wrong_value_is_not_even_written(tmp_path: Path) -> None:
    with pytest.raises(LearnedArmError):
        save_episode(sample(outcome="perhaps"), tmp_path)
    assert list(tmp_path.iterdir()) == []


@given(st.text(max_size=70))
def test_names_are_an_allow_list(text: str) -> None:
    allowed = re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text) is not None
    if allowed:
        assert checked_name(text, "name") == text
    else:
        with pytest.raises(LearnedArmError):
            checked_name(text, "name")


def test_a_link_must_not_lead_out_of_the_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "pick_cube").symlink_to(tmp_path)
    with pytest.raises(LearnedArmError, match="leads out of the root"):
        episode_folder(root, "pick_cube", "a")


def test_listing_finds_finished_episodes_only(tmp_path: Path) -> None:
    first, second = sample(), sample(task="reach_cube")
    saved(tmp_path, first)
    saved(tmp_path, second)
    unfinished = tmp_path / "pick_cube" / "20990101T000000Z-00000000.recording"
    unfinished.mkdir()
    (unfinished / EPISODE_FILE).write_text("{}")
    assert list_episodes(tmp_path) == [first, second]
    assert list_episodes(tmp_path, "reach_cube") == [second]
    with pytest.raises(LearnedArmError, match="no such folder"):
        list_episodes(tmp_path / "nowhere")
