"""Camera files: checked whole, and each driver told what it calls its settings, with the topic where pictures come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from learned_arm.cameras import DRIVERS, load_cameras, parse_cameras, require_topics, started
from learned_arm.contract import Contract, load_contract
from learned_arm.errors import LearnedArmError

SHIPPED = sorted((Path(__file__).resolve().parents[2] / "learned_arm/config/cameras").glob("*.yaml"))


def cameras(**entries: dict[str, Any]) -> dict[str, Any]:
    return {"cameras": entries}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_file_starts_two_cameras_and_says_where_pictures_come(path: Path) -> None:
    found = load_cameras(path.stem)
    assert [each.name for each in found] == ["front", "wrist"]
    for each in found:
        assert started(each).topic in path.read_text() or started(each).renamed
        assert started(each).topic.startswith(f"/{each.name}/")


@pytest.mark.parametrize(
    ("driver", "device", "topic", "told"),
    [
        (
            "realsense2_camera",
            "831612073525",
            "/front/camera/color/image_raw",
            {"serial_no": "_831612073525", "rgb_camera.color_profile": "640x480x15", "camera_namespace": "front"},
        ),
        ("realsense2_camera", "", "/front/camera/color/image_raw", {"serial_no": "''"}),
        ("orbbec_camera", "CP1", "/front/color/image_raw", {"serial_number": "CP1", "color_fps": "15"}),
        ("depthai", "", "/front/rgb/image_raw", {"name": "front"}),
        ("usb_cam", "/dev/video4", "/front/image_raw", {"video_device": "/dev/video4", "framerate": 15.0}),
        ("v4l2_camera", "", "/front/image_raw", {"video_device": "/dev/video0", "time_per_frame": [1, 15]}),
    ],
)
def test_a_driver_is_told_in_its_own_words(driver: str, device: str, topic: str, told: dict[str, Any]) -> None:
    entry = {"driver": driver, "rate_hz": 15} | ({"device": device} if device else {})
    (camera,) = parse_cameras(cameras(front=entry), "here")
    found = started(camera)
    assert found.topic == topic
    assert found.info_topic == topic.replace("image_raw", "camera_info")
    assert told.items() <= found.settings.items()
    assert bool(found.launch) != bool(found.executable)
    # A launch file takes texts only.
    assert not found.launch or all(isinstance(value, str) for value in found.settings.values())


def test_its_own_settings_come_last() -> None:
    entry = {"driver": "realsense2_camera", "settings": {"enable_depth": False, "serial_no": "_1"}}
    (camera,) = parse_cameras(cameras(front=entry), "here")
    assert started(camera).settings["enable_depth"] == "false"
    assert started(camera).settings["serial_no"] == "_1"
    (camera,) = parse_cameras(cameras(front={"driver": "usb_cam", "settings": {"autofocus": False}}), "here")
    assert started(camera).settings["autofocus"] is False


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"cameras": {}}, "no camera"),
        (cameras(front={"driver": "a_camera"}), "driver"),
        (cameras(front={"driver": "usb_cam", "size": [480]}), "not a size"),
        (cameras(front={"driver": "usb_cam", "rate": 30}), "unknown key"),
        (cameras(front={"driver": "usb_cam"}, wrist={"driver": "usb_cam"}), "two cameras on one device"),
        (cameras(front={"driver": "usb_cam"}) | {"camera": 1}, "unknown key"),
    ],
)
def test_what_is_wrong_is_said(value: dict[str, Any], words: str) -> None:
    with pytest.raises(LearnedArmError, match=words):
        parse_cameras(value, "here")


def test_depthai_is_told_its_device_in_its_own_file() -> None:
    (camera,) = parse_cameras(cameras(front={"driver": "depthai", "device": "1"}), "here")
    with pytest.raises(LearnedArmError, match="params_file"):
        started(camera)


def test_every_driver_has_its_case() -> None:
    marks = test_a_driver_is_told_in_its_own_words.pytestmark  # type: ignore[attr-defined]
    assert {case[0] for case in marks[0].args[1]} == set(DRIVERS)


def contract_with(topic: str) -> Contract:
    value = load_contract("pick_cube").canonical()
    value["observation"]["cameras"] = {"front": {**value["observation"]["cameras"]["front"], "topic": topic}}
    return Contract.from_canonical(value)


def test_a_contract_listens_where_its_cameras_publish() -> None:
    starts = {each.name: started(each) for each in load_cameras("two_realsense")}
    require_topics(starts, contract_with("/front/camera/color/image_raw"))
    with pytest.raises(LearnedArmError, match="its driver publishes elsewhere"):
        require_topics(starts, contract_with("/front/image_raw"))
    with pytest.raises(LearnedArmError, match="nothing starts it"):
        require_topics({"wrist": starts["wrist"]}, contract_with("/front/camera/color/image_raw"))
