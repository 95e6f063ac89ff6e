"""The things of a task inside the physics: where they are, how they are put there, what the cameras see of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from demo_tools.simulation import cue
from demo_tools.simulation.cue import Cue
from demo_tools.simulation.mj import Data, Model
from learned_arm.errors import LearnedArmError

Array = NDArray[np.float64]
_NO_TURN = np.array([1.0, 0.0, 0.0, 0.0])
COLOURED = {"belt": "cube", "peg": "socket"}
"""Where colours vary, the geoms whose names begin so have the colour that a seed names."""


@dataclass(frozen=True)
class CubePose:
    """The cube in base_link: centre in metres, shape (3,), and quaternion (w, x, y, z), shape (4,)."""

    position_m: Array
    quaternion: Array


@dataclass(frozen=True)
class Start:
    """An initial state.

    Attributes:
        position_rad: Joint positions in the robot's order.
        cube: The cube; in a task with pads, the one that is meant; with a peg, the middle of the socket's top.
        cue: Pads and cue, None in a task without.
        colour: Of the cube or the socket, RGB in [0, 1], shape (3,); None where it does not vary.
    """

    position_rad: Array
    cube: CubePose
    cue: Cue | None = None
    colour: Array | None = None


@dataclass(frozen=True)
class Sight:
    """What there is to draw, by value: a renderer may work on it while the simulation goes on.

    Attributes:
        qpos: MuJoCo's own positions.
        mocap_pos: Places of what nothing moves, shape (n, 3).
        mocap_quat: How it is turned, shape (n, 4).
        colours: By geom, RGB in [0, 1], shape (3,).
    """

    qpos: Array
    mocap_pos: Array
    mocap_quat: Array
    colours: dict[str, Array] = field(default_factory=dict)


class Things(Protocol):
    """One kind of things.

    Attributes:
        touched: Geom that the finger pads take hold of, -1 without one.
    """

    touched: int

    def place(self, data: Data, start: Start) -> None:
        """Put everything where an initial state has it, into a simulation that was reset."""
        ...

    def put(self, qpos: Array, mocap_pos: Array, mocap_quat: Array, pose: CubePose) -> None:
        """Write where the thing is that the task is about into the numbers that say so.

        Raises:
            LearnedArmError: It cannot be put anywhere.
        """
        ...

    def show(self, qpos: Array, mocap_pos: Array, mocap_quat: Array, decoy: Start) -> None:
        """Write where another initial state has everything."""
        ...

    def pose(self, data: Data) -> CubePose:
        """Where the thing is that the task is about."""
        ...

    def others_m(self, data: Data) -> Array:
        """Where those are that it is not about, shape (n, 3)."""
        ...

    def colours(self, data: Data, decoy: Start | None) -> dict[str, Array]:
        """Colours by geom; of another initial state if one is given."""
        ...

    def commanded(self, data: Data) -> None:
        """Note that the arm was commanded."""
        ...

    def pass_time(self, data: Data, dt_ns: int) -> None:
        """Let time pass."""
        ...


class _OneThing:
    """A cube that is free or a socket that is not, of one colour."""

    def __init__(self, model: Model, kind: str) -> None:
        self.touched = model.geom("peg" if kind == "peg" else "cube").id
        self._qpos = -1 if kind == "peg" else int(model.joint("cube").qposadr[0])
        stem = COLOURED.get(kind)
        names = [model.geom(index).name for index in range(model.ngeom)]
        self._coloured = [name for name in names if stem is not None and name.startswith(stem)]

    def place(self, data: Data, start: Start) -> None:
        self.put(data.qpos, data.mocap_pos, data.mocap_quat, start.cube)
        if start.colour is not None:
            data.userdata[:] = start.colour

    def put(self, qpos: Array, mocap_pos: Array, mocap_quat: Array, pose: CubePose) -> None:
        if self._qpos < 0:
            mocap_pos[0], mocap_quat[0] = pose.position_m, pose.quaternion
        else:
            qpos[self._qpos : self._qpos + 7] = [*pose.position_m, *pose.quaternion]

    def show(self, qpos: Array, mocap_pos: Array, mocap_quat: Array, decoy: Start) -> None:
        self.put(qpos, mocap_pos, mocap_quat, decoy.cube)

    def pose(self, data: Data) -> CubePose:
        if self._qpos < 0:
            return CubePose(data.mocap_pos[0].copy(), data.mocap_quat[0].copy())
        pose = data.qpos[self._qpos : self._qpos + 7].copy()
        return CubePose(pose[:3], pose[3:])

    def others_m(self, data: Data) -> Array:
        return np.empty((0, 3))

    def colours(self, data: Data, decoy: Start | None) -> dict[str, Array]:
        shown = data.userdata.copy() if decoy is None or decoy.colour is None else decoy.colour
        return dict.fromkeys(self._coloured, shown)

    def commanded(self, data: Data) -> None:
        pass

    def pass_time(self, data: Data, dt_ns: int) -> None:
        pass


class _Pads:
    """Pads and lamps, see `cue`."""

    touched = -1

    def place(self, data: Data, start: Start) -> None:
        assert start.cue is not None
        start.cue.place(data)

    def put(self, qpos: Array, mocap_pos: Array, mocap_quat: Array, pose: CubePose) -> None:
        raise LearnedArmError("nothing to put in this task", where="simulation", got="pads", allowed="cube or socket")

    def show(self, qpos: Array, mocap_pos: Array, mocap_quat: Array, decoy: Start) -> None:
        assert decoy.cue is not None
        mocap_pos[:] = decoy.cue.pads_m

    def pose(self, data: Data) -> CubePose:
        return CubePose(data.mocap_pos[cue.cued_pad(data)].copy(), _NO_TURN.copy())

    def others_m(self, data: Data) -> Array:
        return np.delete(data.mocap_pos, cue.cued_pad(data), axis=0)

    def colours(self, data: Data, decoy: Start | None) -> dict[str, Array]:
        return dict(zip(cue.LAMPS, cue.lamps(data, None if decoy is None else decoy.cue), strict=True))

    def commanded(self, data: Data) -> None:
        cue.begin(data)

    def pass_time(self, data: Data, dt_ns: int) -> None:
        cue.pass_time(data, dt_ns)


def things_of(kind: str, model: Model) -> Things:
    """The things of a scene, see `scene.build_model`."""
    return _Pads() if kind == "pads" else _OneThing(model, kind)
