"""Topics that one look is enough for: the first message of a camera, joint names, what is latched."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, JointState
from std_msgs.msg import String

from learned_arm import cdr, pictures
from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_arm.robot_description import describe
from learned_arm.ros import qos
from learned_arm.ros.messages import image_type
from learned_arm.ros.plain import plain
from learned_arm.ros.polled import PolledSubscription

DESCRIPTION, TF_STATIC = "/robot_description", "/tf_static"
_MOST_LATCHED = 100
_DIGITS = 6
_INFO = ("width", "height", "distortion_model", "d", "k", "r", "p")
# A look takes one message and no part in anybody's flow control.
_ONE = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


class Look:
    """The first messages of a topic: one, or of a latched topic one a publisher."""

    def __init__(self, node: Node, kind: Any, topic: str, profile: QoSProfile, count: int) -> None:
        self.topic, self.messages = topic, list[bytes]()
        self._count = count
        self._subscription = PolledSubscription(node, kind, topic, profile)

    def look(self) -> bool:
        """Take what has come; whether that is all."""
        if len(self.messages) < self._count:
            self.messages += self._subscription.take()
        return len(self.messages) >= self._count

    def close(self) -> None:
        """End the subscription."""
        self._subscription.close()


def begin(node: Node, contract: Contract, graph: Mapping[str, Any]) -> tuple[dict[str, Look], dict[str, str]]:
    """Subscribe to what the contract names and what describes the robot, where somebody publishes it.

    Returns:
        Looks by topic, and by topic the reason why there is none.
    """
    wanted: dict[str, tuple[Any, QoSProfile]] = {DESCRIPTION: (String, qos.latched())}
    for camera in contract.cameras.values():
        wanted |= {camera.topic: (image_type(camera.message), _ONE), camera.info_topic: (CameraInfo, _ONE)}
    wanted |= {source.topic: (JointState, _ONE) for source in contract.robot.joint_states}
    looks, missing = {}, {}
    publishers = {topic: len(each["publishers"]) for topic, each in graph["topics"].items()}
    if publishers.get(TF_STATIC):
        try:
            kind = importlib.import_module("tf2_msgs.msg").TFMessage
            wanted[TF_STATIC] = kind, qos.latched(_MOST_LATCHED)
        except ImportError:
            missing[TF_STATIC] = "tf2_msgs is not installed"
    else:
        missing[TF_STATIC] = "no publisher"
    for topic, (kind, profile) in wanted.items():
        if not publishers.get(topic):
            missing[topic] = "no publisher"
        else:
            count = publishers[topic] if topic == TF_STATIC else 1
            looks[topic] = Look(node, kind, topic, profile, count)
    return looks, missing


def read(contract: Contract, seen: Mapping[str, list[bytes]], missing: Mapping[str, str]) -> dict[str, Any]:
    """The sections that the messages tell: `robot_description`, `tf_static`, `cameras` and `joint_names`."""

    def first(topic: str, translate: Any) -> Any:
        if not seen.get(topic):
            return {"unreachable": missing.get(topic, "no message")}
        try:
            return translate(seen[topic][0])
        except LearnedArmError as error:
            return {"unreachable": str(error)}

    return {
        "robot_description": first(DESCRIPTION, lambda raw: describe(cdr.Reader(raw).text())),
        "tf_static": _frames(seen.get(TF_STATIC, []), missing.get(TF_STATIC)),
        "cameras": {
            name: {
                "topic": camera.topic,
                "info": first(camera.info_topic, _camera_info),
                "image": first(camera.topic, partial(_image, camera.message)),
            }
            for name, camera in contract.cameras.items()
        },
        "joint_names": {each.topic: first(each.topic, _joint_names) for each in contract.robot.joint_states},
    }


def _camera_info(raw: bytes) -> dict[str, Any]:
    info = _message(raw, CameraInfo)
    return {"frame_id": info.header.frame_id, **{name: plain(getattr(info, name)) for name in _INFO}}


def _image(message: str, raw: bytes) -> dict[str, Any]:
    image = pictures.look(raw, message)
    return {"width": image.width, "height": image.height, "encoding": image.encoding, "frame_id": image.frame_id}


def _joint_names(raw: bytes) -> dict[str, Any]:
    order = list(cdr.read_joint_state(raw).names)
    return {"names": sorted(order), "order": order}


def _frames(messages: list[bytes], missing: str | None) -> dict[str, Any]:
    """Static transforms by parent and child, the newest of each, rounded; no publisher: there are none."""
    if missing is not None:
        return {} if missing == "no publisher" else {"unreachable": missing}
    if not messages:
        return {"unreachable": "no message"}
    kind = importlib.import_module("tf2_msgs.msg").TFMessage
    try:
        transforms = [each for raw in messages for each in _message(raw, kind).transforms]
    except LearnedArmError as error:
        return {"unreachable": str(error)}
    found = {f"{each.header.frame_id} -> {each.child_frame_id}": frame(each.transform) for each in transforms}
    return dict(sorted(found.items()))


def _message(raw: bytes, kind: Any) -> Any:
    try:
        return deserialize_message(raw, kind)
    except RuntimeError as error:
        raise LearnedArmError("message cannot be read", where=kind.__name__, got=str(error)) from error


def frame(transform: Any) -> dict[str, list[float]]:
    """A transform in steps of 1e-6; of the two quaternions of a rotation the one whose last part is positive."""
    at, turn = transform.translation, transform.rotation
    quaternion = [_rounded(each) for each in (turn.x, turn.y, turn.z, turn.w)]
    if quaternion[::-1] < [0.0] * 4:
        quaternion = [0.0 - each for each in quaternion]
    return {
        "translation_m": plain([_rounded(each) for each in (at.x, at.y, at.z)]),
        "quaternion": plain(quaternion),
    }


def _rounded(value: float) -> float:
    # Minus zero is zero.
    return round(value, _DIGITS) + 0.0 if math.isfinite(value) else value
