"""`learned-arm inspect`: every kind is known, its hashes are checked, damage is one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from demo_tools.inspect import describe, inspect_path
from learned_arm.episode import load_episode
from learned_arm.errors import LearnedArmError


def test_episode(finished_run: Any) -> None:
    folder = finished_run.demonstrations[0]
    facts = describe(folder)
    assert facts["kind"] == "episode"
    assert facts["outcome"] == "success"
    assert facts["replay"] == "passed"
    assert facts["lineage"]["messages_hash"].startswith(load_episode(folder).messages_hash)
    assert facts["lineage"]["contract_hash"] == finished_run.contract.hash


def test_interventions_that_the_bag_does_not_hold(finished_run: Any, tmp_path: Path) -> None:
    folder = tmp_path / finished_run.demonstrations[0].name
    shutil.copytree(finished_run.demonstrations[0], folder)
    assert describe(folder)["interventions"] == []
    value = json.loads((folder / "episode.json").read_text())
    value["interventions"] = [{"source": "teleop", "start_ns": 1, "end_ns": 2}]
    (folder / "episode.json").write_text(json.dumps(value))
    with pytest.raises(LearnedArmError, match="interventions are not those of the bag"):
        describe(folder)


def test_bag_by_folder_and_file(finished_run: Any, tmp_path: Path) -> None:
    source = finished_run.demonstrations[0]
    for name in ("metadata.yaml", f"{source.name}_0.mcap"):
        shutil.copy(source / name, tmp_path)
    by_folder, by_file = describe(tmp_path), describe(tmp_path / f"{source.name}_0.mcap")
    assert by_folder["kind"] == "rosbag2 bag (MCAP)"
    assert by_folder["messages_hash"] == by_file["messages_hash"] == load_episode(source).messages_hash
    assert by_folder["messages"] == load_episode(source).messages
    assert by_folder["seconds"] == pytest.approx(1.99)


def test_dataset(finished_run: Any) -> None:
    facts = describe(finished_run.folder / "dataset")
    assert facts["kind"].startswith("dataset")
    assert facts["lineage"]["content_hash"] == finished_run.dataset_hash
    assert facts["replay verdicts"] == "4 passed"
    assert facts["refused"] == 1
    assert len(facts["made from (messages hashes)"]) == facts["episodes"] == 4


def test_policy(finished_run: Any) -> None:
    facts = describe(finished_run.folder / "policy.onnx")
    assert facts["kind"] == "policy (ONNX)"
    assert facts["hash"] == finished_run.policy_hash
    assert facts["lineage"]["made_from"] == {"dataset": finished_run.dataset_hash}
    assert facts["contract_hash"] == finished_run.contract.hash


def test_run(finished_run: Any) -> None:
    facts = describe(finished_run.folder)
    assert facts["kind"] == "run of the demo"
    assert facts["eval_trials"] == 6
    assert facts["hashes"]["policy"] == finished_run.policy_hash
    assert "evaluation.json" in facts["parts"]


@pytest.mark.parametrize("name", ["", "dataset", "policy.onnx"])
def test_text_has_a_fact_a_line(finished_run: Any, name: str) -> None:
    lines = inspect_path(finished_run.folder / name).splitlines()
    assert lines[0].startswith("kind")
    assert all(line.strip() for line in lines)


def _altered(source: Path, target: Path, name: str, change: bytes) -> Path:
    shutil.copytree(source, target)
    path = target / name
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + len(change)] = change
    path.write_bytes(data)
    return target


def test_altered_bag(finished_run: Any, tmp_path: Path) -> None:
    source = finished_run.demonstrations[0]
    folder = _altered(source, tmp_path / source.name, f"{source.name}_0.mcap", b"\xff" * 64)
    with pytest.raises(LearnedArmError):
        describe(folder)


def test_cut_bag(finished_run: Any, tmp_path: Path) -> None:
    path = tmp_path / "cut_0.mcap"
    path.write_bytes(next(finished_run.demonstrations[0].glob("*.mcap")).read_bytes()[:5000])
    with pytest.raises(LearnedArmError, match="never finished"):
        describe(path)


def test_altered_manifest(finished_run: Any, tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    shutil.copytree(finished_run.folder / "dataset", folder)
    value = json.loads((folder / "manifest.json").read_text())
    value["episodes"][0]["split"] = "train" if value["episodes"][0]["split"] == "validation" else "validation"
    (folder / "manifest.json").write_text(json.dumps(value))
    with pytest.raises(LearnedArmError, match="manifest was altered"):
        describe(folder)


def test_corrupt_policy(tmp_path: Path) -> None:
    path = tmp_path / "policy.onnx"
    path.write_bytes(b"\x08\x08 no model")
    with pytest.raises(LearnedArmError, match=r"policy\.onnx") as caught:
        describe(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["[1, 2]", "{", "\x00"])
def test_corrupt_run(tmp_path: Path, content: str) -> None:
    (tmp_path / "summary.json").write_text(content)
    with pytest.raises(LearnedArmError, match=r"summary\.json"):
        describe(tmp_path)


def test_unknown_things(tmp_path: Path) -> None:
    with pytest.raises(LearnedArmError, match="not a kind of folder that is known"):
        describe(tmp_path)
    with pytest.raises(LearnedArmError, match="no such file or folder"):
        describe(tmp_path / "absent")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(LearnedArmError, match="not a kind of file that is known"):
        describe(tmp_path / "notes.txt")
