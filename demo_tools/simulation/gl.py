"""Chooses how MuJoCo renders without a screen. To be done before mujoco is imported: it reads that once."""

from __future__ import annotations

import ctypes
import os

from learned_arm.errors import LearnedArmError

INSTALL_COMMAND = "apt-get install -y libegl1 libgl1-mesa-dri"
_LIBRARIES = {"egl": ("libEGL.so.1",), "osmesa": ("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so")}


def available_backends() -> tuple[str, ...]:
    """Headless backends whose system library loads, the preferred one first."""
    return tuple(name for name, libraries in _LIBRARIES.items() if any(_loads(each) for each in libraries))


def choose_gl() -> str | None:
    """Set MUJOCO_GL for this process and its children, unless the user has; None when no backend loads."""
    # Frames of 96 x 96 are too small to share: llvmpipe's worker threads cost more in waking than they save
    # in drawing.
    os.environ.setdefault("LP_NUM_THREADS", "0")
    if "MUJOCO_GL" not in os.environ and (backends := available_backends()):
        os.environ["MUJOCO_GL"] = backends[0]
    return os.environ.get("MUJOCO_GL")


def require_gl() -> str:
    """The backend in use.

    Raises:
        LearnedArmError: None can be loaded; names the command that installs one.
    """
    chosen = choose_gl()
    if chosen is None:
        raise missing_gl()
    return chosen


def missing_gl(got: object = None) -> LearnedArmError:
    """The error that names the command which makes rendering work."""
    return LearnedArmError("no headless OpenGL (EGL or OSMesa)", where="MUJOCO_GL", got=got, allowed=INSTALL_COMMAND)


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
