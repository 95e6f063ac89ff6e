"""The FastDDS profile that images need, for child processes and as a check at start-up."""

from __future__ import annotations

import os
import shutil
import sys
from importlib import resources
from pathlib import Path

from learned_arm.errors import LearnedArmError

PROFILE_VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE"
_PARTICIPANT_BYTES = 35_000_000
_SHARED_MEMORY = Path("/dev/shm")


def profile_path() -> Path:
    """The shipped profile: 32 MiB of shared memory a participant."""
    return Path(str(resources.files("learned_arm").joinpath("config", "fastdds_shm.xml")))


def environment(domain_id: int | None = None) -> dict[str, str]:
    """Environment of a child process that runs a node: this one's, the profile, and the domain.

    A profile, an ament prefix or a number of threads that the user has set stays.
    """
    variables = dict(os.environ)
    variables.setdefault(PROFILE_VARIABLE, str(profile_path()))
    variables.setdefault("AMENT_PREFIX_PATH", sys.prefix)
    # The matrices of an arm are small: threads for them would cost every node a quarter of its start, and help none.
    variables.setdefault("OPENBLAS_NUM_THREADS", "1")
    if domain_id is not None:
        variables["ROS_DOMAIN_ID"] = str(domain_id)
    return variables


def problems(participants: int = 1) -> list[str]:
    """What is wrong with the transport of this process, each with what to do about it.

    Args:
        participants: How many nodes are about to start on this machine.
    """
    found = []
    profile = os.environ.get(PROFILE_VARIABLE)
    if not profile:
        found.append(f"{PROFILE_VARIABLE} is not set: images of 640x480 get lost; set it to {profile_path()}")
    elif not Path(profile).is_file():
        found.append(f"{PROFILE_VARIABLE} names no file: got {profile}; set it to {profile_path()}")
    if _SHARED_MEMORY.is_dir():
        free = shutil.disk_usage(_SHARED_MEMORY).free
        needed = participants * _PARTICIPANT_BYTES
        if free < needed:
            found.append(
                f"{_SHARED_MEMORY} has {free // 1_000_000} MB free, {needed // 1_000_000} MB needed for "
                f"{participants} node(s); remount it larger (docker: --shm-size=1g)"
            )
    return found


def require_room(participants: int) -> None:
    """Raise when shared memory cannot hold this many participants."""
    found = [each for each in problems(participants) if each.startswith(str(_SHARED_MEMORY))]
    if found:
        raise LearnedArmError(found[0])
