"""Cameras and what starts their drivers: which package, with which settings, publishing on which topic; YAML, checked.

Names of packages, launch files, arguments and topics are those of the drivers' Jazzy branches; no hardware was here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from learned_arm import checked
from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError

_SIDE, _RATE = checked.integer(16, 8192), checked.integer(1, 240)


@dataclass(frozen=True)
class Camera:
    """One camera, as its file says.

    Attributes:
        name: Its name in contracts, and the namespace of its topics.
        driver: Which of `DRIVERS`.
        device: A serial number, or a device file, as the driver tells cameras apart; empty: the only one.
        size: Height and width of its pictures, in pixels.
        rate_hz: Pictures a second.
        settings: Further arguments or parameters of its driver, which come last.
    """

    name: str
    driver: str
    device: str
    size: tuple[int, int]
    rate_hz: int
    settings: dict[str, Any]


@dataclass(frozen=True)
class Started:
    """What starts a camera: a launch file of its package, or a node.

    Attributes:
        package: The driver's package.
        launch: Its launch file; empty: a node is started.
        executable: That node.
        settings: Arguments of the launch file, as text, or parameters of the node.
        topic: Where its pictures come.
        renamed: Topics of the node with what they are called then.
        install: Where the driver comes from: an apt package, or its sources' repository.
    """

    package: str
    launch: str
    executable: str
    settings: dict[str, Any]
    topic: str
    renamed: dict[str, str]
    install: str

    @property
    def info_topic(self) -> str:
        """Its camera_info, beside the pictures."""
        return f"{self.topic.rsplit('/', 1)[0]}/camera_info"


def _realsense(camera: Camera) -> Started:
    height, width = camera.size
    settings = {
        "camera_namespace": camera.name,
        "camera_name": "camera",
        # Without the underscore, a launch argument of digits becomes a number.
        "serial_no": f"_{camera.device}" if camera.device else "''",
        "rgb_camera.color_profile": f"{width}x{height}x{camera.rate_hz}",
        "rgb_camera.color_format": "RGB8",
    }
    topic = f"/{camera.name}/camera/color/image_raw"
    return _launched("realsense2_camera", "rs_launch.py", settings, topic)


def _orbbec(camera: Camera) -> Started:
    height, width = camera.size
    settings = {
        "camera_name": camera.name,
        "serial_number": camera.device,
        "color_width": str(width),
        "color_height": str(height),
        "color_fps": str(camera.rate_hz),
    }
    install = "https://github.com/orbbec/OrbbecSDK_ROS2"
    topic = f"/{camera.name}/color/image_raw"
    return _launched("orbbec_camera", "gemini_330_series.launch.py", settings, topic, install)


def _depthai(camera: Camera) -> Started:
    # Sizes, rates and the device's number stand in its own parameter file, `params_file`.
    if camera.device:
        where = f"camera {camera.name}.device"
        raise LearnedArmError("depthai takes no device here", where=where, got=camera.device, allowed="params_file")
    return _launched("depthai_ros_driver", "camera.launch.py", {"name": camera.name}, f"/{camera.name}/rgb/image_raw")


def _usb_cam(camera: Camera) -> Started:
    height, width = camera.size
    settings = {
        "video_device": camera.device or "/dev/video0",
        "framerate": float(camera.rate_hz),
        "image_width": width,
        "image_height": height,
        # Its `mjpeg` would publish compressed pictures only.
        "pixel_format": "mjpeg2rgb",
        "frame_id": f"{camera.name}_optical_frame",
    }
    return _node("usb_cam", "usb_cam_node_exe", settings, camera)


def _v4l2(camera: Camera) -> Started:
    height, width = camera.size
    settings = {
        "video_device": camera.device or "/dev/video0",
        "image_size": [width, height],
        "time_per_frame": [1, camera.rate_hz],
        "pixel_format": "YUYV",
        "output_encoding": "rgb8",
        "camera_frame_id": f"{camera.name}_optical_frame",
    }
    return _node("v4l2_camera", "v4l2_camera_node", settings, camera)


DRIVERS: dict[str, Callable[[Camera], Started]] = {
    "realsense2_camera": _realsense,
    "usb_cam": _usb_cam,
    "v4l2_camera": _v4l2,
    "orbbec_camera": _orbbec,
    "depthai": _depthai,
}


def load_cameras(path: str | Path) -> tuple[Camera, ...]:
    """Read a file of cameras.

    Raises:
        LearnedArmError: It is missing, or any entry is wrong.
    """
    value, where = checked.load_yaml(path, "cameras")
    return parse_cameras(value, where)


def parse_cameras(value: Any, where: str) -> tuple[Camera, ...]:
    """Check a file's plain data whole.

    Raises:
        LearnedArmError: Unknown or missing key, no camera, or two on one device.
    """
    top = checked.Section(value, where)
    section = top.section("cameras")
    found = tuple(
        _camera(checked.name(key, section.where), each, f"{section.where}.{key}") for key, each in section.items()
    )
    top.done()
    if not found:
        raise LearnedArmError("no camera", where=section.where, allowed="name: {driver: ...}")
    checked.unlike([f"{each.driver} {each.device}" for each in found], "two cameras on one device", section.where)
    return found


def started(camera: Camera) -> Started:
    """What starts a camera.

    Raises:
        LearnedArmError: Its driver cannot be told which device it is.
    """
    found = DRIVERS[camera.driver](camera)
    # Launch arguments are texts.
    own = {key: _text(value) for key, value in camera.settings.items()} if found.launch else camera.settings
    return replace(found, settings={**found.settings, **own})


def require_topics(starts: Mapping[str, Started], contract: Contract) -> None:
    """Every camera of a contract is there and publishes where the contract listens.

    Args:
        starts: What starts each camera, by its name.
        contract: Names topics.

    Raises:
        LearnedArmError: A camera is missing, or publishes elsewhere.
    """
    for name, wanted in contract.cameras.items():
        where = f"contract {contract.task}: camera {name}"
        if name not in starts:
            raise LearnedArmError(
                "nothing starts it", where=where, got=sorted(starts), allowed=sorted(contract.cameras)
            )
        if starts[name].topic != wanted.topic:
            raise LearnedArmError(
                "its driver publishes elsewhere", where=where, got=starts[name].topic, allowed=wanted.topic
            )


def _camera(name: str, value: Any, where: str) -> Camera:
    section = checked.Section(value, where)
    found = Camera(
        name=name,
        driver=section.take("driver", checked.choice(*DRIVERS)),
        device=section.take("device", checked.text, default=""),
        size=section.take("size", _size, default=(480, 640)),
        rate_hz=section.take("rate_hz", _RATE, default=30),
        settings=section.take("settings", checked.free_mapping, default={}),
    )
    section.done()
    return found


def _size(value: Any, where: str) -> tuple[int, int]:
    sides = checked.list_of(_SIDE)(value, where)
    if len(sides) != 2:
        raise LearnedArmError("not a size", where=where, got=list(sides), allowed="[height, width] in pixels")
    return sides[0], sides[1]


def _launched(package: str, launch: str, settings: Mapping[str, str], topic: str, install: str = "") -> Started:
    return Started(package, launch, "", dict(settings), topic, {}, install or _apt(package))


def _node(package: str, executable: str, settings: Mapping[str, Any], camera: Camera) -> Started:
    topics = {each: f"/{camera.name}/{each}" for each in ("image_raw", "camera_info")}
    return Started(package, "", executable, dict(settings), topics["image_raw"], topics, _apt(package))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _apt(package: str) -> str:
    return f"ros-jazzy-{package.replace('_', '-')}"
