"""`learned-arm diff` and `snapshot`: sides of every kind, the table, the exit status."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo_tools import cli
from demo_tools.provenance.sides import load_side
from learned_arm.canonical import canonical_json
from learned_arm.contract import load_contract
from learned_arm.episode import PROVENANCE_FILE
from learned_arm.errors import LearnedArmError

ROOT = Path(__file__).resolve().parents[3]
_SPEC = importlib.util.spec_from_file_location("snapshots", ROOT / "test/learned_arm/snapshots.py")
assert _SPEC is not None
assert _SPEC.loader is not None
snapshots: Any = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(snapshots)

Learned = Callable[..., tuple[int, str, str]]


@pytest.fixture
def learned_arm(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Learned:
    """The command line in this process: its status and what it prints."""

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["learned-arm", *map(str, words)])
        status = cli.main()
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


def written(path: Path, content: Any) -> Path:
    path.write_bytes(canonical_json(content))
    return path


def changed(*path: str, value: Any) -> dict[str, Any]:
    found = snapshots.snapshot()
    *way, name = path
    place = found
    for each in way:
        place = place[each]
    place[name] = value
    return found


@pytest.mark.parametrize(
    ("after", "status"),
    [
        (snapshots.snapshot(), 0),
        (changed("parameters", "/recorder_node", "values", "operator", value="ben"), 0),
        (changed("system", "kernel", value="7.0"), 1),
        (changed("parameters", "/controller_manager", "values", "update_rate", value=500), 2),
        (changed("cameras", "front", "image", "encoding", value="bgr8"), 3),
    ],
)
def test_the_status_is_the_worst_severity(
    learned_arm: Learned, tmp_path: Path, after: dict[str, Any], status: int
) -> None:
    before = written(tmp_path / "before.json", snapshots.snapshot())
    found, out, err = learned_arm("diff", before, written(tmp_path / "after.json", after))
    assert (found, err) == (status, "")
    assert out.startswith("no change") == (after == snapshots.snapshot())


def test_a_row_shows_severity_place_both_values_and_reason(learned_arm: Learned, tmp_path: Path) -> None:
    before = written(tmp_path / "before.json", snapshots.snapshot())
    rate = changed("parameters", "/controller_manager", "values", "update_rate", value=500)
    after = written(tmp_path / "after.json", rate)
    assert learned_arm("diff", before, after)[1].splitlines() == [
        "1 S2",
        "S2  parameters > control > /controller_manager > update_rate",
        "    250 -> 500",
        "    rate of the control loop",
    ]
    told = json.loads(learned_arm("diff", before, after, "--json")[1])
    assert told["changes"][0]["path"] == ["parameters", "control", "/controller_manager", "update_rate"]
    assert (told["changes"][0]["before"], told["changes"][0]["after"]) == (250, 500)


def test_rows_below_a_severity_can_be_left_out_and_count_all_the_same(learned_arm: Learned, tmp_path: Path) -> None:
    before = written(tmp_path / "before.json", snapshots.snapshot())
    after = written(tmp_path / "after.json", changed("system", "kernel", value="7.0"))
    status, out, _ = learned_arm("diff", before, after, "--min-severity", "S2")
    assert (status, out.strip()) == (1, "no change of S2 or worse")


def test_a_statement_of_an_episode_is_read_at_its_start_or_else_at_its_end(tmp_path: Path) -> None:
    one, two = snapshots.snapshot(), changed("system", "kernel", value="7.0")
    assert load_side(written(tmp_path / "a.json", {"start": one, "end": two})) == one
    assert load_side(written(tmp_path / "b.json", {"start": {"unreachable": "late"}, "end": two})) == two
    (tmp_path / "folder").mkdir()
    written(tmp_path / "folder" / PROVENANCE_FILE, {"start": one})
    assert load_side(tmp_path / "folder") == one


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"unreachable": "recovered"}', "holds no snapshot; got recovered"),
        (b"[]", "not a snapshot"),
        (b"{", "cannot be read"),
        (b'{"start": {}}', "not a snapshot"),
        (b"[" * 100_000, "cannot be read"),
        (b'{"version": 2, "parameters": []}', "not a mapping"),
    ],
)
def test_what_is_no_snapshot_is_one_line_and_status_4(
    learned_arm: Learned, tmp_path: Path, content: bytes, words: str
) -> None:
    bad, good = tmp_path / "bad.json", written(tmp_path / "good.json", snapshots.snapshot())
    bad.write_bytes(content)
    status, out, err = learned_arm("diff", good, bad)
    assert (status, out, err.count("\n")) == (4, "", 1)
    assert words in err


def test_wrong_arguments_are_status_4_too(learned_arm: Learned, tmp_path: Path) -> None:
    assert learned_arm("diff", "live", "live")[0] == 4
    assert learned_arm("diff", tmp_path / "none", tmp_path / "none")[0] == 4
    assert learned_arm("diff", "one")[0] == 4
    assert learned_arm("snapshot", "--no-such-argument")[0] == 2


def test_live_needs_a_contract_where_the_other_side_has_none(tmp_path: Path) -> None:
    from demo_tools.provenance.sides import load_sides

    old = {"version": 1, "contract": load_contract("pick_cube").hash}
    with pytest.raises(LearnedArmError, match="--contract NAME"):
        load_sides(str(written(tmp_path / "old.json", old)), "live")


@pytest.mark.ros
def test_the_robot_that_runs_is_compared_with_what_it_was(spawn: Any, tmp_path: Path) -> None:
    helper = str(ROOT / "test/learned_arm/ros/parameter_node.py")
    environment = {"PYTHONPATH": str(ROOT)}
    sections = ("description", "camera", "joints")
    arm = spawn(sys.executable, helper, "my_controller", *sections, env=environment, name="my_controller")

    def learned_arm(*words: object) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "demo_tools.cli", *map(str, words)]
        variables = {**os.environ, "ROS_DOMAIN_ID": str(spawn.domain_id)}
        return subprocess.run(argv, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=60, check=False)

    before = tmp_path / "before.json"
    taken = learned_arm("snapshot", "--out", before)
    assert (taken.returncode, taken.stdout.strip()) == (0, str(before)), taken.stderr
    assert json.loads(before.read_bytes())["parameters"]["/my_controller"]["values"]["gains.p"] == 100.0
    arm.stop()
    gone = learned_arm("diff", before, "live", "--min-severity", "S2")
    assert gone.returncode == 2, gone.stderr
    assert "S2  nodes > control > /my_controller\n    running -> (absent)" in gone.stdout
