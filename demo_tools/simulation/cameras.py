"""Draws what the cameras see. A rig belongs to the thread that made it, as OpenGL contexts do."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from demo_tools.simulation.arm import ArmSimulation
from demo_tools.simulation.gl import missing_gl
from demo_tools.simulation.mj import mujoco
from demo_tools.simulation.posed_arm import PosedArm
from demo_tools.simulation.things import Sight
from learned_arm.errors import LearnedArmError
from learned_arm.pictures import DEPTH

_FARTHEST_MM = 65_535


class CameraRig:
    """The cameras of a contract on a simulated arm.

    It draws from its own copy of the positions, so that looking never changes the physics. Colours that change are set
    in the shared model, where the physics does not look.

    Raises:
        LearnedArmError: No OpenGL context can be made.
    """

    def __init__(self, arm: ArmSimulation | PosedArm) -> None:
        self._model = arm.model
        self._data = mujoco.MjData(arm.model)
        self._renderers: dict[tuple[int, int], Any] = {}
        self._sizes = {name: camera.size for name, camera in arm.contract.cameras.items()}
        self._depth = {name for name, camera in arm.contract.cameras.items() if camera.message == DEPTH}
        for size in sorted(set(self._sizes.values())):
            self._renderers[size] = self._renderer(*size)

    def _renderer(self, height: int, width: int) -> Any:
        offscreen = self._model.vis.global_
        offscreen.offheight = max(offscreen.offheight, height)
        offscreen.offwidth = max(offscreen.offwidth, width)
        try:
            renderer = mujoco.Renderer(self._model, height, width)
        except Exception as error:  # Each backend raises its own kind, down to AttributeError from a half-loaded one.
            raise missing_gl(str(error)) from error
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        return renderer

    def draw(self, name: str, sight: Sight) -> NDArray[Any]:
        """The image of a camera, uint8 RGB of shape (height, width, 3); of a depth camera uint16 mm, (height, width).

        Args:
            name: Camera of the contract.
            sight: What is before it, see `ArmSimulation.sight`.
        """
        if name not in self._sizes:
            raise LearnedArmError("no such camera", where="simulation", got=name, allowed=list(self._sizes))
        self._data.qpos[:] = sight.qpos
        self._data.mocap_pos[:], self._data.mocap_quat[:] = sight.mocap_pos, sight.mocap_quat
        for geom, rgb in sight.colours.items():
            self._model.geom(geom).rgba[:3] = rgb
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        renderer = self._renderers[self._sizes[name]]
        renderer.update_scene(self._data, camera=name)
        if name not in self._depth:
            return renderer.render()
        renderer.enable_depth_rendering()
        try:
            return np.clip(np.rint(1e3 * renderer.render()), 0, _FARTHEST_MM).astype(np.uint16)
        finally:
            renderer.disable_depth_rendering()

    def close(self) -> None:
        """Free the OpenGL contexts, on the thread that made them."""
        for renderer in self._renderers.values():
            renderer.close()
