"""A robot with cameras that can be wrong in many ways: goes at once where it was commanded to, and says so."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Float64MultiArray, String

from benchmarks.bring_up.descriptions import urdf
from learned_arm.contract import load_contract
from learned_arm.ros import messages, qos
from learned_arm.ros.node import parameter, run

# What it logs when all that it offers is there.
UP = "up"
_AHEAD_NS = 2_000_000_000
_STALL_S = 1.3
_BEST_EFFORT = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)


class FakeRobot(Node):
    """Parameters `contract` and `faults`, which are named with commas between."""

    def __init__(self) -> None:
        super().__init__("fake_robot")
        contract = load_contract(str(parameter(self, "contract", "pick_cube", "task")))
        self._faults = set(str(parameter(self, "faults", "", "what is wrong")).split(","))
        self._robot, self._told, self._shown = contract.robot, 0, 0
        self._start = np.array(self._robot.home_rad)
        if "outside" in self._faults:
            self._start[0] = self._robot.limit("position_rad")[0, 1] + 0.1
        self._position = self._start.copy()
        if "deaf" not in self._faults:
            for controller in self._robot.controllers:
                take = partial(self._on_command, np.array(controller.places))
                self.create_subscription(Float64MultiArray, controller.endpoint, take, qos.small())
        if "no_joints" not in self._faults:
            self._joints: Any = self._publisher()
            rate_hz = self._robot.control_rate_hz * (0.5 if "half_rate" in self._faults else 1.0)
            self.create_timer(1 / rate_hz, self._tell_joints)
        description = self.create_publisher(String, "/robot_description", qos.latched())
        narrow = self._robot.joints[0] if "narrow" in self._faults else ""
        bent = self._robot.joints[2] if "calibrated" in self._faults else ""
        without = self._robot.joints[1] if "other_robot" in self._faults else ""
        description.publish(String(data=urdf(contract, narrow=narrow, without=without, bent=bent)))
        self._cameras = {}
        for name, camera in contract.cameras.items():
            if "camera_dead" in self._faults and name == "front":
                continue
            out = self.create_publisher(Image, camera.topic, qos.images_out())
            info = self.create_publisher(CameraInfo, camera.info_topic, qos.small())
            rate_hz = contract.rate_hz * (0.5 if "camera_half_rate" in self._faults else 1.0)
            self.create_timer(1 / rate_hz, partial(self._tell_camera, name, out))
            self._cameras[name] = info
        if "intruder" in self._faults:
            self.create_publisher(Float64MultiArray, self._robot.controllers[0].endpoint, qos.small())
        self.get_logger().info(UP)

    def _publisher(self) -> Any:
        topic = self._robot.joint_states[0].topic
        if "wrong_type" in self._faults:
            return self.create_publisher(String, topic, qos.small())
        return self.create_publisher(JointState, topic, _BEST_EFFORT if "best_effort" in self._faults else qos.small())

    def _on_command(self, places: Any, message: Float64MultiArray) -> None:
        self._position[places] = message.data

    def _tell_joints(self) -> None:
        faults, names, position = self._faults, list(self._robot.joints), self._position.copy()
        stall = round(_STALL_S * self._robot.control_rate_hz)
        self._told += 1
        if "wrong_type" in faults:
            self._joints.publish(String())
            return
        if "gaps" in faults and self._told % (2 * stall) > stall:
            return
        if "reversed" in faults:
            position[2] = 2 * self._start[2] - position[2]
        if "swapped_joints" in faults:
            moved = position - self._start
            position[[3, 4]] = self._start[[3, 4]] + moved[[4, 3]]
        if "wrong_name" in faults:
            names[1] = f"{names[1]}_0"
        elif "joint_twice" in faults:
            names[1] = names[0]
        if "not_finite" in faults:
            position[5] = np.nan
        now_ns = self.get_clock().now().nanoseconds
        if "ahead" in faults:
            now_ns += _AHEAD_NS
        if "stamp_stands" in faults:
            now_ns = 1_000_000_000
        self._joints.publish(messages.joint_state(now_ns, names, position))

    def _tell_camera(self, name: str, out: Any) -> None:
        self._shown += 1
        shade = 90 if "camera_frozen" in self._faults else 60 + self._shown % 100
        if "dark" in self._faults:
            shade = 1
        message = messages.rgb_image(self.get_clock().now().nanoseconds, np.full((96, 96, 3), shade, np.uint8))
        others = {"front": "wrist", "wrist": "front"}
        message.header.frame_id = f"{others[name] if 'cameras_swapped' in self._faults else name}_optical_frame"
        if "encoding" in self._faults:
            message.encoding = "bayer_rggb8"
        out.publish(message)
        self._cameras[name].publish(CameraInfo())


if __name__ == "__main__":
    sys.exit(run(FakeRobot))
