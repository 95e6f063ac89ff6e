"""A snapshot of a robot with controllers, cameras and MoveIt, as `Capture` makes it, for the tests of the diff."""

from __future__ import annotations

import json
from typing import Any

from learned_arm.canonical import canonical_json
from learned_arm.contract import load_contract
from learned_arm.robot_description import describe

URDF = """<?xml version="1.0"?>
<robot name="two">
  <link name="base"/>
  <link name="upper"><inertial><mass value="2.0"/></inertial>
    <visual><geometry><mesh filename="package://two/upper.dae"/></geometry></visual>
    <collision><geometry><box size="0.1 0.1 0.4"/></geometry></collision></link>
  <joint name="shoulder" type="revolute"><parent link="base"/><child link="upper"/>
    <origin xyz="0 0 0.1" rpy="0 0 0"/><axis xyz="0 0 1"/>
    <limit lower="-3.14" upper="3.14" velocity="2.0" effort="50"/></joint>
  <ros2_control name="two" type="system">
    <hardware><plugin>two_driver/TwoHardware</plugin><param name="robot_ip">192.0.2.1</param></hardware>
    <joint name="shoulder"><command_interface name="position"/><state_interface name="position"/></joint>
  </ros2_control>
</robot>"""


def qos(reliability: str = "reliable") -> dict[str, Any]:
    return {"reliability": reliability, "durability": "volatile", "depth": 10}


def endpoint(node: str, kind: str, reliability: str = "reliable") -> dict[str, Any]:
    return {"node": node, "type": kind, "type_hash": "RIHS01_1", "qos": qos(reliability)}


def snapshot() -> dict[str, Any]:
    """A fresh one, as it would be read from a file."""
    contract = load_contract("pick_cube")
    nodes = ["/arm_node", "/camera_front", "/controller_manager", "/forward_position_controller", "/move_group"]
    nodes += ["/recorder_node", "/robotiq_gripper_controller", "/teleop_node", "/wrist_eye"]
    image = "sensor_msgs/msg/Image"
    content = {
        "version": 2,
        "stamp_ns": 1,
        "contract": contract.hash,
        "contract_content": contract.canonical(),
        "software": {
            "python": "3.12.3",
            "python_packages": {"onnxruntime": "1.22.0", "numpy": "2.2.0"},
            "ament_packages": {"rclpy": "7.1.5", "ros2_controllers": "4.25.0", "rviz2": "14.1.0"},
            "controller_libraries": {"lib/libforward_command_controller.so": "a" * 64},
        },
        "git": {"commit": "c" * 40, "dirty_sha256": None},
        "workspaces": {"ur_driver": {"commit": "d" * 40, "dirty_sha256": None}},
        "middleware": {
            "settings": {"RMW_IMPLEMENTATION": "rmw_fastrtps_cpp"},
            "profiles": {"FASTRTPS_DEFAULT_PROFILES_FILE": {"file": "shm.xml", "sha256": "b" * 64}},
        },
        "system": {"kernel": "6.8.0-rt", "cpu_governor": "performance", "realtime_kernel": True, "container": None},
        "graph": {
            "rmw": "rmw_fastrtps_cpp",
            "nodes": nodes,
            "topics": {
                "/front/image_raw": {"types": [image], "publishers": [endpoint("/camera_front", image)]},
                "/wrist/image_raw": {"types": [image], "publishers": [endpoint("/wrist_eye", image)]},
                "/joint_states": {
                    "types": ["sensor_msgs/msg/JointState"],
                    "publishers": [endpoint("/controller_manager", "sensor_msgs/msg/JointState")],
                    "subscriptions": [endpoint("/arm_node", "sensor_msgs/msg/JointState")],
                },
            },
        },
        "parameters": {
            "/arm_node": {"values": {"contract": "pick_cube", "source": "teleop", "source_timeout_s": 1.0}},
            "/camera_front": {"values": {"exposure": 120, "image_width": 640, "log_level": "info"}},
            "/controller_manager": {"values": {"update_rate": 250}},
            "/forward_position_controller": {"values": {"joints": ["a", "b"], "gains.a.p": 100.0, "publish_rate": 50}},
            "/move_group": {
                "values": {
                    "robot_description_kinematics.arm.kinematics_solver": "kdl/KDLKinematicsPlugin",
                    "robot_description_planning.joint_limits.a.max_velocity": 2.0,
                    "planning_pipelines": ["ompl"],
                }
            },
            "/recorder_node": {"values": {"operator": "anna"}},
            "/robotiq_gripper_controller": {"values": {"max_effort": 40.0}},
            "/teleop_node": {"values": {"linear_scale": 0.3, "deadzone": 0.05}},
            "/wrist_eye": {"values": {"white_balance": 4600, "gain": 3}},
        },
        "controllers": {
            "/controller_manager": {
                "controllers": {
                    "forward_position_controller": {
                        "type": "forward_command_controller/ForwardCommandController",
                        "state": "active",
                        "claimed_interfaces": ["a/position", "b/position"],
                    }
                }
            }
        },
        "hardware": {"/controller_manager": {"two": {"plugin": "two_driver/TwoHardware", "state": "active"}}},
        "robot_description": describe(URDF),
        "tf_static": {"base_link -> front": {"translation_m": [0.5, 0.0, 0.8], "quaternion": [0.0, 0.0, 0.0, 1.0]}},
        "cameras": {
            name: {
                "topic": f"/{name}/image_raw",
                "info": {"width": 640, "height": 480, "frame_id": name, "k": [600.0, 0.0, 320.0], "d": [0.1, 0.0]},
                "image": {"width": 640, "height": 480, "encoding": "rgb8", "frame_id": name},
            }
            for name in ("front", "wrist")
        },
        "joint_names": {"/joint_states": {"names": ["a", "b"], "order": ["b", "a"]}},
    }
    return json.loads(canonical_json(content))
