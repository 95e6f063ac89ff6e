"""A snapshot of what is running: software, settings, machine. What cannot be asked is named, never left out.

The part that needs no ROS; `learned_arm.ros.introspection` adds the node graph. Taking it costs a few git
processes: take it beside the recording, never in its way.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from learned_arm.canonical import sha256_hex
from learned_arm.contract import Contract

SNAPSHOT_VERSION = 1
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
_GIT_TIMEOUT_S = 5.0
_LARGEST_UNTRACKED_BYTES = 10_000_000


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
        "software": {"python": platform.python_version(), "packages": packages(PACKAGES)},
        "git": git_state(repository or Path(__file__).resolve().parent),
        "middleware": middleware(environment),
        "system": system(),
    }


def packages(names: Sequence[str]) -> dict[str, str | None]:
    """Installed version by distribution name, None where it is not installed."""
    found: dict[str, str | None] = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def git_state(folder: Path) -> dict[str, str | None]:
    """Commit of a checkout, and a hash of what differs from it (untracked files included).

    Returns:
        `commit` and `dirty_sha256` (None when clean), or `unreachable` with the reason.
    """
    try:
        top = Path(_git(folder, "rev-parse", "--show-toplevel").decode().strip())
        commit = _git(top, "rev-parse", "HEAD").decode().strip()
        changes = hashlib.sha256()
        difference = _git(top, "diff", "HEAD", "--binary")
        untracked = sorted(filter(None, _git(top, "ls-files", "--others", "--exclude-standard", "-z").split(b"\0")))
        changes.update(difference)
        for name in untracked:
            path = top / os.fsdecode(name)
            if path.is_file() and path.stat().st_size <= _LARGEST_UNTRACKED_BYTES:
                changes.update(name + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    except (OSError, subprocess.SubprocessError) as error:
        return {"unreachable": _reason(error)}
    return {"commit": commit, "dirty_sha256": changes.hexdigest() if difference or untracked else None}


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
            profiles[variable] = {"file": Path(path).name, "unreachable": _reason(error)}
    return {"settings": {name: environment.get(name) for name in _SETTINGS}, "profiles": profiles}


def system() -> dict[str, Any]:
    """Kernel, machine and CPU governor."""
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    realtime = Path("/sys/kernel/realtime")
    return {
        "platform": sys.platform,
        "kernel": platform.release(),
        "kernel_version": platform.version(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "cpu_governor": _content(governor),
        "realtime_kernel": _content(realtime) == "1",
    }


def _git(folder: Path, *arguments: str) -> bytes:
    # Locks are optional here: a snapshot must never make a developer's own git command fail.
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, timeout=_GIT_TIMEOUT_S).stdout


def _content(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        lines = error.stderr.decode("utf-8", "replace").strip().splitlines()
        return lines[0] if lines else f"git exit status {error.returncode}"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return type(error).__name__
