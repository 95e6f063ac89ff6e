"""Any robot file with kinematics as something to look at: MJCF of its links, a table, cubes to reach and the cameras.

Nothing here has weight: positions are set and drawn. Links are capsules from joint to joint, since a robot file knows
where its joints are and not what it looks like.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from demo_tools.simulation.mj import Model, mujoco
from learned_arm.kinematics import ForwardKinematics, Kinematics
from learned_arm.robot import Robot

Array = NDArray[np.float64]
CUBE_M = 0.04
JAW_M = 0.04
"""How far the moving jaw goes between the two ends of its joint's stroke."""
_POST_M = 0.6
_FOVY_DEG = {"wrist": 75.0, "fixed": 45.0}
_SMALLEST_M = 1e-3
_WRIST = "wrist"


def cube_name(tool: int) -> str:
    """The body that a tool shall reach."""
    return f"cube_{tool}"


def jaw_name(joint: str) -> str:
    """The jaw that a gripper's joint moves."""
    return f"{joint}_jaw"


def build_model(robot: Robot, cameras: Iterable[str]) -> Model:
    """Compile the scene of a robot with the cameras of a contract.

    A camera whose name begins with `wrist` rides on a tool, the second one on the second tool; any other stands beside
    the table.
    """
    return mujoco.MjModel.from_xml_string(scene_xml(robot, cameras))


def jaws_of(robot: Robot) -> dict[str, str]:
    """By joint that is in no kinematics, as a gripper's, the tool it belongs to: that of the arm before it."""
    kinematics = robot.kinematics
    assert kinematics is not None
    moving = {joint.name for joint in kinematics.joints if joint.kind != "fixed"}
    found, tool = {}, kinematics.tips[0]
    for joint in robot.joints:
        if joint in moving:
            tool = next(tip for tip in kinematics.tips if joint in _chain(kinematics, tip))
        else:
            found[joint] = tool
    return found


def scene_xml(robot: Robot, cameras: Iterable[str]) -> str:
    """The scene as MJCF text."""
    kinematics = robot.kinematics
    assert kinematics is not None
    forward = ForwardKinematics(kinematics, robot.joints)
    home = forward.poses(np.array([robot.home_rad]))[0]
    reach_m = float(np.abs(home[:, :3, 3]).max())
    tips = [forward.links.index(tip) for tip in kinematics.tips]
    on_tools, fixed = _placed(cameras, kinematics)
    looks_at_m = home[tips, :3, 3].mean(axis=0)
    places = "\n".join(_fixed_camera(name, index, looks_at_m, reach_m) for index, name in enumerate(fixed))
    tree = _Tree(robot, kinematics, home, reach_m, on_tools)
    cubes = "\n".join(_cube(cube_name(tool)) for tool in range(len(tips)))
    return f"""<mujoco model="{robot.name}">
<compiler angle="radian" autolimits="true"/>
<statistic extent="{reach_m}" center="{_numbers(looks_at_m)}"/>
<visual><quality offsamples="0" shadowsize="0" numslices="12" numstacks="4" numquads="1"/>
<headlight ambient="0.4 0.4 0.4" diffuse="0.4 0.4 0.4" specular="0 0 0"/><map znear="0.01" zfar="20"/></visual>
<worldbody>
<light directional="true" castshadow="false" pos="0 0 2" dir="-0.35 0.45 -0.85" diffuse="0.6 0.6 0.6"/>
<geom type="box" pos="0 0 -0.03" size="1.5 1.5 0.02" rgba="0.72 0.70 0.66 1"/>
{places}
{cubes}
{tree.body(kinematics.base, "")}
</worldbody>
</mujoco>"""


class _Tree:
    """Links as bodies, each with what hangs on it."""

    def __init__(
        self, robot: Robot, kinematics: Kinematics, home: Array, reach_m: float, cameras: dict[str, list[str]]
    ) -> None:
        self._kinematics, self._home, self._cameras = kinematics, home, cameras
        self._radius_m = 0.045 * min(max(reach_m, 0.3), 1.0)
        self._jaws: dict[str, list[str]] = {}
        for joint, tool in jaws_of(robot).items():
            self._jaws.setdefault(tool, []).append(joint)

    def body(self, link: str, attributes: str, joint: str = "") -> str:
        children = [each for each in self._kinematics.joints if each.parent == link]
        shapes = [f'<geom type="sphere" size="{1.15 * self._radius_m}" rgba="0.25 0.48 0.70 1"/>']
        shapes += [_tube(each.xyz_m, self._radius_m) for each in children if np.linalg.norm(each.xyz_m) > _SMALLEST_M]
        inner = [
            self.body(
                each.child,
                f'pos="{_numbers(each.xyz_m)}" quat="{_numbers(_quaternion(each.rpy_rad))}"',
                ""
                if each.kind == "fixed"
                else f'<joint name="{each.name}" type="{"slide" if each.kind == "prismatic" else "hinge"}" '
                f'axis="{_numbers(each.axis)}"/>',
            )
            for each in children
        ]
        tool = "" if children else self._tool(link)
        return f"<body {attributes}>\n{joint}\n" + "\n".join([*shapes, tool, *inner]) + "\n</body>"

    def _tool(self, link: str) -> str:
        """Cameras on a tool, and its jaws: one that stands and one that each gripper joint moves."""
        ahead, up = self._directions(link)
        beside = np.cross(ahead, up)
        parts = []
        for name in self._cameras.get(link, []):
            eye = -0.14 * ahead + 0.09 * up
            parts.append(_camera(name, eye, 0.08 * ahead, up, _FOVY_DEG["wrist"]))
        for joint in self._jaws.get(link, []):
            for side, moving in ((-1, ""), (1, f'<joint name="{joint}" type="slide" axis="{_numbers(beside)}"/>')):
                parts.append(
                    f'<body name="{jaw_name(joint)}_{side}" pos="{_numbers(0.012 * side * beside)}">{moving}'
                    f'<geom type="capsule" fromto="0 0 0 {_numbers(0.05 * ahead)}" size="0.007" '
                    f'rgba="0.12 0.30 0.32 1"/></body>'
                )
        return "\n".join(parts)

    def _directions(self, link: str) -> tuple[Array, Array]:
        """Ahead and upward at home, in a tool's frame: ahead is where the last link before it points."""
        at = self._home[self._kinematics.links.index(link)]
        before = link
        while np.linalg.norm(at[:3, 3] - self._home[self._kinematics.links.index(before)][:3, 3]) < _SMALLEST_M:
            before = next(joint.parent for joint in self._kinematics.joints if joint.child == before)
        ahead = at[:3, :3].T @ (at[:3, 3] - self._home[self._kinematics.links.index(before)][:3, 3])
        ahead /= np.linalg.norm(ahead)
        up = at[:3, :3].T @ np.array([0.0, 0.0, 1.0])
        if abs(up @ ahead) > 0.9:
            up = at[:3, :3].T @ np.array([1.0, 0.0, 0.0])
        up = up - (up @ ahead) * ahead
        return ahead, up / np.linalg.norm(up)


def _placed(cameras: Iterable[str], kinematics: Kinematics) -> tuple[dict[str, list[str]], list[str]]:
    """Cameras by tool, and those that stand beside the table."""
    on_tools: dict[str, list[str]] = {}
    riding, fixed = 0, []
    for name in cameras:
        if name.startswith(_WRIST):
            on_tools.setdefault(kinematics.tips[riding % len(kinematics.tips)], []).append(name)
            riding += 1
        else:
            fixed.append(name)
    return on_tools, fixed


def _chain(kinematics: Kinematics, link: str) -> set[str]:
    """Names of the joints between the base and a link."""
    above = {joint.child: joint for joint in kinematics.joints}
    found = set()
    while link in above:
        found.add(above[link].name)
        link = above[link].parent
    return found


def _fixed_camera(name: str, index: int, looks_at_m: Array, reach_m: float) -> str:
    turn = np.radians(35.0 + 70.0 * index)
    away = np.array([np.cos(turn), np.sin(turn), 0.55]) * (0.5 + 1.3 * reach_m)
    return _camera(name, looks_at_m + away, looks_at_m, np.array([0.0, 0.0, 1.0]), _FOVY_DEG["fixed"])


def _camera(name: str, eye_m: Array, looks_at_m: Array, up: Array, fovy_deg: float) -> str:
    back = eye_m - looks_at_m
    right = np.cross(up, back)
    axes = _numbers([*(right / np.linalg.norm(right)), *np.cross(back, right)])
    return f'<camera name="{name}" pos="{_numbers(eye_m)}" xyaxes="{axes}" fovy="{fovy_deg}"/>'


def _cube(name: str) -> str:
    half = CUBE_M / 2
    return (
        f'<body name="{name}" mocap="true">'
        f'<geom type="box" size="{half} {half} {half}" rgba="0.78 0.11 0.09 1"/>'
        f'<geom type="cylinder" fromto="0 0 {-half} 0 0 {-_POST_M}" size="0.006" rgba="0.3 0.3 0.3 1"/></body>'
    )


def _tube(end_m: Iterable[float], radius_m: float) -> str:
    return f'<geom type="capsule" fromto="0 0 0 {_numbers(end_m)}" size="{radius_m}" rgba="0.78 0.80 0.83 1"/>'


def _quaternion(rpy_rad: tuple[float, float, float]) -> Array:
    """(w, x, y, z) of fixed axes, roll then pitch then yaw."""
    (cr, cp, cy), (sr, sp, sy) = np.cos(np.array(rpy_rad) / 2), np.sin(np.array(rpy_rad) / 2)
    return np.array(
        [
            cr * cp * cy + sr * sp * sy,
            sr * cp * cy - cr * sp * sy,
            cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy,
        ]
    )


def _numbers(values: object) -> str:
    return " ".join(repr(float(value)) for value in np.asarray(values, dtype=np.float64).ravel())
