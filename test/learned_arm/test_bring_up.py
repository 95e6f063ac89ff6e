"""An arm is brought up as its file says: the driver's launch file and arguments, and the controllers to switch."""

from __future__ import annotations

from pathlib import Path

import pytest

from learned_arm.bring_up import driver_launch, driver_of, how_to_install, to_switch
from learned_arm.driver import Switch
from learned_arm.errors import LearnedArmError
from learned_arm.robot import load_robot

ROBOTS = sorted(path.stem for path in (Path(__file__).parents[2] / "learned_arm/config/robots").glob("*.yaml"))
SWITCH = Switch("/controller_manager", (), ("forward", "states"), ("trajectory", "freedrive"))


def test_the_address_and_what_the_file_names_go_to_the_driver() -> None:
    launched = driver_launch(load_robot("ur5e"), "192.0.2.1", mock=False)
    assert (launched.package, launched.launch) == ("ur_robot_driver", "ur_control.launch.py")
    assert launched.arguments == {"ur_type": "ur5e", "launch_rviz": "false", "robot_ip": "192.0.2.1"}
    mock = driver_launch(load_robot("ur5e"), "", mock=True)
    assert mock.arguments == {
        "ur_type": "ur5e",
        "launch_rviz": "false",
        "use_mock_hardware": "true",
        "robot_ip": "0.0.0.0",
    }


def test_an_address_is_asked_for_where_the_file_knows_none() -> None:
    with pytest.raises(LearnedArmError, match="no address; allowed: robot_ip:=<robot_ip of ur_robot_driver>"):
        driver_launch(load_robot("ur5e"), "", mock=False)
    assert driver_launch(load_robot("fr3"), "", mock=False).arguments["robot_ip"] == "172.16.0.3"
    assert driver_launch(load_robot("fr3"), "192.0.2.1", mock=False).arguments["robot_ip"] == "192.0.2.1"


@pytest.mark.parametrize("name", ROBOTS)
def test_every_stand_in_starts_without_an_address(name: str) -> None:
    robot = load_robot(name)
    if robot.driver is None:
        return
    address = robot.driver.address
    # The stand-in of an xArm is another launch file, which takes none.
    assert not address or address in driver_launch(robot, "", mock=True).arguments or "fake" in str(robot.driver.mock)


def test_files_of_ours_that_a_driver_reads_are_there() -> None:
    for name, argument in (("fr3", "controllers_yaml"), ("vx300s", "mode_configs"), ("aloha", "mode_configs")):
        assert Path(driver_launch(load_robot(name), "", mock=False).arguments[argument]).is_file()


def test_another_launch_file_stands_in_for_the_hardware() -> None:
    assert driver_launch(load_robot("lite6"), "", mock=True).launch == "lite6_moveit_fake.launch.py"


def test_what_cannot_be_started_is_an_error() -> None:
    with pytest.raises(LearnedArmError, match="no driver named"):
        driver_launch(load_robot("ur5e_sim"), "", mock=True)
    with pytest.raises(LearnedArmError, match="takes no address"):
        driver_launch(load_robot("aloha"), "192.0.2.1", mock=False)


@pytest.mark.parametrize(
    ("name", "words"), [("ur5e", "sudo apt install ros-jazzy-"), ("so101", "build it from https://")]
)
def test_a_missing_package_says_how_to_get_it(name: str, words: str) -> None:
    assert words in how_to_install("a_package", driver_of(load_robot(name)).install)


@pytest.mark.parametrize(
    ("states", "activate", "deactivate"),
    [
        ({"forward": "inactive", "states": "active", "trajectory": "active"}, ("forward",), ("trajectory",)),
        ({"forward": "active", "states": "active", "trajectory": "inactive"}, (), ()),
        ({"forward": "inactive", "states": "inactive", "freedrive": "active"}, ("forward", "states"), ("freedrive",)),
    ],
)
def test_only_what_is_not_as_it_should_be_is_switched(
    states: dict[str, str], activate: tuple[str, ...], deactivate: tuple[str, ...]
) -> None:
    assert to_switch(SWITCH, states) == (activate, deactivate)


@pytest.mark.parametrize("state", [None, "unconfigured", "finalized"])
def test_what_cannot_be_activated_is_named_with_its_state(state: str | None) -> None:
    states = {"states": "active", **({} if state is None else {"forward": state})}
    with pytest.raises(LearnedArmError, match=f"forward: controller cannot be activated; got {state or 'not loaded'}"):
        to_switch(SWITCH, states)
