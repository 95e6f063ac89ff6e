"""Every arm has its page, and the page says what its file says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from learned_arm.robot import Robot, load_robot

ROOT = Path(__file__).resolve().parents[2]
PAGES = {page.stem: page.read_text() for page in sorted((ROOT / "docs/robots").glob("*.md")) if page.stem != "README"}
OVERVIEW = (ROOT / "docs/robots/README.md").read_text()
ROBOTS = {file.stem: load_robot(file) for file in sorted((ROOT / "learned_arm/config/robots").glob("*.yaml"))}
REAL = {name: robot for name, robot in ROBOTS.items() if robot.driver is not None}
SECTIONS = ["Install", "Connect", "Calibrate", "Bring it up", "Stop", "Traps"]


def page_of(name: str) -> str:
    """The page whose robot files include this one."""
    (row,) = (line for line in OVERVIEW.splitlines() if re.search(rf"^\|.*`{name}`", line))
    found = re.search(r"\((\w+)\.md\)", row)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_every_section(page: str) -> None:
    assert re.findall(r"^## (.+)$", PAGES[page], re.MULTILINE) == SECTIONS
    assert "README.md#ten-minutes" in PAGES[page]


@pytest.mark.parametrize(("name", "robot"), REAL.items(), ids=list(REAL))
def test_a_page_says_what_the_robot_file_says(name: str, robot: Robot) -> None:
    text = PAGES[page_of(name)]
    assert robot.driver is not None
    assert robot.driver.install in text
    launched = [line for line in text.splitlines() if re.search(rf"robot:={name}( |$)", line)]
    assert launched
    # An address is given where the driver takes one, and only there.
    real = [line for line in launched if "mock:=true" not in line and line.startswith("ros2 launch")]
    for line in real:
        assert ("robot_ip:=" in line) == bool(robot.driver.address), line
    assert f"`{name}`" in text


def test_every_page_is_of_an_arm() -> None:
    assert {page_of(name) for name in REAL} == set(PAGES)
