"""A node with the parameters of a controller, a latched description and a camera: what a capture asks for.

python parameter_node.py NAME [SECTION...]    # sections: description, camera, joints
"""

from __future__ import annotations

import sys

import rclpy
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import String

from learned_arm.ros import qos

URDF = (
    '<robot name="r"><link name="a"/><link name="b"/><joint name="j" type="revolute"><parent link="a"/>'
    '<child link="b"/>'
    '<axis xyz="0 0 1"/><limit lower="-1" upper="1" velocity="2" effort="3"/></joint></robot>'
)


def main() -> None:
    rclpy.init()
    name, *sections = sys.argv[1:]
    node = Node(name)
    for key, value in {"gains.p": 100.0, "joints": ["a", "b"], "not_finite": float("nan"), "raw": [b"\1"]}.items():
        node.declare_parameter(key, value)
    if "description" in sections:
        node.create_publisher(String, "/robot_description", qos.latched()).publish(String(data=URDF))
    if "camera" in sections:
        images = node.create_publisher(Image, "/front/image_raw", qos.images_out())
        infos = node.create_publisher(CameraInfo, "/front/camera_info", qos.images_out())
        image = Image(height=48, width=64, encoding="rgb8", step=192, data=bytes(48 * 192))
        image.header.frame_id = "front_optical"
        info = CameraInfo(height=48, width=64, distortion_model="plumb_bob", d=[0.1])

        def show() -> None:
            images.publish(image)
            infos.publish(info)

        node.create_timer(0.03, show)
    if "joints" in sections:
        joints = node.create_publisher(JointState, "/joint_states", qos.small())
        state = JointState(name=["b", "a"], position=[0.0, 0.0])
        node.create_timer(0.002, lambda: joints.publish(state))
    rclpy.spin(node)


if __name__ == "__main__":
    main()
