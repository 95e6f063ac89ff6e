"""A run folder keeps what each stage said, and how long it took."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo_tools.flow.run_folder import RunFolder


def test_a_statement_is_read_back_and_a_missing_one_is_none(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.write("record.json", {"episodes": []})
    assert run.read("record.json") == {"episodes": []}
    assert run.read("replays.json") is None


def test_stages_are_listed_in_order_and_once(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for name in ("record", "replay", "record"):
        with run.stage(name):
            pass
    assert [each["stage"] for each in run.read("stages.json")] == ["replay", "record"]


def test_a_stage_that_failed_is_not_listed(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    with pytest.raises(RuntimeError), run.stage("train"):
        raise RuntimeError
    assert run.read("stages.json") is None


def test_paths_are_told_relative_to_the_run(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert run.relative(tmp_path / "demos" / "a") == "demos/a"
