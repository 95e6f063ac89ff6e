"""Parameters and Trigger services of another node, called without blocking the executor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rcl_interfaces.srv import SetParametersAtomically
from rclpy.client import Client
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.task import Future
from std_srvs.srv import Trigger

Answer = Callable[[bool, str], None]


class RemoteNode:
    """Another node, by its name.

    What a Trigger cannot carry is set first as parameters, all or none; `answer(accepted, message)` is called from
    the executor.
    """

    def __init__(self, node: Node, name: str) -> None:
        self._node, self.name = node, name
        self._parameters = node.create_client(SetParametersAtomically, f"{name}/set_parameters_atomically")
        self._clients: dict[str, Client] = {}

    def prepare(self, **services: type) -> None:
        """Create clients ahead of the first call, so that discovery is over by then."""
        for service, kind in services.items():
            self._clients.setdefault(service, self._node.create_client(kind, f"{self.name}/{service}"))

    @property
    def ready(self) -> bool:
        """Whether the node's parameters and every prepared service answer."""
        return all(client.service_is_ready() for client in (self._parameters, *self._clients.values()))

    def call(self, service: str, request: Any, answer: Answer, parameters: Mapping[str, Any] | None = None) -> None:
        """Set parameters, then call a prepared Trigger or SetBool service."""
        if not self.ready:
            answer(False, f"{self.name} is not there: start it, and check ROS_DOMAIN_ID")
            return

        def called(future: Future) -> None:
            result: Any = future.result()
            answer(bool(result.success), str(result.message))

        def call() -> None:
            self._clients[service].call_async(request).add_done_callback(called)

        if not parameters:
            call()
            return

        def named(future: Future) -> None:
            response: Any = future.result()
            result = response.result
            if result.successful:
                call()
            else:
                answer(False, f"{self.name} refused parameters: {result.reason}")

        changes = [Parameter(name, value=value).to_parameter_msg() for name, value in parameters.items()]
        self._parameters.call_async(SetParametersAtomically.Request(parameters=changes)).add_done_callback(named)

    def trigger(self, service: str, answer: Answer, parameters: Mapping[str, Any] | None = None) -> None:
        """Set parameters, then call a Trigger service."""
        self.prepare(**{service: Trigger})
        self.call(service, Trigger.Request(), answer, parameters)
