"""The launch files load and run under ROS's launch; without it, they are read only."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from benchmarks.policy_model import write_policy
from learned_arm.contract import load_contract
from learned_arm.ros.transport import PROFILE_VARIABLE, profile_path
from test.launched import needs_launch, until

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "launch").glob("*.launch.py"))
SIM, REAL = ROOT / "launch/sim.launch.py", ROOT / "launch/real_arm.launch.py"
REQUIRED = None
ARGUMENTS: dict[str, dict[str, str | None]] = {
    "sim.launch.py": {
        "contract": "pick_cube",
        "robot": "",
        "use_sim_time": "false",
        "recorder": "true",
        "root": "demos",
        "model": "",
    },
    "real_arm.launch.py": {
        "robot": REQUIRED,
        "contract": REQUIRED,
        "robot_ip": "",
        "mock": "false",
        "driver": "true",
        "deadman_topic": "",
        "deadman_type": "joy",
        "target_check": "none",
    },
    "record.launch.py": {"contract": REQUIRED, "robot": "", "root": "demos", "operator": ""},
    "replay.launch.py": {
        "episode": REQUIRED,
        "stream": "labels",
        "contract": "",
        "verdict_folder": "",
        "overlay": "false",
        "preflight": "true",
    },
    "teleop.launch.py": {"contract": REQUIRED, "mapping": REQUIRED, "robot": "", "joy": "false", "spacenav": "false"},
    "cameras.launch.py": {"cameras": REQUIRED, "contract": ""},
    "policy.launch.py": {"model": REQUIRED, "contract": "", "robot": "", "provider": "cpu"},
}
NEEDED = ("sim_arm_node", "arm_node", "recorder_node", "policy_node")


def executables(file: Path) -> list[str]:
    """Executables of this package that a launch file starts."""
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    named = [ast.unparse(call.func) for call in calls]
    started = [
        ast.literal_eval(call.args[0]) for call, name in zip(calls, named, strict=True) if name == "launching.node"
    ]
    return started + ["policy_node"] * named.count("launching.policy")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_what_is_launched_is_installed(file: Path) -> None:
    setup = (ROOT / "setup.py").read_text()
    started = executables(file)
    # Cameras are started by their drivers' packages.
    assert started or file.name == "cameras.launch.py"
    assert [each for each in started if f'"{each} = ' not in setup] == []


def test_the_simulation_brings_up_every_part() -> None:
    assert sorted(executables(SIM)) == sorted(NEEDED)


def description(file: Path) -> Any:
    """A launch file's description, as `ros2 launch` loads it."""
    sources = import_module("launch.launch_description_sources")
    return sources.PythonLaunchDescriptionSource(str(file)).get_launch_description(new_context())


def new_context() -> Any:
    """A context of ROS's launch."""
    return import_module("launch").LaunchContext()


def test_every_launch_file_is_known() -> None:
    assert {file.name for file in FILES} == set(ARGUMENTS)


@needs_launch
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_argument_says_what_it_is_and_has_its_default_or_must_be_given(file: Path) -> None:
    context = new_context()
    found = {each.name: each for each in description(file).get_launch_arguments()}
    defaults = {
        name: None if each.default_value is None else "".join(part.perform(context) for part in each.default_value)
        for name, each in found.items()
    }
    assert defaults == ARGUMENTS[file.name]
    assert [name for name, each in found.items() if len(each.description) < 10] == []


@needs_launch
@pytest.mark.parametrize("own", [None, "/my/profile.xml"])
def test_images_get_their_transport_profile_unless_the_user_has_one(
    own: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # launch writes into this process's environment; monkeypatch puts it back.
    monkeypatch.setenv(PROFILE_VARIABLE, own or "")
    if own is None:
        monkeypatch.delenv(PROFILE_VARIABLE)
    kind = import_module("launch.actions").SetEnvironmentVariable
    context = new_context()
    for entity in description(SIM).entities:
        if isinstance(entity, kind):
            entity.visit(context)
    assert os.environ[PROFILE_VARIABLE] == (own or str(profile_path()))


_STATE_OF_POLICY = """
import rclpy
from lifecycle_msgs.srv import GetState
from rclpy.node import Node

rclpy.init()
node = Node("asks")
client = node.create_client(GetState, "/policy_node/get_state")
assert client.wait_for_service(30.0)
answer = client.call_async(GetState.Request())
rclpy.spin_until_future_complete(node, answer, timeout_sec=10.0)
print(answer.result().current_state.label, flush=True)
"""


_DRIVER = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

def generate_launch_description():
    contract = {"contract": LaunchConfiguration("task")}
    node = Node(package="learned_arm", executable="sim_arm_node", parameters=[contract], output="screen",
                condition=IfCondition(LaunchConfiguration("no_hardware")))
    return LaunchDescription([DeclareLaunchArgument(name) for name in ("task", "no_hardware", "address")] + [node])
"""


def arm_with_a_driver(folder: Path) -> tuple[Path, Path]:
    """A robot file whose driver is a package of ours, and the prefix where that is installed."""
    robot = load_contract("reach_cube").robot.canonical()
    robot["driver"] = {
        "package": "a_driver",
        "launch": "a.launch.py",
        "install": "ros-jazzy-a-driver",
        "address": "address",
        "arguments": {"task": "reach_cube", "no_hardware": "false"},
        "mock": {"arguments": {"no_hardware": "true"}},
    }
    path, prefix = folder / "an_arm.yaml", folder / "prefix"
    path.write_text(json.dumps(robot))
    for name, content in (
        ("ament_index/resource_index/packages/a_driver", ""),
        ("a_driver/launch/a.launch.py", _DRIVER),
    ):
        (prefix / "share" / name).parent.mkdir(parents=True, exist_ok=True)
        (prefix / "share" / name).write_text(content)
    return path, prefix


@needs_launch
@pytest.mark.ros
def test_a_real_arm_is_its_driver_with_its_arguments_and_the_door(launch: Callable[..., Any], tmp_path: Path) -> None:
    robot, prefix = arm_with_a_driver(tmp_path)
    arguments = [f"robot:={robot}", "contract:=reach_cube", "robot_ip:=192.0.2.1", "mock:=true"]
    launched = launch("real_arm.launch.py", *arguments, prefixes=[prefix])
    assert until(lambda: "[arm_node-" in launched.output(), 40.0), launched.output()
    started = dict(re.findall(r"\[(\w+)-\d+\]: process started with pid \[(\d+)\]", launched.output()))
    assert set(started) == {"sim_arm_node", "switch_controllers", "arm_node"}
    os.kill(int(started["arm_node"]), signal.SIGTERM)
    assert launched.wait(30.0) == 0


@needs_launch
@pytest.mark.ros
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["robot:=no_such_arm", "contract:=reach_cube"], "no_such_arm"),
        (["robot:=ur5e_robotiq", "contract:=no_such_task"], "no_such_task"),
        (
            ["robot:=ur5e_robotiq", "contract:=reach_cube", "robot_ip:=192.0.2.1"],
            "ur_robot_driver is not installed: sudo apt install",
        ),
        (["robot:=fr3", "contract:=reach_cube"], "franka_bringup is not installed: build it from https://"),
        (["robot:=ur5e_robotiq", "contract:=reach_cube"], "robot ur5e_robotiq: no address; allowed: robot_ip:=<"),
        (["robot:=ur5e_sim", "contract:=reach_cube"], "robot ur5e_sim: no driver named"),
        (["robot:=vx300s", "contract:=reach_cube", "robot_ip:=192.0.2.1"], "the driver takes no address"),
        (["robot:=ur5e_robotiq", "contract:=reach_cube", "mock:=maybe"], '"maybe" is not valid'),
        (["contract:=reach_cube"], "robot"),
    ],
)
def test_a_wrong_argument_is_one_clear_line_and_nothing_starts(
    launch: Callable[..., Any], arguments: list[str], said: str
) -> None:
    launched = launch("real_arm.launch.py", *arguments)
    assert launched.wait(40.0) != 0
    errors = [line for line in launched.output().splitlines() if "[ERROR]" in line]
    # Where launch itself checks a choice, it says so twice.
    assert said in errors[-1] and len(errors) == (2 if "not valid" in said else 1), launched.output()
    assert "process started" not in launched.output()


_CAMERA_NODE = """#!/bin/sh
echo "camera $*"
"""

_CAMERA_LAUNCH = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo
from launch.substitutions import LaunchConfiguration

def generate_launch_description():
    given = [LaunchConfiguration("serial_no"), " of ", LaunchConfiguration("camera_namespace")]
    return LaunchDescription([DeclareLaunchArgument("serial_no"), LogInfo(msg=given)])
"""


def camera_drivers(prefix: Path) -> Path:
    """Packages of cameras that say what they were told."""
    for name, content in (
        ("share/ament_index/resource_index/packages/usb_cam", ""),
        ("share/ament_index/resource_index/packages/realsense2_camera", ""),
        ("share/realsense2_camera/launch/rs_launch.py", _CAMERA_LAUNCH),
        ("lib/usb_cam/usb_cam_node_exe", _CAMERA_NODE),
    ):
        (prefix / name).parent.mkdir(parents=True, exist_ok=True)
        (prefix / name).write_text(content)
    (prefix / "lib/usb_cam/usb_cam_node_exe").chmod(0o755)
    (prefix / "share/usb_cam").mkdir(parents=True)
    return prefix


@needs_launch
@pytest.mark.ros
def test_cameras_are_started_by_their_drivers_with_what_the_file_says(
    launch: Callable[..., Any], tmp_path: Path
) -> None:
    drivers = camera_drivers(tmp_path / "prefix")
    nodes = launch("cameras.launch.py", "cameras:=two_usb", "contract:=pick_cube", prefixes=[drivers])
    assert nodes.wait(40.0) == 0, nodes.output()
    for name in ("front", "wrist"):
        assert f"__ns:=/{name}" in nodes.output()
        assert f"image_raw:=/{name}/image_raw" in nodes.output()
    files = launch("cameras.launch.py", "cameras:=two_realsense", prefixes=[drivers])
    assert files.wait(40.0) == 0, files.output()
    assert "_111111111111 of front" in files.output()
    assert "_222222222222 of wrist" in files.output()


@needs_launch
@pytest.mark.ros
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cameras:=no_such_file"], "no_such_file"),
        (["cameras:=two_usb"], "usb_cam is not installed: sudo apt install ros-jazzy-usb-cam"),
        (["cameras:=two_realsense", "contract:=pick_cube"], "its driver publishes elsewhere"),
    ],
)
def test_cameras_that_cannot_be_started_are_one_clear_line(
    launch: Callable[..., Any], arguments: list[str], said: str
) -> None:
    launched = launch("cameras.launch.py", *arguments)
    assert launched.wait(40.0) != 0
    errors = [line for line in launched.output().splitlines() if "[ERROR]" in line]
    assert said in errors[-1] and len(errors) == 1, launched.output()


@needs_launch
@pytest.mark.ros
def test_the_simulation_runs_with_an_active_policy_and_ends_with_the_door(
    spawn: Any, launch: Callable[..., Any], tmp_path: Path
) -> None:
    write_policy(tmp_path / "policy.onnx", load_contract("reach_cube"))
    arguments = ["contract:=reach_cube", "use_sim_time:=true", f"root:={tmp_path / 'demos'}"]
    arguments.append(f"model:={tmp_path / 'policy.onnx'}")
    launched = launch("sim.launch.py", *arguments)

    def is_active() -> bool:
        asked = spawn(sys.executable, "-c", _STATE_OF_POLICY, name="state")
        return asked.wait(60.0) == 0 and "inactive" not in asked.output() and "active" in asked.output()

    assert until(is_active, 60.0)
    output = launched.output()
    assert all(f"[{name}-" in output for name in NEEDED)
    # The children of the process that this test started, by the ids it printed.
    started = dict(re.findall(r"\[(\w+)-\d+\]: process started with pid \[(\d+)\]", output))
    os.kill(int(started["arm_node"]), signal.SIGTERM)
    assert launched.wait(30.0) == 0
