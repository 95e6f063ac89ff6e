"""The launch files load and run under ROS's launch; without it, they are read only."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from benchmarks.policy_model import write_policy
from learned_arm.contract import load_contract
from learned_arm.ros.transport import PROFILE_VARIABLE, environment, profile_path

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "launch").glob("*.launch.py"))
SIM = ROOT / "launch/sim.launch.py"
ARGUMENTS = {
    "contract": "pick_cube",
    "robot": "",
    "use_sim_time": "false",
    "recorder": "true",
    "root": "demos",
    "model": "",
}
NEEDED = ("sim_arm_node", "arm_node", "recorder_node", "policy_node")


def has_launch() -> bool:
    """Whether ROS's launch is here; the root folder `launch/` has no `actions`."""
    try:
        return importlib.util.find_spec("launch.actions") is not None
    except ModuleNotFoundError:
        return False


needs_launch = pytest.mark.skipif(not has_launch(), reason="launch is on no registry: source a ROS 2 workspace")


def executables(file: Path) -> list[str]:
    """Executables of this package that a launch file starts."""
    calls = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))
    arguments = ({each.arg: each.value for each in call.keywords} for call in calls)
    return [
        ast.literal_eval(each["executable"])
        for each in arguments
        if "executable" in each and ast.unparse(each.get("package", ast.Constant(""))) == "PACKAGE"
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_what_is_launched_is_installed(file: Path) -> None:
    setup = (ROOT / "setup.py").read_text()
    started = executables(file)
    assert started
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


@needs_launch
def test_every_argument_has_a_default_and_says_what_it_is() -> None:
    context = new_context()
    found = {each.name: each for each in description(SIM).get_launch_arguments()}
    defaults = {name: "".join(part.perform(context) for part in each.default_value) for name, each in found.items()}
    assert defaults == ARGUMENTS
    assert [name for name, each in found.items() if len(each.description) < 20] == []


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


_LAUNCH = """
import sys
import launch
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

source = PythonLaunchDescriptionSource(sys.argv[1])
arguments = [argument.split(":=", 1) for argument in sys.argv[2:]]
service = launch.LaunchService(noninteractive=True)
service.include_launch_description(
    launch.LaunchDescription([IncludeLaunchDescription(source, launch_arguments=arguments)])
)
sys.exit(service.run())
"""

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


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This package, installed by colcon."""
    workspace = tmp_path_factory.mktemp("workspace")
    ignored = shutil.ignore_patterns(".*", "runs", "build", "install", "log", "__pycache__", "test")
    shutil.copytree(ROOT, workspace / "src/learned_arm", ignore=ignored)
    build = [sys.executable, "-m", "colcon", "build"]
    subprocess.run(build, cwd=workspace, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=100)
    return workspace / "install/learned_arm"


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether a condition about other processes came true in time."""
    deadline_s = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.1)
    return True


@needs_launch
@pytest.mark.ros
def test_the_simulation_runs_with_an_active_policy_and_ends_with_the_door(
    spawn: Any, prefix: Path, tmp_path: Path
) -> None:
    write_policy(tmp_path / "policy.onnx", load_contract("reach_cube"))
    arguments = ["contract:=reach_cube", "use_sim_time:=true", f"root:={tmp_path / 'demos'}"]
    arguments.append(f"model:={tmp_path / 'policy.onnx'}")
    (site_packages,) = prefix.glob("lib/python*/site-packages")
    file = prefix / "share/learned_arm/launch/sim.launch.py"
    variables = {
        "AMENT_PREFIX_PATH": f"{prefix}:{environment()['AMENT_PREFIX_PATH']}",
        "PYTHONPATH": ":".join([str(site_packages), *(each for each in sys.path if each and each != str(ROOT))]),
        "ROS_LOG_DIR": str(tmp_path / "log"),
    }
    launched = spawn(sys.executable, "-c", _LAUNCH, str(file), *arguments, env=variables, cwd=tmp_path)

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
