"""Bad input ends in one line: what, where, got and allowed; a status that is not zero; nothing half-written."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from demo_tools.flow.lead import Recorded
from demo_tools.flow.run_folder import RunFolder
from demo_tools.replay.verdict import Verdict
from demo_tools.training import ExportedPolicy
from learned_arm.contract import Contract
from learned_arm.ros import transport

pytestmark = [pytest.mark.ros, pytest.mark.unhurried]


def learned_arm(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "demo_tools.cli", *map(str, arguments)]
    return subprocess.run(
        argv, cwd=cwd, env=transport.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90
    )


def ends_in_one_line(result: subprocess.CompletedProcess[str], *words: str) -> None:
    lines = result.stderr.strip().splitlines()
    assert result.returncode == 2, result.stderr
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    for word in words:
        assert word in lines[0]


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def write_contract(folder: Path, contract: Contract, **changes: object) -> Path:
    path = folder / "contract.yaml"
    path.write_text(yaml.safe_dump({**contract.canonical(), **changes}))
    return path


def test_an_unknown_contract_key(tmp_path: Path, contract: Contract) -> None:
    path = write_contract(tmp_path, contract, speed="fast")
    result = learned_arm("record", "--task", path, "--out", tmp_path / "out", cwd=tmp_path)
    ends_in_one_line(result, "contract.yaml", "unknown key", "speed", "allowed", "rate_hz")
    assert files_below(tmp_path) == {"contract.yaml"}


def test_an_unknown_contract(tmp_path: Path) -> None:
    result = learned_arm("record", "--task", "fold_laundry", "--out", tmp_path / "out", cwd=tmp_path)
    ends_in_one_line(result, "fold_laundry", "allowed", "pick_cube", "reach_cube")


def test_a_camera_that_is_not_there(tmp_path: Path, contract: Contract) -> None:
    content = contract.canonical()
    cameras = content["observation"]["cameras"]
    cameras["side"] = {**cameras["front"], "topic": "/side/image_raw"}
    path = write_contract(tmp_path, contract, observation=content["observation"])
    result = learned_arm("record", "--task", path, "--episodes", 1, "--out", tmp_path / "out", cwd=tmp_path)
    ends_in_one_line(result, "side")
    assert not list((tmp_path / "out").rglob("*.mcap"))


def test_a_corrupt_bag(tmp_path: Path, recorded: list[Recorded], replays: list[dict[str, str]]) -> None:
    broken = tmp_path / recorded[0].folder.name
    shutil.copytree(recorded[0].folder, broken)
    bag = next(broken.glob("*.mcap"))
    data = bytearray(bag.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 2000] = bytes(2000)
    bag.write_bytes(data)
    result = learned_arm("dataset", broken, "--out", tmp_path / "dataset", cwd=tmp_path)
    ends_in_one_line(result, broken.name)
    assert not (tmp_path / "dataset").exists()
    before = Verdict.load(broken)
    result = learned_arm("replay", broken, cwd=tmp_path)
    assert result.returncode == 3
    verdict = Verdict.load(broken)
    assert verdict is not None
    assert (verdict.verdict, verdict != before) == ("refused", True)


def test_an_episode_without_a_verdict_does_not_become_a_dataset(tmp_path: Path, recorded: list[Recorded]) -> None:
    fresh = tmp_path / recorded[0].folder.name
    shutil.copytree(recorded[0].folder, fresh, ignore=shutil.ignore_patterns("replay.json"))
    result = learned_arm("dataset", fresh, "--out", tmp_path / "dataset", cwd=tmp_path)
    ends_in_one_line(result, "replay")
    assert not (tmp_path / "dataset").exists()


@pytest.mark.parametrize("cut", [100, 10_000])
def test_a_corrupt_policy(tmp_path: Path, policy: ExportedPolicy, cut: int) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(policy.path.read_bytes()[:cut])
    for command in (("inspect", broken), ("evaluate", broken, "--trials", 1, "--out", tmp_path / "out")):
        ends_in_one_line(learned_arm(*command, cwd=tmp_path), "broken.onnx")
    assert files_below(tmp_path) == {"broken.onnx"}


def test_a_policy_of_another_robot(tmp_path: Path, policy: ExportedPolicy, contract: Contract) -> None:
    content = contract.canonical()
    content["robot"]["robot"] = "ur10e"
    path = write_contract(tmp_path, contract, robot=content["robot"])
    argv = [sys.executable, "-m", "learned_policy_node.node", "--ros-args"]
    for name, value in {"model": policy.path, "contract": path, "auto_activate": "true"}.items():
        argv += ["-p", f"{name}:={value}"]
    result = subprocess.run(argv, env=transport.environment(8), capture_output=True, text=True, timeout=60)
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert result.returncode == 2
    assert len(lines) == 1
    assert "ur10e" in lines[0]
    assert "ur5e_sim" in lines[0]


def test_a_dataset_folder_that_exists_is_left_alone(tmp_path: Path, recorded: list[Recorded], run: RunFolder) -> None:
    out = tmp_path / "dataset"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    result = learned_arm("dataset", recorded[0].folder, "--out", out, cwd=tmp_path)
    ends_in_one_line(result, "dataset")
    assert files_below(tmp_path) == {"dataset/mine.txt"}


def test_an_altered_verdict_is_noticed(tmp_path: Path, recorded: list[Recorded], replays: list[dict[str, str]]) -> None:
    altered = tmp_path / recorded[0].folder.name
    shutil.copytree(recorded[0].folder, altered)
    path = altered / "replay.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "reason": "looked fine to me"}))
    result = learned_arm("dataset", altered, "--out", tmp_path / "dataset", cwd=tmp_path)
    ends_in_one_line(result, "replay.json", "altered")
