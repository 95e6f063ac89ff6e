"""Service calls that never wait: asked when the service is there, answered by a callback, given up by their owner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.client import Client
from rclpy.node import Node
from rclpy.task import Future

Answered = Callable[[Any], None]


class _WhileAsking(CallbackGroup):
    """Its client is in the executor's wait set only while a question is open."""

    def __init__(self) -> None:
        super().__init__()
        self.open = 0

    def can_execute(self, entity: object) -> bool:
        """Whether an answer may come."""
        return self.open > 0

    def beginning_execution(self, entity: object) -> bool:
        """As often as there are answers."""
        return True

    def ending_execution(self, entity: object) -> None:
        """Nothing was begun."""


class Question:
    """One call of one service.

    Attributes:
        future: Set once it was sent.
        is_done: Whether it was answered or given up.
    """

    def __init__(self, client: Client, group: _WhileAsking, request: Any, answered: Answered) -> None:
        self._client, self._group, self._request, self._answered = client, group, request, answered
        self.future: Future | None = None
        self.is_done = False
        group.open += 1

    def look(self) -> None:
        """Send it when the service is there by now."""
        if self.future is None and not self.is_done and self._client.service_is_ready():
            self.future = self._client.call_async(self._request)
            self.future.add_done_callback(self._on_answer)

    def give_up(self) -> str:
        """Forget it; why there is no answer."""
        self._end()
        if self.future is None:
            return f"no service {self._client.srv_name}"
        self._client.remove_pending_request(self.future)
        return f"no answer from {self._client.srv_name}"

    def _end(self) -> None:
        self._group.open -= not self.is_done
        self.is_done = True

    def _on_answer(self, future: Future) -> None:
        if not self.is_done:
            self._end()
            self._answered(future.result())


class Questions:
    """The clients of all services that were asked, kept from one question to the next."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._clients: dict[str, tuple[Client, _WhileAsking]] = {}

    def ask(self, kind: Any, service: str, request: Any, answered: Answered) -> Question:
        """Ask as soon as the service is there; `answered(response)` is called from the executor."""
        if service not in self._clients:
            group = _WhileAsking()
            self._clients[service] = self._node.create_client(kind, service, callback_group=group), group
        question = Question(*self._clients[service], request, answered)
        question.look()
        return question

    def keep(self, services: set[str]) -> None:
        """Destroy the clients of all other services: their nodes are gone."""
        for service in self._clients.keys() - services:
            client, _ = self._clients.pop(service)
            self._node.destroy_client(client)

    @property
    def count(self) -> int:
        """Clients that are kept."""
        return len(self._clients)
