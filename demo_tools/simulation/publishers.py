"""What the simulated arm publishes: messages are made once and refilled, since lock-step waits for them."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Bool, Float64MultiArray, String

from demo_tools.simulation.scene import camera
from demo_tools.simulation.things import CubePose
from demo_tools.simulation.urdf import robot_description
from learned_arm.contract import CameraSpec, Contract
from learned_arm.ros import messages, qos

_STATES_KEPT = 100


class CameraPublisher:
    """An image topic and its camera_info."""

    def __init__(self, node: Node, name: str, spec: CameraSpec) -> None:
        height, width = spec.size
        frame = f"{name}_camera_optical_frame"
        self._image = Image(height=height, width=width, encoding="rgb8", step=3 * width)
        self._image.header.frame_id = frame
        focal_px, x_px, y_px = camera(name).focal_length_px(height), width / 2, height / 2
        self._info = CameraInfo(height=height, width=width, distortion_model="plumb_bob")
        self._info.header.frame_id = frame
        self._info.d = [0.0] * 5
        self._info.k = np.array([focal_px, 0, x_px, 0, focal_px, y_px, 0, 0, 1], dtype=np.float64)
        self._info.r = np.eye(3).ravel()
        self._info.p = np.array([focal_px, 0, x_px, 0, 0, focal_px, y_px, 0, 0, 0, 1, 0], dtype=np.float64)
        self._images = node.create_publisher(Image, spec.topic, qos.images_out())
        self._infos = node.create_publisher(CameraInfo, spec.info_topic, qos.images_out())

    def publish(self, stamp: Time, pixels: NDArray[np.uint8]) -> None:
        """Publish an image, uint8 RGB of shape (height, width, 3)."""
        self._info.header.stamp = self._image.header.stamp = stamp
        self._image.data = array("B", pixels.tobytes())
        self._infos.publish(self._info)
        self._images.publish(self._image)


class ArmPublishers:
    """Every topic of the simulated arm.

    Joints are listed in the order of their names, as joint_state_broadcaster lists them in an order of its
    own: who takes them must match them by name.
    """

    def __init__(self, node: Node, contract: Contract) -> None:
        self.cameras = {name: CameraPublisher(node, name, spec) for name, spec in contract.cameras.items()}
        joints = contract.robot.joints
        self._order = np.argsort(np.array(joints))
        self._joint_state = JointState(name=[joints[index] for index in self._order])
        self._joint_states = node.create_publisher(JointState, contract.robot.joint_states[0].topic, qos.small())
        self._clock = node.create_publisher(Clock, "/clock", qos.small())
        self._success = node.create_publisher(Bool, contract.success.topic or "/task/success", qos.small())
        self._objects = node.create_publisher(PoseStamped, "/task/objects", qos.small())
        # Deep, because a stream of states is recorded without loss; latched, because a recorder may come
        # late.
        self._state = node.create_publisher(Float64MultiArray, "/sim/state", qos.latched(_STATES_KEPT))
        self._description = node.create_publisher(String, "/robot_description", qos.latched())
        self._description.publish(String(data=robot_description()))

    def joint_state(self, stamp: Time, position_rad: NDArray[np.float64], velocity_rad_s: NDArray[np.float64]) -> None:
        """Publish measured joints, given in the robot's order."""
        self._joint_state.header.stamp = stamp
        self._joint_state.position = messages.doubles(position_rad[self._order])
        self._joint_state.velocity = messages.doubles(velocity_rad_s[self._order])
        self._joint_states.publish(self._joint_state)

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
