"""A dataset is made of episodes that passed replay, can be made again with the same name, and is whole or absent."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from demo_tools.dataset.build import LINEAGE_FILE, build_dataset
from demo_tools.dataset.frames import load_frames
from demo_tools.dataset.gate import Gate
from demo_tools.dataset.manifest import FILE_NAME, Manifest
from demo_tools.dataset.sources import SOURCE_NAMES
from demo_tools.dataset.ticks import read_episode_ticks
from demo_tools.replay.verdict import Verdict
from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_arm.lineage import Statement

Record = Callable[..., Path]


def test_converting_twice_gives_the_same_dataset(record: Record, contract: Contract, tmp_path: Path) -> None:
    episodes = [record(seed=seed, ticks=16) for seed in range(3)]
    first = build_dataset(episodes, contract, tmp_path / "first", workers=1)
    again = build_dataset(episodes[::-1], contract, tmp_path / "again", workers=2)
    assert first == again and first.hash == again.hash
    names = _files(tmp_path / "first")
    assert names == _files(tmp_path / "again")
    for name in names:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_the_hash_sees_episodes_contract_and_split(record: Record, contract: Contract, tmp_path: Path) -> None:
    episodes = [record(seed=seed, ticks=16) for seed in range(4)]
    absolute = replace(contract, action=replace(contract.action, representation="absolute"))
    made = [
        build_dataset(episodes, contract, tmp_path / "all", workers=1),
        build_dataset(episodes[:3], contract, tmp_path / "fewer", workers=1),
        build_dataset(episodes, absolute, tmp_path / "absolute", gate=Gate(allow_unreplayed=True), workers=1),
        build_dataset(episodes, contract, tmp_path / "other split", validation_share=0.5, workers=1),
    ]
    assert len({each.hash for each in made}) == 4


def test_a_verdict_is_no_part_of_the_content(record: Record, contract: Contract, tmp_path: Path) -> None:
    episode = record(ticks=16)
    replayed = build_dataset([episode], contract, tmp_path / "replayed")
    (episode / "replay.json").unlink()
    unreplayed = build_dataset([episode], contract, tmp_path / "unreplayed", gate=Gate(allow_unreplayed=True))
    assert replayed.hash == unreplayed.hash
    assert unreplayed.allow_unreplayed and unreplayed.episodes[0].verdict == "none"


def test_only_successes_that_passed_replay_go_in(record: Record, contract: Contract, tmp_path: Path) -> None:
    good = record(seed=0, ticks=16)
    never = record(seed=1, ticks=16, replayed=False)
    failed = record(seed=2, ticks=16, outcome="failure")
    fell = record(seed=3, ticks=16)
    verdict = Verdict.load(fell)
    assert verdict is not None
    replace(verdict, verdict="failed", reason="the cube was not lifted").save(fell)
    elsewhere = record(seed=4, ticks=16)
    replace(verdict, contract_hash="f" * 64, messages_hash=_messages_hash(elsewhere)).save(elsewhere)
    gap = record(seed=5, ticks=30, camera_gaps=range(10, 20))
    foreign = record(seed=6, ticks=16)
    verdict.save(foreign)
    broken = record(seed=7, ticks=16)
    (broken / "episode.json").write_text("{")
    seen: list[tuple[int, int]] = []
    manifest = build_dataset(
        [good, never, failed, fell, elsewhere, gap, foreign, broken],
        contract,
        tmp_path / "dataset",
        progress=lambda done, count: seen.append((done, count)),
    )
    assert [each.name for each in manifest.episodes] == [good.name]
    reasons = {each.name: each.reason for each in manifest.refused}
    assert reasons[never.name] == "never replayed"
    assert reasons[failed.name] == "recorded as failure"
    assert reasons[fell.name] == "replay failed: the cube was not lifted"
    assert reasons[elsewhere.name].startswith("replayed under another contract")
    assert "gap inside the episode" in reasons[gap.name]
    assert reasons[foreign.name] == "its verdict is about other messages"
    assert "episode.json" in reasons[broken.name]
    assert seen == [(done, 8) for done in range(1, 9)]
    assert Manifest.load(tmp_path / "dataset") == manifest


TAKEN_OVER = ((0, "policy"), (6, "teleop"), (12, ""), (14, "policy"), (18, "teleop"))


def test_of_a_rollout_the_persons_frames_go_in_and_the_policys_stay_out(
    record: Record, contract: Contract, tmp_path: Path
) -> None:
    rollout = record(seed=0, ticks=24, sources=TAKEN_OVER)
    alone = record(seed=1, ticks=24, sources=((0, "policy"),))
    shown = record(seed=2, ticks=16)
    manifest = build_dataset([rollout, alone, shown], contract, tmp_path / "dataset")
    assert [(each.name, each.frames, each.handed_over) for each in manifest.episodes] == [
        (rollout.name, 6, True),
        (rollout.name, 8, False),
        (shown.name, 17, False),
    ]
    assert [each.sources for each in manifest.episodes] == [{"teleop": 6}, {"teleop": 8}, {"teleop": 17}]
    assert [(each.name, each.reason.split(";")[0]) for each in manifest.refused] == [
        (alone.name, "commanded by the policy, and no person took over")
    ]
    assert manifest.frames_by_source == {"teleop": 31} and manifest.left_out == {"policy": 9, "unnamed": 2}
    frames = load_frames(tmp_path / "dataset")
    assert [manifest.sources[index] for index in sorted(set(frames.source))] == ["teleop"]
    ticks = read_episode_ticks(rollout, contract)
    kept = np.flatnonzero(ticks.sources == SOURCE_NAMES.index("teleop"))
    np.testing.assert_array_equal(frames.stamp_ns[:14], ticks.ticks_ns[kept])
    np.testing.assert_array_equal(frames.action[:14], ticks.targets[kept].astype(np.float32))
    # Both parts of one recording lie on one side of the split.
    assert manifest.episodes[0].split == manifest.episodes[1].split != manifest.episodes[2].split


def test_the_policys_frames_go_in_when_asked_for_and_the_manifest_says_so(
    record: Record, contract: Contract, tmp_path: Path
) -> None:
    episodes = [record(seed=0, ticks=24, sources=TAKEN_OVER), record(seed=1, ticks=24, sources=((0, "policy"),))]
    manifest = build_dataset(episodes, contract, tmp_path / "dataset", policy_frames=True)
    assert manifest.policy_frames and manifest.left_out == {} and manifest.refused == ()
    assert manifest.frames_by_source == {"policy": 34, "teleop": 14, "unnamed": 2}
    assert Statement.load(tmp_path / "dataset" / LINEAGE_FILE).facts["policy_frames"] is True
    assert Manifest.load(tmp_path / "dataset") == manifest


def test_the_same_messages_go_in_once(record: Record, contract: Contract, tmp_path: Path) -> None:
    episode = record(ticks=16)
    copy = tmp_path / "elsewhere" / episode.name
    shutil.copytree(episode, copy)
    manifest = build_dataset([episode, copy, episode], contract, tmp_path / "dataset")
    assert len(manifest.episodes) == 1
    assert [each.reason for each in manifest.refused] == ["the same messages as another episode"]


def test_the_split_is_by_episode_and_leaves_something_on_both_sides(dataset: Path) -> None:
    manifest = Manifest.load(dataset)
    train, validation = manifest.indices("train"), manifest.indices("validation")
    assert len(train) == 4 and len(validation) == 1 and sorted(train + validation) == list(range(5))


def test_lineage_leads_to_the_messages_of_every_episode(dataset: Path, contract: Contract) -> None:
    manifest, statement = Manifest.load(dataset), Statement.load(dataset / LINEAGE_FILE)
    assert statement.kind == "dataset" and statement.subject_hash == manifest.hash
    assert statement.made_from["contract"] == contract.hash
    assert set(statement.made_from.values()) == {contract.hash, *(each.messages_hash for each in manifest.episodes)}


def test_nothing_is_left_when_no_episode_is(record: Record, contract: Contract, tmp_path: Path) -> None:
    episode = record(replayed=False)
    with pytest.raises(LearnedArmError, match=r"no episode is left.*never replayed"):
        build_dataset([episode], contract, tmp_path / "out" / "dataset")
    with pytest.raises(LearnedArmError, match="no episode is left"):
        build_dataset([], contract, tmp_path / "out" / "dataset")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_existing_folder_is_not_touched(record: Record, contract: Contract, tmp_path: Path) -> None:
    with pytest.raises(LearnedArmError, match="exists already"):
        build_dataset([record()], contract, tmp_path)


def test_an_altered_manifest_is_an_error(dataset: Path, tmp_path: Path) -> None:
    content = json.loads((dataset / FILE_NAME).read_text())
    content["episodes"][0]["split"] = "validation"
    (tmp_path / FILE_NAME).write_text(json.dumps(content))
    with pytest.raises(LearnedArmError, match="manifest was altered"):
        Manifest.load(tmp_path)
    with pytest.raises(LearnedArmError, match="no dataset here"):
        Manifest.load(tmp_path / "nowhere")


def _messages_hash(episode: Path) -> str:
    return json.loads((episode / "episode.json").read_text())["messages_hash"]


def _files(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
