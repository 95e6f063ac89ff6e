"""A snapshot of what is running: software, settings, machine. What cannot be asked is named, never left out.

The part that needs no ROS and does not change while a process runs; `learned_arm.ros.capture` adds what nodes say.
Taking it costs a few git processes: take it beside the recording, never in its way.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from learned_arm.canonical import sha256_hex
from learned_arm.contract import Contract
from learned_arm.software import ament_packages, git_state, packages, prefixes, python_packages, reason, workspaces

SNAPSHOT_VERSION = 2
PACKAGES = (
    "numpy",
    "mcap",
    "onnxruntime",
    "opencv-python-headless",
    "mujoco",
    "mink",
    "ruckig",
    "torch",
    "rclpy",
    "ros-rclpy",
    "ros-fastrtps",
    "ros-rmw-fastrtps-cpp",
    "ros-sensor-msgs",
)
_PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE", "CYCLONEDDS_URI")
_SETTINGS = ("RMW_IMPLEMENTATION", "ROS_DISTRO", "ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_SECURITY_ENABLE")
# What a container runtime leaves in the file system it makes.
_CONTAINER_MARKS = {"docker": "/.dockerenv", "podman": "/run/.containerenv"}


def snapshot(
    contract: Contract, *, repository: Path | None = None, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What is running, as plain data.

    Args:
        contract: The contract in force.
        repository: A folder in the git checkout of the code; this package's by default.
        environment: Environment variables; the process's by default.
    """
    environment = os.environ if environment is None else environment
    return {
        "version": SNAPSHOT_VERSION,
        "contract": contract.hash,
        "contract_content": contract.canonical(),
        "software": {
            "python": platform.python_version(),
            "packages": packages(PACKAGES),
            "python_packages": python_packages(),
            "ament_packages": ament_packages(prefixes(environment)),
        },
        "git": git_state(repository or Path(__file__).resolve().parent),
        "workspaces": workspaces(environment),
        "middleware": middleware(environment),
        "system": system(environment),
    }


def middleware(environment: Mapping[str, str]) -> dict[str, Any]:
    """Settings of the middleware and the content hash of each profile file that is in force."""
    profiles: dict[str, Any] = {}
    for variable in _PROFILE_VARIABLES:
        path = environment.get(variable)
        if not path:
            continue
        try:
            profiles[variable] = {"file": Path(path).name, "sha256": sha256_hex(Path(path).read_bytes())}
        except OSError as error:
            profiles[variable] = {"file": Path(path).name, "unreachable": reason(error)}
    return {"settings": {name: environment.get(name) for name in _SETTINGS}, "profiles": profiles}


def system(environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Kernel, machine, CPU governor and container."""
    environment = os.environ if environment is None else environment
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    realtime = Path("/sys/kernel/realtime")
    marks = [name for name, path in _CONTAINER_MARKS.items() if Path(path).exists()]
    return {
        "platform": sys.platform,
        "kernel": platform.release(),
        "kernel_version": platform.version(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "cpu_governor": _content(governor),
        "realtime_kernel": _content(realtime) == "1",
        "container": environment.get("container") or (marks[0] if marks else None),
    }


def _content(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
