"""Bringing an arm up: which launch file with which arguments, and which of its controllers are to be switched."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

from learned_arm.driver import Driver, Launched, Switch
from learned_arm.errors import LearnedArmError
from learned_arm.robot import Robot

_CONFIG = "{config}"
# States of a controller as the controller manager names them.
ACTIVE, INACTIVE = "active", "inactive"


def driver_of(robot: Robot) -> Driver:
    """The driver that the robot file names.

    Raises:
        LearnedArmError: It names none.
    """
    if robot.driver is None:
        raise LearnedArmError("no driver named", where=f"robot {robot.name}", allowed="a robot file with `driver`")
    return robot.driver


def driver_launch(robot: Robot, address: str, mock: bool) -> Launched:
    """The launch file that starts an arm's driver, or its stand-in without hardware, with its arguments.

    Args:
        robot: Whose file names them.
        address: The robot's address or port; empty: the one in the file.
        mock: Whether there is no hardware.

    Raises:
        LearnedArmError: There is no stand-in, the driver takes no address, or it needs one.
    """
    driver = driver_of(robot)
    if mock and driver.mock is None:
        raise LearnedArmError("nothing stands in for the hardware", where=f"robot {robot.name}", got="mock:=true")
    if address and not driver.address:
        raise LearnedArmError("the driver takes no address", where=f"robot {robot.name}", got=address)
    chosen = driver.mock if mock and driver.mock is not None else driver.real
    config = str(resources.files("learned_arm").joinpath("config"))
    arguments = {name: value.replace(_CONFIG, config) for name, value in chosen.arguments.items()}
    if address:
        arguments[driver.address] = address
    elif driver.address and not mock and driver.address not in arguments:
        wanted = f"robot_ip:=<{driver.address} of {chosen.package}>"
        raise LearnedArmError("no address", where=f"robot {robot.name}", allowed=wanted)
    return Launched(chosen.package, chosen.launch, arguments)


def how_to_install(package: str, install: str) -> str:
    """What to do about a driver's package that is not there; it comes from an apt package or a repository."""
    if "://" in install:
        return f"{package} is not installed: build it from {install}, then source its workspace"
    return f"{package} is not installed: sudo apt install {install}"


def to_switch(switch: Switch, states: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Controllers to activate and to deactivate, of those that are not as they should be.

    Args:
        switch: What the robot file asks for.
        states: Controller to state, as `list_controllers` gives them.

    Raises:
        LearnedArmError: One that is to be active is not loaded, or not in a state from which it can be.
    """
    for name in switch.activate:
        state = states.get(name, "not loaded")
        if state not in (ACTIVE, INACTIVE):
            raise LearnedArmError(
                "controller cannot be activated", where=name, got=state, allowed=f"{INACTIVE} or {ACTIVE}"
            )
    activate = tuple(name for name in switch.activate if states[name] == INACTIVE)
    return activate, tuple(name for name in switch.deactivate if states.get(name) == ACTIVE)
