"""`learned-arm doctor` on robots that run, in processes of their own, each with faults that somebody seeded."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.bring_up.robot import UP
from benchmarks.processes import Processes
from demo_tools.flow.domains import held_domain
from learned_arm.contract import load_contract
from learned_arm.ros import transport
from test.conftest import DOMAINS
from test.patience import patient

pytestmark = [pytest.mark.ros, pytest.mark.limit_s(240)]

ROBOT = "benchmarks.bring_up.robot"
AT_ONCE, START_S = 3, 60.0
JOINTS, ARM = "/joint_states", "/forward_position_controller/commands"
# What is wrong -> which check must say so, and where. Faults that do not hide each other are examined at once.
SEEDED: dict[tuple[str, ...], dict[str, str]] = {
    ("wrong_name", "half_rate", "camera_half_rate", "intruder", "narrow"): {
        "joint_states.names": "shoulder_lift_joint",
        "joint_states.rate": JOINTS,
        "camera.rate": "front",
        "command.past_the_door": ARM,
        "description.limits": "shoulder_pan_joint",
    },
    ("door", "joint_twice", "not_finite", "best_effort", "cameras_swapped", "deaf", "other_robot"): {
        "joint_states.twice": JOINTS,
        "joint_states.finite": JOINTS,
        "joint_states.qos": JOINTS,
        "camera.frame": "front",
        "command.listener": ARM,
        "description.joint": "shoulder_lift_joint",
    },
    ("outside", "ahead", "camera_frozen", "camera_dead"): {
        "joint_states.position": "shoulder_pan_joint",
        "joint_states.offset": JOINTS,
        "camera.frozen": "wrist",
        "camera.topic": "/front/image_raw",
    },
    ("gaps", "stamp_stands", "encoding"): {
        "joint_states.gap": JOINTS,
        "joint_states.frozen": JOINTS,
        "camera.message": "/front/image_raw",
    },
    ("two_drivers", "dark", "calibrated"): {
        "joint_states.publishers": JOINTS,
        "camera.exposure": "wrist",
        "description.links": "forearm_link",
    },
    ("wrong_type", "no_profile"): {"joint_states.type": JOINTS, "transport.memory": "this machine"},
    ("no_joints", "simulated_time"): {"joint_states.topic": JOINTS, "time.clock": "/fake_robot"},
}


# With a door, and to be moved.
TURNED = ("door", "reversed", "swapped_joints")
SHUT = ("no_door",)
Found = tuple[int, list[dict[str, Any]], str]


@contextmanager
def robot(folder: Path, *faults: str) -> Iterator[dict[str, str]]:
    """A robot that runs; gives the environment of whoever looks at it."""
    contract = folder / "contract.yaml"
    contract.write_text(json.dumps(patient(load_contract("pick_cube"))))
    with held_domain(DOMAINS) as domain_id, Processes(domain_id, folder) as processes:
        settings = ["-p", f"contract:={contract}"]
        simulated = ["-p", f"use_sim_time:={str('simulated_time' in faults).lower()}"]
        robots = [f"robot_{count}" for count in range(2 if "two_drivers" in faults else 1)]
        for name in robots:
            wrong = ["-p", f"faults:={','.join(faults) or 'none'}"]
            processes.start(ROBOT, "--ros-args", *settings, *simulated, *wrong, name=name)
        if "door" in faults:
            processes.start("arm_control.arm_node", "--ros-args", *settings)
        environment = transport.environment(domain_id)
        if "no_profile" in faults:
            environment[transport.PROFILE_VARIABLE] = str(folder / "absent.xml")
        wait_for_all([folder / f"{name}.log" for name in robots])
        yield environment
        processes.check()


def wait_for_all(logs: list[Path]) -> None:
    """Wait until every robot says that it runs: the doctor is for one that does, and a busy machine starts slowly."""
    until_s = time.monotonic() + START_S
    while not all(f"[fake_robot]: {UP}" in each.read_text() for each in logs):
        assert time.monotonic() < until_s, [each.read_text() for each in logs]
        time.sleep(0.05)


def doctor(environment: Mapping[str, str], folder: Path, *options: str) -> Found:
    """The command: its status, what it found, and what it said meanwhile."""
    command = [sys.executable, "-m", "demo_tools.cli", "doctor", f"contract:={folder / 'contract.yaml'}", *options]
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


def found_by(folder: Path, *faults: str) -> Found:
    folder.mkdir()
    with robot(folder, *faults) as environment:
        move = ["--move", "--yes"] if {"door", *SHUT} & set(faults) else []
        seconds = "4" if "gaps" in faults else "2"
        return doctor(environment, folder, "--json", "--seconds", seconds, *move)


@pytest.fixture(scope="module")
def examined(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, ...], Found]:
    """Every robot examined, a few at once; those with a door are moved."""
    root = tmp_path_factory.mktemp("doctor")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = {
            faults: pool.submit(found_by, root / str(index), *faults)
            for index, faults in enumerate([TURNED, SHUT, (), *SEEDED])
        }
        return {faults: each.result() for faults, each in running.items()}


def test_a_robot_on_which_all_is_well_has_no_fault(examined: Any) -> None:
    status, findings, said = examined[()]
    assert [each for each in findings if each["level"] == "fail"] == []
    # Nobody has started the door; that is no fault of the robot. A busy machine may tell joint states more slowly.
    told = {each["check"] for each in findings if each["level"] == "warn"}
    assert told - {"joint_states.rate"} == {"door.node"}
    assert status == 0
    assert "listening for 2 s" in said


@pytest.mark.parametrize("faults", SEEDED, ids=" ".join)
def test_every_seeded_fault_is_found_and_says_what_to_do(examined: Any, faults: tuple[str, ...]) -> None:
    status, findings, _ = examined[faults]
    bad = [each for each in findings if each["level"] != "ok"]
    told = {(each["check"], each["where"]) for each in bad}
    assert set(SEEDED[faults].items()) <= told, told
    assert all(each["todo"] for each in bad)
    assert status == 1


def test_there_are_at_least_fifteen() -> None:
    assert sum(map(len, SEEDED.values())) >= 15


def test_a_motion_finds_the_joint_that_turns_the_wrong_way_and_those_that_are_swapped(examined: Any) -> None:
    status, findings, _ = examined[TURNED]
    moved = {each["where"]: each["check"] for each in findings if each["check"].startswith("motion.")}
    names = load_contract("pick_cube").robot.joints
    wrong = {names[2]: "motion.sign", names[3]: "motion.name", names[4]: "motion.name"}
    assert moved == {name: wrong.get(name, "motion.follows") for name in names}
    assert status == 1


def test_an_arm_with_faults_is_not_moved(examined: Any) -> None:
    (faults,) = (faults for faults in SEEDED if "door" in faults)
    _, findings, _ = examined[faults]
    assert [each["check"] for each in findings if each["check"].startswith("motion.")] == ["motion.refused"]


def test_where_nobody_gives_the_lease_the_rest_is_told_nevertheless(examined: Any) -> None:
    status, findings, _ = examined[SHUT]
    assert [(each["check"], each["seen"]) for each in findings if each["level"] == "fail"] == [
        ("motion.refused", "no arm_node; got 10 s of waiting")
    ]
    assert "joint_states.names" in {each["check"] for each in findings if each["level"] == "ok"}
    assert status == 1
