"""Launch files of the installed package, started as `ros2 launch` starts them; where there is no launch, tests skip."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from learned_arm.ros.transport import environment

ROOT = Path(__file__).resolve().parents[1]


def has_launch() -> bool:
    """Whether ROS's launch is here; the root folder `launch/` has no `actions`."""
    try:
        return importlib.util.find_spec("launch.actions") is not None
    except ModuleNotFoundError:
        return False


needs_launch = pytest.mark.skipif(not has_launch(), reason="launch is on no registry: source a ROS 2 workspace")


# What a shell runs in the background has been told to ignore SIGINT, which is inherited: launch would never hear that
# it has to end, and leave its nodes behind.
_LAUNCH = """
import signal
import sys
import launch
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

signal.signal(signal.SIGINT, signal.default_int_handler)
source = PythonLaunchDescriptionSource(sys.argv[1])
arguments = [argument.split(":=", 1) for argument in sys.argv[2:]]
service = launch.LaunchService(noninteractive=True)
service.include_launch_description(
    launch.LaunchDescription([IncludeLaunchDescription(source, launch_arguments=arguments)])
)
sys.exit(service.run())
"""


@pytest.fixture(scope="session")
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


@pytest.fixture
def launch(spawn: Any, prefix: Path, tmp_path: Path) -> Callable[..., Any]:
    """Starts a launch file of the installed package, as `ros2 launch` does."""
    (site_packages,) = prefix.glob("lib/python*/site-packages")
    paths = [str(site_packages), *(each for each in sys.path if each and each != str(ROOT))]

    def start(name: str, *arguments: str, prefixes: Sequence[Path] = ()) -> Any:
        variables = {
            "AMENT_PREFIX_PATH": ":".join([str(prefix), *map(str, prefixes), environment()["AMENT_PREFIX_PATH"]]),
            "PYTHONPATH": ":".join(paths),
            "ROS_LOG_DIR": str(tmp_path / "log"),
        }
        file = prefix / "share/learned_arm/launch" / name
        return spawn(sys.executable, "-c", _LAUNCH, str(file), *arguments, env=variables, cwd=tmp_path)

    return start
