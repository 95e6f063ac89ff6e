"""What the simulated arm publishes: messages are made once and refilled, since lock-step waits for them."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped, WrenchStamped
from numpy.typing import NDArray
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Bool, Float64MultiArray, String

from demo_tools.simulation.mj import Model
from demo_tools.simulation.things import CubePose
from demo_tools.simulation.wrists import Wrists
from learned_arm.contract import CameraSpec, Contract
from learned_arm.pictures import COMPRESSED, DEPTH
from learned_arm.robot import JointStateSource, Robot
from learned_arm.ros import messages, qos

_STATES_KEPT = 100
_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 95)


class CameraPublisher:
    """An image topic and its camera_info."""

    def __init__(self, node: Node, name: str, spec: CameraSpec, fovy_deg: float) -> None:
        height, width = spec.size
        frame = f"{name}_camera_optical_frame"
        self._compressed = spec.message == COMPRESSED
        self._image: Any = (
            CompressedImage(format="rgb8; jpeg compressed bgr8")
            if self._compressed
            else Image(height=height, width=width, encoding="16UC1", step=2 * width)
            if spec.message == DEPTH
            else Image(height=height, width=width, encoding="rgb8", step=3 * width)
        )
        self._image.header.frame_id = frame
        # Pixels are square.
        focal_px, x_px, y_px = height / 2 / np.tan(np.radians(fovy_deg) / 2), width / 2, height / 2
        self._info = CameraInfo(height=height, width=width, distortion_model="plumb_bob")
        self._info.header.frame_id = frame
        self._info.d = [0.0] * 5
        self._info.k = np.array([focal_px, 0, x_px, 0, focal_px, y_px, 0, 0, 1], dtype=np.float64)
        self._info.r = np.eye(3).ravel()
        self._info.p = np.array([focal_px, 0, x_px, 0, 0, focal_px, y_px, 0, 0, 0, 1, 0], dtype=np.float64)
        self._images = node.create_publisher(messages.image_type(spec.message), spec.topic, qos.images_out())
        self._infos = node.create_publisher(CameraInfo, spec.info_topic, qos.images_out())

    def publish(self, stamp: Time, pixels: NDArray[Any]) -> None:
        """Publish an image as `CameraRig.draw` gives it."""
        self._info.header.stamp = self._image.header.stamp = stamp
        self._image.data = array("B", _jpeg(pixels) if self._compressed else pixels.tobytes())
        self._infos.publish(self._info)
        self._images.publish(self._image)


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """An RGB picture as image_transport's compressed plugin writes it."""
    _, coded = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), _JPEG)
    return coded.tobytes()


def joints_by_topic(robot: Robot) -> list[tuple[JointStateSource, list[int]]]:
    """Which of the robot's joints each of its topics gives: those with its prefix, or one group after the other."""
    sources = robot.joint_states
    found = []
    for number, source in enumerate(sources):
        if source.prefix:
            places = [place for place, joint in enumerate(robot.joints) if joint.startswith(source.prefix)]
        elif len(sources) == 1:
            places = list(range(robot.dof))
        else:
            # The last one gives what is left.
            groups = robot.groups[number:] if source is sources[-1] else robot.groups[number : number + 1]
            places = [place for group in groups for place in range(robot.dof)[robot.slices[group.name]]]
        found.append((source, places))
    return found


class _Joints:
    """A topic with joint states.

    Joints are listed in the order of their names, as joint_state_broadcaster lists them in an order of its
    own: who takes them must match them by name.
    """

    def __init__(self, node: Node, source: JointStateSource, joints: Sequence[str], places: Sequence[int]) -> None:
        ordered = sorted(places, key=lambda place: joints[place])
        self._places = np.array(ordered)
        self._message = JointState(name=[joints[place].removeprefix(source.prefix) for place in ordered])
        self._out = node.create_publisher(JointState, source.topic, qos.small())

    def publish(self, stamp: Time, position_rad: NDArray[np.float64], velocity_rad_s: NDArray[np.float64]) -> None:
        """Publish measured joints, given in the robot's order."""
        self._message.header.stamp = stamp
        self._message.position = messages.doubles(position_rad[self._places])
        self._message.velocity = messages.doubles(velocity_rad_s[self._places])
        self._out.publish(self._message)


class ArmPublishers:
    """Every topic of the simulated arm."""

    def __init__(self, node: Node, contract: Contract, model: Model, description: str) -> None:
        self.cameras = {
            name: CameraPublisher(node, name, spec, float(model.camera(name).fovy[0]))
            for name, spec in contract.cameras.items()
        }
        self._joint_states = [
            _Joints(node, source, contract.robot.joints, places) for source, places in joints_by_topic(contract.robot)
        ]
        self._wrists = Wrists(contract)
        self._wrenches = [
            (WrenchStamped(), node.create_publisher(WrenchStamped, wrench.topic, qos.small()))
            for wrench in contract.wrenches.values()
        ]
        self._clock = node.create_publisher(Clock, "/clock", qos.small())
        self._success = node.create_publisher(Bool, contract.success.topic or "/task/success", qos.small())
        self._objects = node.create_publisher(PoseStamped, "/task/objects", qos.small())
        # Deep, because a stream of states is recorded without loss; latched, because a recorder may come
        # late.
        self._state = node.create_publisher(Float64MultiArray, "/sim/state", qos.latched(_STATES_KEPT))
        self._description = node.create_publisher(String, "/robot_description", qos.latched())
        self._description.publish(String(data=description))

    def joint_state(self, stamp: Time, position_rad: NDArray[np.float64], velocity_rad_s: NDArray[np.float64]) -> None:
        """Publish measured joints, given in the robot's order, and what wrists feel."""
        for (message, out), values in zip(self._wrenches, self._wrists.felt(position_rad).tolist(), strict=True):
            message.header.stamp = stamp
            force, torque = message.wrench.force, message.wrench.torque
            force.x, force.y, force.z, torque.x, torque.y, torque.z = values
            out.publish(message)
        for each in self._joint_states:
            each.publish(stamp, position_rad, velocity_rad_s)

    def clock(self, stamp: Time) -> None:
        """Publish the time."""
        self._clock.publish(Clock(clock=stamp))

    def task(self, stamp: Time, success: bool, cube: CubePose, state: Sequence[float] | NDArray[np.float64]) -> None:
        """Publish the judge's verdict of now, the cube's pose and the simulator's state."""
        pose = PoseStamped()
        pose.header.stamp, pose.header.frame_id = stamp, "base_link"
        position, orientation = pose.pose.position, pose.pose.orientation
        position.x, position.y, position.z = cube.position_m.tolist()
        orientation.w, orientation.x, orientation.y, orientation.z = cube.quaternion.tolist()
        self._success.publish(Bool(data=success))
        self._objects.publish(pose)
        self._state.publish(Float64MultiArray(data=messages.doubles(np.asarray(state))))
