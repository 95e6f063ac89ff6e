"""A policy for experiments: which demo's is taken, and that making one goes on where it ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from learned_arm.contract import load_contract
from learned_arm.durable import write_json

pytest.importorskip("rclpy")
from demo_tools.flow import stages, trained
from demo_tools.flow.demo import Plan
from demo_tools.flow.run_folder import RunFolder

TINY = Plan(episodes=2, iterations=3, trials=1, blind_trials=1)


def _demo(root: Path, name: str, trials: int | None) -> Path:
    folder = root / name
    folder.mkdir()
    (folder / trained.POLICY).write_bytes(b"onnx")
    if trials is not None:
        write_json(folder / "summary.json", {"eval_trials": trials})
    return folder / trained.POLICY


def test_the_newest_whole_demo_gives_the_policy(tmp_path: Path) -> None:
    assert trained.newest_policy(tmp_path / "none") is None
    _demo(tmp_path, "20260101T000000Z", 100)
    whole = _demo(tmp_path, "20260102T000000Z", 100)
    _demo(tmp_path, "20260103T000000Z", 5)
    _demo(tmp_path, "20260104T000000Z", None)
    assert trained.newest_policy(tmp_path) == whole


@pytest.mark.ros
@pytest.mark.prove
def test_making_a_policy_goes_on_where_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, contract = RunFolder(tmp_path), load_contract("reach_cube")
    recorded: list[str] = []
    record, replay = stages.record, stages.replay

    def counted(*args: object) -> object:
        recorded.append("record")
        return record(*args)  # type: ignore[arg-type]

    def killed(*args: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "record", counted)
    monkeypatch.setattr(stages, "replay", killed)
    with pytest.raises(KeyboardInterrupt):
        trained.make_policy(run, contract, TINY, workers=1, threads=1)
    monkeypatch.setattr(stages, "replay", replay)
    policy = trained.make_policy(run, contract, TINY, workers=1, threads=1)
    assert policy.is_file() and recorded == ["record"]
    assert trained.make_policy(run, contract, TINY) == policy
