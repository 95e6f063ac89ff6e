"""Golden episodes: inside the baseline a waiver, outside it the joint that strayed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from demo_tools.replay.golden import Golden, Waiver, waived
from demo_tools.replay.verdict import Verdict
from learned_arm.durable import read_json, write_json
from learned_arm.errors import LearnedArmError

JOINTS = ("shoulder", "elbow")


def state_of(contract_hash: str) -> dict[str, Any]:
    return {"contract_hash": contract_hash}


def verdict(name: str, largest_rad: float = 0.01, word: str = "passed") -> Verdict:
    joints = {joint: {"rms_rad": largest_rad / 2, "max_rad": largest_rad} for joint in JOINTS}
    return Verdict(word, f"it {word}", "c", name, "success", tracking={"joints": joints})


def baseline() -> Golden:
    said = {Path("a"): [verdict("a", 0.01), verdict("a", 0.02)], Path("b"): [verdict("b")]}
    return Golden.of(said, state_of("old"))


def test_the_baseline_is_the_widest_of_the_replays_and_comes_back(tmp_path: Path) -> None:
    made = baseline()
    assert made.largest_rad == {"a": dict.fromkeys(JOINTS, 0.02), "b": dict.fromkeys(JOINTS, 0.01)}
    made.save(tmp_path / "golden.json")
    assert Golden.load(tmp_path / "golden.json") == made
    changed = read_json(tmp_path / "golden.json")
    changed["largest_rad"]["b"]["elbow"] = 1.0
    write_json(tmp_path / "golden.json", changed)
    with pytest.raises(LearnedArmError, match="altered"):
        Golden.load(tmp_path / "golden.json")


def test_what_fails_is_no_measure() -> None:
    with pytest.raises(LearnedArmError, match="must pass"):
        Golden.of({Path("a"): [verdict("a"), verdict("a", word="failed")]}, {})


def test_inside_the_baseline_nothing_strays() -> None:
    assert baseline().strays([verdict("a", 0.03), verdict("b", 0.016), verdict("of another set", 9.0)]) == []


def test_what_strays_fails_or_is_missing_is_named() -> None:
    assert baseline().strays([verdict("a", 0.04), verdict("b")]) == [
        f"a: {joint} strayed 0.0400 rad, before 0.0200" for joint in JOINTS
    ]
    assert baseline().strays([verdict("a", word="failed")]) == ["a: failed, it failed", "b: not replayed"]


def test_a_joint_that_nothing_is_known_of_is_named() -> None:
    silent = Verdict("passed", "", "c", "a", "success", tracking={"joints": {}})
    assert baseline().strays([silent, verdict("b")]) == [f"a: nothing is known of {joint}" for joint in JOINTS]


def test_a_waiver_links_two_states_and_cannot_be_altered(tmp_path: Path) -> None:
    made = Waiver(state_of("old"), state_of("new"), baseline().hash, ("a", "b"))
    path = made.save(tmp_path)
    assert Waiver.load(path) == made
    assert waived("old", "new", [made]) == (made,) and waived("new", "old", [made]) == ()
    content: dict[str, Any] = read_json(path)
    content["after"]["contract_hash"] = "newer"
    write_json(path, content)
    with pytest.raises(LearnedArmError, match="altered"):
        Waiver.load(path)
    write_json(path, {"waiver": 1})
    with pytest.raises(LearnedArmError, match="kind waiver"):
        Waiver.load(path)
