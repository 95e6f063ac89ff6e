"""mujoco for the type checker: a compiled module without stubs, all it gives is of any type."""

from __future__ import annotations

from typing import Any, TypeAlias

import mujoco as _mujoco

mujoco: Any = _mujoco
Model: TypeAlias = Any
"""An mjModel."""
Data: TypeAlias = Any
"""An mjData."""
