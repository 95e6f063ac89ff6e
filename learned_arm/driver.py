"""How an arm's own software is started, and which of its controllers we need: as the robot file says it, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from learned_arm import checked

_MANAGER = "/controller_manager"


@dataclass(frozen=True)
class Launched:
    """A launch file of another package.

    Attributes:
        package: Its package.
        launch: The launch file's name.
        arguments: Launch arguments, as text.
    """

    package: str
    launch: str
    arguments: dict[str, str]

    def canonical(self) -> dict[str, Any]:
        """As plain data."""
        return {"package": self.package, "launch": self.launch, "arguments": dict(self.arguments)}


@dataclass(frozen=True)
class Switch:
    """What ros2_control has to run before the door can command.

    Attributes:
        manager: The controller manager's node.
        load: Controllers that the driver's launch file does not load.
        activate: Controllers that take our commands, and broadcasters that we listen to.
        deactivate: Controllers of the same joints that would be in the way.
    """

    manager: str
    load: tuple[str, ...]
    activate: tuple[str, ...]
    deactivate: tuple[str, ...]

    def canonical(self) -> dict[str, Any]:
        """As plain data."""
        lists = {"load": self.load, "activate": self.activate, "deactivate": self.deactivate}
        return {"manager": self.manager, **{key: list(value) for key, value in lists.items() if value}}


@dataclass(frozen=True)
class Driver:
    """The arm's own software.

    Attributes:
        real: What starts it.
        mock: What starts its stand-in without hardware; None where there is none.
        address: Launch argument of the robot's address or port; empty: it has none.
        install: Where it comes from: an apt package, or the sources' repository.
        controllers: What to switch; None where ros2_control is not used.
    """

    real: Launched
    mock: Launched | None
    address: str
    install: str
    controllers: Switch | None

    def canonical(self) -> dict[str, Any]:
        """As plain data, in the form of the YAML file."""
        found: dict[str, Any] = {**self.real.canonical(), "install": self.install}
        if self.mock is not None:
            found["mock"] = self.mock.canonical()
        if self.address:
            found["address"] = self.address
        if self.controllers is not None:
            found["controllers"] = self.controllers.canonical()
        return found


@dataclass(frozen=True)
class MoveIt:
    """What plans for this arm.

    Attributes:
        package: Its MoveIt configuration.
        launch: The launch file of that; empty: none that fits.
        group: Planning group of the arm.
        gripper_group: Planning group of the gripper; empty: none.
        starts_driver: Whether that launch file starts a driver of its own, so that ours must not run beside it.
    """

    package: str
    launch: str
    group: str
    gripper_group: str
    starts_driver: bool

    def canonical(self) -> dict[str, Any]:
        """As plain data, in the form of the YAML file."""
        texts = {"launch": self.launch, "gripper_group": self.gripper_group}
        return {
            "package": self.package,
            "group": self.group,
            "starts_driver": self.starts_driver,
            **{key: value for key, value in texts.items() if value},
        }


def parse_driver(value: Any, where: str) -> Driver:
    """Check a driver's plain data whole.

    Raises:
        LearnedArmError: Unknown or missing key, or a controller both activated and deactivated.
    """
    section = checked.Section(value, where)
    real = _launched(section)
    found = Driver(
        real=real,
        mock=section.take("mock", lambda given, at: _mock(given, at, real), default=None),
        address=section.take("address", checked.text, default=""),
        install=section.take("install", checked.text),
        controllers=section.take("controllers", _switch, default=None),
    )
    section.done()
    return found


def parse_moveit(value: Any, where: str) -> MoveIt:
    """Check MoveIt's plain data whole.

    Raises:
        LearnedArmError: Unknown or missing key.
    """
    section = checked.Section(value, where)
    found = MoveIt(
        package=section.take("package", checked.text),
        launch=section.take("launch", checked.text, default=""),
        group=section.take("group", checked.text),
        gripper_group=section.take("gripper_group", checked.text, default=""),
        starts_driver=section.take("starts_driver", checked.boolean, default=False),
    )
    section.done()
    return found


def _launched(section: checked.Section, otherwise: Launched | None = None) -> Launched:
    known = {} if otherwise is None else {"package": otherwise.package, "launch": otherwise.launch}
    return Launched(
        package=section.take("package", checked.text, **_default(known, "package")),
        launch=section.take("launch", checked.text, **_default(known, "launch")),
        arguments=section.take("arguments", _texts, default={}),
    )


def _default(known: Mapping[str, str], key: str) -> dict[str, str]:
    return {"default": known[key]} if key in known else {}


def _mock(value: Any, where: str, real: Launched) -> Launched:
    """Arguments of the real driver stand where those of its stand-in say nothing else, in the same launch file."""
    section = checked.Section(value, where)
    found = _launched(section, real)
    section.done()
    same = (found.package, found.launch) == (real.package, real.launch)
    return Launched(found.package, found.launch, {**(real.arguments if same else {}), **found.arguments})


def _switch(value: Any, where: str) -> Switch:
    section = checked.Section(value, where)
    names = checked.list_of(checked.text, shortest=0)
    found = Switch(
        manager=section.take("manager", checked.topic, default=_MANAGER),
        load=section.take("load", names, default=()),
        activate=section.take("activate", names, default=()),
        deactivate=section.take("deactivate", names, default=()),
    )
    section.done()
    checked.unlike([*found.activate, *found.deactivate], "controller named twice", where)
    return found


def _texts(value: Any, where: str) -> dict[str, str]:
    """Names to texts: launch arguments are texts, `"true"` and not true."""
    return {name: checked.text(each, f"{where}.{name}") for name, each in checked.free_mapping(value, where).items()}
