"""What services tell in one round: parameters of all nodes, controllers and hardware of every controller manager."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from rcl_interfaces.srv import GetParameters, ListParameters
from rclpy.node import Node

from learned_arm.ros.plain import parameter_value, plain
from learned_arm.ros.questions import Question, Questions

_CONTROLLERS = "controller_manager_msgs/srv/ListControllers"
_HARDWARE = "controller_manager_msgs/srv/ListHardwareComponents"
_NOT_INSTALLED = "controller_manager_msgs is not installed"


class Inquiry:
    """Asks everybody at once; a node is asked for the names of its parameters, then for their values.

    Args:
        node: Who asks; its own parameters are told without asking.
        questions: The clients.
        nodes: Names of all nodes.
        services: All services with their types.
    """

    def __init__(
        self, node: Node, questions: Questions, nodes: Sequence[str], services: Mapping[str, Sequence[str]]
    ) -> None:
        self._questions = questions
        self._open: dict[tuple[str, str], Question] = {}
        self._told: dict[str, dict[str, Any]] = {"parameters": {}, "controllers": {}, "hardware": {}}
        own = node.get_fully_qualified_name()
        asked = {own}
        used: set[str] = set()
        self._told["parameters"][own] = {"values": own_parameters(node)}
        for name in nodes:
            lists, gets = f"{name}/list_parameters", f"{name}/get_parameters"
            if name in asked:
                continue
            asked.add(name)
            if lists not in services:
                self._told["parameters"][name] = {"unreachable": "it offers no parameter services"}
                continue
            used |= {lists, gets}
            self._ask("parameters", name, ListParameters, lists, ListParameters.Request(), self._on_names)
        for section, kind, translate in (
            ("controllers", _CONTROLLERS, _controllers),
            ("hardware", _HARDWARE, _components),
        ):
            for service in [each for each, types in services.items() if kind in types]:
                used.add(service)
                self._ask_manager(section, service, kind.rsplit("/", 1)[1], translate)
        questions.keep(used)

    def look(self) -> bool:
        """Send what can be sent by now; whether everything was answered."""
        for question in tuple(self._open.values()):
            question.look()
        return not self._open

    def end(self) -> dict[str, Any]:
        """Stop asking; the sections, with the reason for what was not answered."""
        for (section, name), question in self._open.items():
            self._told[section][name] = {"unreachable": question.give_up()}
        self._open.clear()
        return {section: dict(sorted(told.items())) for section, told in self._told.items()}

    def _ask(
        self, section: str, name: str, kind: Any, service: str, request: Any, answered: Callable[[str, Any], None]
    ) -> None:
        self._open[section, name] = self._questions.ask(kind, service, request, partial(answered, name))

    def _on_names(self, name: str, response: Any) -> None:
        names = list(response.result.names)
        request = GetParameters.Request(names=names)
        service = f"{name}/get_parameters"
        self._ask("parameters", name, GetParameters, service, request, partial(self._on_values, names))

    def _on_values(self, names: list[str], name: str, response: Any) -> None:
        del self._open["parameters", name]
        # A parameter that was undeclared in between makes the answer empty.
        if len(response.values) != len(names):
            self._told["parameters"][name] = {"unreachable": "its parameters changed while they were asked for"}
            return
        values = {each: parameter_value(value) for each, value in zip(names, response.values, strict=True)}
        self._told["parameters"][name] = {"values": dict(sorted(values.items()))}

    def _ask_manager(self, section: str, service: str, kind: str, translate: Callable[[Any], dict[str, Any]]) -> None:
        manager = service.rsplit("/", 1)[0]
        try:
            found = getattr(importlib.import_module("controller_manager_msgs.srv"), kind)
        except ImportError:
            self._told[section][manager] = {"unreachable": _NOT_INSTALLED}
            return

        def answered(_name: str, response: Any) -> None:
            del self._open[section, manager]
            self._told[section][manager] = translate(response)

        self._ask(section, manager, found, service, found.Request(), answered)


def own_parameters(node: Node) -> dict[str, Any]:
    """The parameters of the node that asks."""
    found: dict[str, Any] = node.get_parameters_by_prefix("")
    return {name: plain(each.value) for name, each in sorted(found.items())}


def _controllers(response: Any) -> dict[str, Any]:
    return {"controllers": _by_name(response.controller)}


def _components(response: Any) -> dict[str, Any]:
    return _by_name(response.component)


def _by_name(entries: Sequence[Any]) -> dict[str, Any]:
    facts = {each.name: {key: told for key, told in plain(each).items() if key != "name"} for each in entries}
    return dict(sorted(facts.items()))
