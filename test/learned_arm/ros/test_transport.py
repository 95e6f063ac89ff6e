"""The transport profile: every child gets it, and what is wrong with it is said with what to do."""

from __future__ import annotations

import os
import shutil
import sys
import xml.etree.ElementTree as ElementTree
from collections import namedtuple

import pytest

from learned_arm.errors import LearnedArmError
from learned_arm.ros import transport

MEGABYTE = 1_000_000
Usage = namedtuple("Usage", "total used free")


def shared_memory(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """Pretend that this much of /dev/shm is free."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(64 * MEGABYTE, 0, free))


def test_the_shipped_profile_gives_every_participant_32_mib() -> None:
    root = ElementTree.parse(transport.profile_path()).getroot()
    texts = {element.tag.rsplit("}")[-1]: (element.text or "").strip() for element in root.iter()}
    assert texts["segment_size"] == str(32 * 1024**2)
    types = [(element.text or "").strip() for element in root.iter() if element.tag.rsplit("}")[-1] == "type"]
    assert {"SHM", "UDPv4"} <= set(types)


def test_a_child_gets_profile_prefix_and_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(transport.PROFILE_VARIABLE, raising=False)
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    variables = transport.environment(17)
    assert variables[transport.PROFILE_VARIABLE] == str(transport.profile_path())
    assert variables["ROS_DOMAIN_ID"] == "17" and variables["AMENT_PREFIX_PATH"] == sys.prefix
    assert {key: variables[key] for key in os.environ if key != "ROS_DOMAIN_ID"} == {
        key: value for key, value in os.environ.items() if key != "ROS_DOMAIN_ID"
    }


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(transport.PROFILE_VARIABLE, "/etc/mine.xml")
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/opt/ros/jazzy")
    monkeypatch.setenv("ROS_DOMAIN_ID", "5")
    variables = transport.environment()
    assert variables[transport.PROFILE_VARIABLE] == "/etc/mine.xml"
    assert variables["AMENT_PREFIX_PATH"] == "/opt/ros/jazzy" and variables["ROS_DOMAIN_ID"] == "5"


def test_a_missing_profile_is_a_problem_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    shared_memory(monkeypatch, 1000 * MEGABYTE)
    monkeypatch.delenv(transport.PROFILE_VARIABLE, raising=False)
    assert [f"set it to {transport.profile_path()}" in each for each in transport.problems()] == [True]
    monkeypatch.setenv(transport.PROFILE_VARIABLE, "/no/such.xml")
    assert ["names no file: got /no/such.xml" in each for each in transport.problems()] == [True]
    monkeypatch.setenv(transport.PROFILE_VARIABLE, str(transport.profile_path()))
    assert transport.problems() == []


def test_shared_memory_must_have_room_for_every_participant(monkeypatch: pytest.MonkeyPatch) -> None:
    shared_memory(monkeypatch, 100 * MEGABYTE)
    transport.require_room(2)
    with pytest.raises(LearnedArmError, match=r"/dev/shm has 100 MB free, 105 MB needed for 3 node\(s\); remount"):
        transport.require_room(3)
