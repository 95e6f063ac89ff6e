"""The simulated world as MJCF: a UR5e from its DH parameters, a gripper, a table, two cameras, and a task's things.

World frame = `base_link`: z up, x away from the robot, the table's top at z = 0. Every link's frame is its
joint's frame (z is the axis), as in the URDF, so both come from the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo_tools.simulation import cue
from demo_tools.simulation.kinematics import BASE_MASS_KG, UR5E, Joint
from demo_tools.simulation.mj import Model, mujoco
from learned_arm.errors import LearnedArmError

GRIPPER_JOINT = "robotiq_85_left_knuckle_joint"
FINGERS = ("left_finger", "right_finger")
GRIPPER_CLOSED_RAD = 0.8
GRIPPER_OPEN_M = 0.085
FINGER_TRAVEL_M = GRIPPER_OPEN_M / 2
TCP_M = 0.145
"""Distance of the point between the finger pads from tool0, along the tool's z."""
CUBE_M = 0.04
BELT_M_S = 0.08
BELT_TOP_M = 0.004
"""A belt carries the cube along base_link's y: how fast, and how high above the table it lies."""
PEG_M = 0.016
PEG_TIP_M = 0.065
"""A square peg in the hand, and how far it reaches beyond the point between the pads, along the tool's z."""
SOCKET_TOP_M = 0.04
"""Height of the socket above the table."""
HOLE_M = PEG_M + 0.004
PHYSICS_STEP_NS = 2_000_000

_LAMP_PLACES_M = ((0.66, 0.06), (0.66, 0.21))
PAD_HALF_WIDTH_M = 0.011
_PAD_HALF_M = (0.005, PAD_HALF_WIDTH_M, 0.035)
_PALM_END_M = 0.09
PAD_TIP_M = _PALM_END_M + 2 * _PAD_HALF_M[2] - TCP_M
"""How far the finger pads reach beyond the point between them, along the tool's z."""
PEG_HELD_RAD = (GRIPPER_OPEN_M - PEG_M) / GRIPPER_OPEN_M * GRIPPER_CLOSED_RAD
"""Knuckle angle at which the pads lie on the peg."""
_SOCKET_WALL_M = 0.010
_LINK_RADIUS_M = {"upper_arm_link": 0.055, "forearm_link": 0.048}
# A stiff position servo with a first-order lag of kv / kp = 25 ms, as an industrial controller shows from
# outside.
_STIFFNESS = (20000.0, 20000.0, 10000.0, 3000.0, 3000.0, 2000.0)
_SERVO_LAG_S = 0.025
_ARMATURE = 0.1


@dataclass(frozen=True)
class SceneCamera:
    """A camera: where it is and where it looks, in the frame of its body, and its vertical field of view."""

    name: str
    body: str
    position_m: tuple[float, float, float]
    looks_at_m: tuple[float, float, float]
    up: tuple[float, float, float]
    fovy_deg: float

    @property
    def xyaxes(self) -> str:
        """Image right and image up in the body's frame, as MJCF wants them."""
        back = np.subtract(self.position_m, self.looks_at_m)
        right = np.cross(self.up, back)
        return _numbers([*(right / np.linalg.norm(right)), *np.cross(back, right)])


CAMERAS: dict[str, SceneCamera] = {
    camera.name: camera
    for camera in (
        SceneCamera("front", "world", (1.14, 0.133, 0.62), (0.46, 0.133, 0.15), (0, 0, 1), 45.0),
        SceneCamera("wrist", "wrist_3_link", (0.0, -0.075, 0.15), (0.0, -0.048, 0.25), (0, -1, 0), 75.0),
    )
}


def gripper_rad(finger_m: float) -> float:
    """Knuckle angle as ROS sees it (0 open .. 0.8 closed) for a finger's travel (0 .. 0.0425 m)."""
    return finger_m * (GRIPPER_CLOSED_RAD / FINGER_TRAVEL_M)


def finger_m(knuckle_rad: float) -> float:
    """Finger's travel for a knuckle angle."""
    return knuckle_rad * (FINGER_TRAVEL_M / GRIPPER_CLOSED_RAD)


def camera(name: str) -> SceneCamera:
    """A camera of the scene by name.

    Raises:
        LearnedArmError: The scene has no such camera.
    """
    if name not in CAMERAS:
        raise LearnedArmError("no such camera in the scene", where="simulation", got=name, allowed=list(CAMERAS))
    return CAMERAS[name]


def build_model(things: str = "cube") -> Model:
    """Compile the scene with the things of a task: `cube`, `belt`, `peg`, `pads`, or `none` for inverse kinematics."""
    return mujoco.MjModel.from_xml_string(scene_xml(things))


def scene_xml(things: str = "cube") -> str:
    """The scene as MJCF text."""
    actuators = "\n".join(
        f'<position name="{joint.name}" joint="{joint.name}" kp="{kp}" kv="{kp * _SERVO_LAG_S}" '
        f'forcerange="{-joint.effort_nm} {joint.effort_nm}"/>'
        for joint, kp in zip(UR5E, _STIFFNESS, strict=True)
    )
    left, right = FINGERS
    return f"""<mujoco model="ur5e_sim">
<compiler angle="radian" autolimits="true"/>
<size nuserdata="{_USER_DATA.get(things, 0)}"/>
<option timestep="{PHYSICS_STEP_NS / 1e9}" integrator="implicitfast"
 cone="elliptic" impratio="10" iterations="30"/>
<statistic extent="1" center="0.4 0.1 0.2"/>
<visual>
  <quality offsamples="0" shadowsize="0" numslices="16" numstacks="4" numquads="1"/>
  <headlight ambient="0.35 0.35 0.35" diffuse="0.35 0.35 0.35" specular="0 0 0"/>
  <map znear="0.01" zfar="20"/>
</visual>
<default>
  <geom solref="0.005 1" solimp="0.95 0.99 0.001" friction="1.0 0.02 0.001" condim="4"/>
  <default class="robot"><geom contype="0" conaffinity="1" group="1"/></default>
  <default class="visual"><geom contype="0" conaffinity="0" group="1"/></default>
</default>
<worldbody>
  <light directional="true" castshadow="false" pos="0 0 2" dir="-0.35 0.45 -0.85" diffuse="0.6 0.6 0.6"
  specular="0 0 0"/> <geom name="floor" class="visual" type="box" pos="0 0 -0.75" size="6 6 0.01" rgba="0.22
  0.25 0.28 1"/> <geom name="table" type="box" pos="0.35 0.1 -0.02" size="0.6 0.6 0.02" rgba="0.72 0.70 0.66
  1"/> {_cameras("world")} {_THINGS[things]()} <body name="base_link">
    <inertial pos="0 0 0.05" mass="{BASE_MASS_KG}" diaginertia="0.01 0.01 0.01"/>
    <geom class="visual" type="cylinder" fromto="0 0 0 0 0 0.1" size="0.075" rgba="0.35 0.37 0.4 1"/>
    <body name="base" quat="0 0 0 1">
      {_chain(0, _peg() if things == "peg" else "")}
    </body>
  </body>
</worldbody>
<tendon>
  <fixed name="gripper"><joint joint="{left}" coef="0.5"/><joint joint="{right}" coef="0.5"/></fixed>
</tendon>
{_CONTACTS.get(things, "")}
<equality><joint joint1="{left}" joint2="{right}" solref="0.005 1" solimp="0.95 0.99 0.001"/></equality>
<actuator>
{actuators}
<position name="{GRIPPER_JOINT}" tendon="gripper" kp="2500" kv="50" ctrlrange="0 {FINGER_TRAVEL_M}"
 forcerange="-60 60"/>
{_DRIVES.get(things, "")}
</actuator>
</mujoco>"""


def _chain(index: int, in_hand: str) -> str:
    """Body of a link with everything that hangs on it; its frame is the joint's frame."""
    joint = UR5E[index]
    if index == 0:
        place = 'pos="0 0 0"'
    else:
        before = UR5E[index - 1].to_next
        place = f'pos="{_numbers(before[:3, 3])}" quat="{_numbers(_about_x(UR5E[index - 1].alpha_rad))}"'
    inner = _chain(index + 1, in_hand) if index + 1 < len(UR5E) else _tool(in_hand)
    return f"""<body name="{joint.link}" {place} gravcomp="1">
<joint name="{joint.name}" axis="0 0 1" range="{-joint.position_rad} {joint.position_rad}"
 armature="{_ARMATURE}"/>
{_inertial(joint)}
{_shape(joint)}
{_cameras(joint.link)}
{inner}
</body>"""


def _inertial(joint: Joint) -> str:
    """Mass and centre of mass as published; inertia of a cylinder across its length, about every axis."""
    length_m = float(np.linalg.norm(joint.to_next[:3, 3]))
    inertia = joint.mass_kg * (3 * 0.06**2 + length_m**2) / 12
    place, moments = _numbers(joint.com_in_joint_m), _numbers([inertia] * 3)
    return f'<inertial pos="{place}" mass="{joint.mass_kg}" diaginertia="{moments}"/>'


def _shape(joint: Joint) -> str:
    """What a link looks like: motor housings as cylinders about the axes, tubes between them."""
    grey, blue, dark = "0.78 0.80 0.83 1", "0.25 0.48 0.70 1", "0.35 0.37 0.40 1"
    x, y, z = joint.to_next[:3, 3]

    def cylinder(
        start: tuple[float, ...], end: tuple[float, ...], radius_m: float, rgba: str, style: str = "robot"
    ) -> str:
        ends = _numbers([*start, *end])
        return f'<geom class="{style}" type="cylinder" fromto="{ends}" size="{radius_m}" rgba="{rgba}"/>'

    if joint.link == "shoulder_link":
        return cylinder((0, 0, 0.1), (0, 0, z + 0.06), 0.062, grey, "visual")
    if joint.link in _LINK_RADIUS_M:
        radius_m = _LINK_RADIUS_M[joint.link]
        # Upper arm and forearm run beside each other; how far aside shows in their centres of mass.
        aside_m = float(joint.com_in_joint_m[2])
        tube = cylinder((0, 0, aside_m), (x, y, aside_m), radius_m, grey)
        joints = cylinder((0, 0, aside_m - 0.06), (0, 0, aside_m + 0.06), radius_m + 0.008, blue)
        far = cylinder((x, y, 0.0), (x, y, aside_m + 0.06), radius_m, blue)
        return "\n".join([tube, joints, far])
    if joint.link == "wrist_3_link":
        return cylinder((0, 0, z - 0.05), (0, 0, z), 0.036, dark)
    housing = cylinder((0, 0, z - 0.055), (0, 0, z + 0.045), 0.042, grey)
    return housing + cylinder((0, 0, z - 0.075), (0, 0, z - 0.055), 0.043, blue)


def _tool(in_hand: str) -> str:
    """tool0 with the gripper: the fingers slide along the tool's x, the jaw opens GRIPPER_OPEN_M."""
    last = UR5E[-1].to_next
    fingers = "\n".join(
        f"""<body name="{name}" gravcomp="1"
 pos="{side * (FINGER_TRAVEL_M + _PAD_HALF_M[0])} 0 {_PALM_END_M}">
<joint name="{name}" type="slide" axis="{-side} 0 0" range="0 {FINGER_TRAVEL_M}" armature="0.05" damping="1"/>
<geom name="{name}_pad" class="robot" type="box" pos="0 0 {_PAD_HALF_M[2]}" size="{_numbers(_PAD_HALF_M)}"
 mass="0.05" friction="1.5 0.05 0.001" rgba="0.12 0.30 0.32 1"/>
</body>"""
        for name, side in zip(FINGERS, (1, -1), strict=True)
    )
    return f"""<body name="tool0" pos="{_numbers(last[:3, 3])}" gravcomp="1">
<inertial pos="0 0 0.05" mass="0.8" diaginertia="0.002 0.002 0.001"/>
<geom class="robot" type="cylinder" fromto="0 0 0 0 0 0.03" size="0.034" rgba="0.2 0.2 0.22 1"/>
<geom class="robot" type="box" pos="0 0 0.06" size="0.06 0.025 0.03" rgba="0.16 0.16 0.18 1"/>
<site name="tcp" pos="0 0 {TCP_M}" size="0.002" group="4"/>
<site name="tool0" size="0.002" group="4"/>
{fingers}
{in_hand}
</body>"""


def _cube(rests_at_m: float = 0.0) -> str:
    half = CUBE_M / 2
    return f"""<body name="cube" pos="0.49 0.133 {half + rests_at_m}"><freejoint name="cube"/>
<geom name="cube" type="box" size="{half} {half} {half}" mass="0.06" rgba="0.78 0.11 0.09 1"/></body>"""


def _pads() -> str:
    """Discs that nothing moves or touches, and two lamps between them and the front camera."""
    pads = "\n".join(
        f'<body name="{name}" mocap="true"><geom class="visual" type="cylinder" rgba="0.30 0.28 0.26 1" '
        f'size="0.04 {cue.PAD_THICK_M / 2}" pos="0 0 {-cue.PAD_THICK_M / 2}"/></body>'
        for name in cue.PADS
    )
    lamps = "\n".join(
        f'<geom name="{name}" class="visual" type="cylinder" size="0.035 0.01" pos="{x_m} {y_m} 0.01"/>'
        for name, (x_m, y_m) in zip(cue.LAMPS, _LAMP_PLACES_M, strict=True)
    )
    return pads + lamps


def _belt() -> str:
    """A cube on a belt; the belt is as long as it will ever need, and slides over the table without touching it."""
    half = BELT_TOP_M / 2
    return (
        _cube(BELT_TOP_M)
        + f"""<body name="belt" pos="0.49 0 {half}"><joint name="belt" type="slide" axis="0 1 0" damping="1"/>
<geom name="belt" type="box" size="0.12 0.9 {half}" mass="5" rgba="0.32 0.34 0.30 1"/></body>"""
    )


def _peg() -> str:
    """A peg fixed in the palm, as a tool is, between the pads."""
    top_m, tip_m = _PALM_END_M, TCP_M + PEG_TIP_M
    half = (PEG_M / 2, PEG_M / 2, (tip_m - top_m) / 2)
    return f"""<body name="peg" pos="0 0 {(top_m + tip_m) / 2}" gravcomp="1">
<geom name="peg" type="box" size="{_numbers(half)}" mass="0.05" friction="0.3 0.005 0.0001" rgba="0.85 0.80 0.55 1"/>
</body>"""


def _socket() -> str:
    """Four walls about a square hole, whose top is the body's origin; nothing moves it."""
    inner, outer = HOLE_M / 2, HOLE_M / 2 + _SOCKET_WALL_M
    across, along = (inner + outer) / 2, _SOCKET_WALL_M / 2
    walls = [(across, 0.0, along, outer), (-across, 0.0, along, outer), (0.0, across, inner, along)]
    walls.append((0.0, -across, inner, along))
    geoms = "\n".join(
        f'<geom name="socket_{index}" type="box" pos="{x} {y} {-SOCKET_TOP_M / 2}" '
        f'size="{half_x} {half_y} {SOCKET_TOP_M / 2}"/>'
        for index, (x, y, half_x, half_y) in enumerate(walls)
    )
    return f'<body name="socket" mocap="true">{geoms}</body>'


# What is fixed in the hand does not meet the hand's own parts unless told to.
_ON_PEG = "".join(
    f'<pair geom1="{finger}_pad" geom2="peg" solref="0.005 1" solimp="0.95 0.99 0.001"/>' for finger in FINGERS
)
_CONTACTS = {
    "belt": '<contact><exclude body1="belt" body2="world"/></contact>',
    "peg": f"<contact>{_ON_PEG}</contact>",
}
_DRIVES = {"belt": '<velocity name="belt" joint="belt" kv="5000"/>'}
_THINGS = {"cube": _cube, "belt": _belt, "peg": _socket, "pads": _pads, "none": str}
# Numbers that belong to the state and not to the physics: the cue, or the colour of a thing.
_USER_DATA = {"pads": cue.USER_DATA, "belt": 3, "peg": 3}


def _cameras(body: str) -> str:
    return "\n".join(
        f'<camera name="{each.name}" pos="{_numbers(each.position_m)}" xyaxes="{each.xyaxes}" fovy="{each.fovy_deg}"/>'
        for each in CAMERAS.values()
        if each.body == body
    )


def _about_x(angle_rad: float) -> NDArray[np.float64]:
    """Quaternion (w, x, y, z) of a turn about x."""
    return np.array([np.cos(angle_rad / 2), np.sin(angle_rad / 2), 0.0, 0.0])


def _numbers(values: object) -> str:
    return " ".join(repr(float(value)) for value in np.asarray(values).ravel())
