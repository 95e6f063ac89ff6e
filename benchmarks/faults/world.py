"""What every process of the fault rig knows: the task, the pictures of its cameras, what they tell the model to do.

A picture is a function of camera, stamp and mode, so whoever knows these can build what a policy saw.
"""

from __future__ import annotations

import zlib
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from learned_arm.contract import Contract, load_contract
from learned_arm.durable import write_json

# The lower quarter of a picture is grey; its brightness over this is the mode.
MODE_STEP = 32
GOOD, NAN, INFINITE, SHORT, HANGS, SLOW = range(6)
MODES = (GOOD, NAN, INFINITE, SHORT, HANGS, SLOW)
"""What the model does when it sees a picture of the mode."""
MODE_CAMERA = "front"
"""Whose picture it looks at for that; all others show a good one."""

STRIKE, STRUCK, DEADMAN = "/faults/strike", "/faults/struck", "/faults/joy"
"""Topics: `<process> <fault>` to a process; `<process> <fault> <monotonic ns>` back, when it has begun."""

CLOCK_VARIABLE = "LEARNED_ARM_FAULTS_CLOCK"
"""Names the file with what has been added to the system clock of the rig's processes, int64, ns."""

CHUNK_TICKS = 4
JOINTS_MAX_AGE_S = 0.15
CAMERA_MAX_AGE_S = 0.25
RADIUS_RAD, TURN_RAD_S = 0.2, 0.75
"""The healthy motion: two joints go round a circle, so 0.15 rad/s for ever and nowhere near a limit."""


def rig_contract(control_rate_hz: int = 100, rate_hz: int = 20, cameras: tuple[str, ...] = ("front",)) -> Contract:
    """The task of the rig: ages that a busy machine of two cores keeps, chunks of a fifth of a second."""
    value = load_contract("pick_cube").canonical()
    robot = value["robot"]
    robot["control_rate_hz"] = control_rate_hz
    robot["joint_states"] = [{"topic": "/joint_states", "max_age_s": JOINTS_MAX_AGE_S}]
    value["task"], value["rate_hz"] = "circle", rate_hz
    camera = {"size": [96, 96], "max_age_s": CAMERA_MAX_AGE_S, "latency_s": 0.0}
    value["observation"]["cameras"] = {name: {**camera, "topic": f"/{name}/image_raw"} for name in cameras}
    value["observation"]["state"]["max_age_s"] = JOINTS_MAX_AGE_S
    value["action"]["horizon"] = CHUNK_TICKS
    return Contract.from_canonical(value)


def save_contract(contract: Contract, path: Path) -> None:
    """Write it for the nodes."""
    write_json(path, contract.canonical())


def picture(camera: str, stamp_ns: int, mode: int, height: int, width: int) -> NDArray[np.uint8]:
    """What a camera shows, uint8, shape (height, width, 3): noise, the stamp in its upper eighth, the mode below."""
    pixels = _noise(camera, height, width).copy()
    mark(pixels, stamp_ns, mode)
    return pixels


def mark(pixels: NDArray[np.uint8], stamp_ns: int, mode: int) -> None:
    """Make the picture of another moment and mode of a picture of the same camera, in place."""
    height, width = pixels.shape[:2]
    block = width // 8
    for index, byte in enumerate(stamp_ns.to_bytes(8, "little")):
        pixels[: height // 8, index * block : (index + 1) * block] = byte
    pixels[-(height // 4) :] = MODE_STEP * mode


@cache
def _noise(camera: str, height: int, width: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(zlib.crc32(camera.encode()))
    return rng.integers(60, 200, (height, width, 3), dtype=np.uint8)
