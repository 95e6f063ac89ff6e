"""recorder_keys: the recorder at the keys of a terminal, one key a request."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from std_srvs.srv import Trigger

from learned_arm import checked
from learned_arm.ros import messages, qos
from learned_arm.ros.node import parameter, run
from learned_arm.ros.remote import RemoteNode
from learned_arm.ros.terminal import Terminal

KEYS = {
    "s": "start",
    "y": "success",
    "n": "failure",
    "d": "discard",
    "r": "ready",
    "k": "keep",
    "+": "relabel_success",
    "-": "relabel_failure",
    "x": "take_out",
}
QUIT = "q"
_LOOK_S = 0.05


class KeysNode(Node):
    """Reads keys on a thread of its own; requests and the status are the executor's.

    Attributes:
        finished: Whether `q` was pressed, or the input has ended and every answer has come.
    """

    def __init__(self) -> None:
        super().__init__("recorder_keys")
        name = parameter(self, "recorder", "/recorder_node", "Name of the recorder.", read_only=True)
        self._recorder = RemoteNode(self, checked.topic(name, "parameter recorder"))
        self._recorder.prepare(**dict.fromkeys(KEYS.values(), Trigger))
        self._held: list[str] = []
        self._answers = 0
        self._ends = self.finished = False
        self._terminal = Terminal(QUIT)
        self.create_subscription(DiagnosticStatus, f"{name}/status", self._on_status, qos.small())
        self.create_timer(_LOOK_S, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))
        print("  ".join(f"{key} {action}" for key, action in KEYS.items()), f" {QUIT} quit", flush=True)

    def close(self) -> None:
        """Give the terminal back as it was."""
        self._terminal.close()

    def _look(self) -> None:
        self._held += self._terminal.pressed()
        # A recorder that has just started answers soon: keys wait for it, in order, one at a time.
        while self._held and not self._answers and (self._recorder.ready or self._held[0] not in KEYS):
            key = self._held.pop(0)
            if key == QUIT:
                self._ends = True
            elif key in KEYS:
                self._answers += 1
                self._recorder.trigger(KEYS[key], partial(self._on_answer, KEYS[key]))
        self.finished = self._ends and not self._answers

    def _on_answer(self, action: str, accepted: bool, words: str) -> None:
        self._answers -= 1
        self._terminal.say(f"{action}: {'' if accepted else 'refused: '}{words}")

    def _on_status(self, message: DiagnosticStatus) -> None:
        values: dict[str, Any] = messages.status_values(message)
        line = f"{message.message}  {values.get('seconds', '')} s  {values.get('messages', '')} messages"
        self._terminal.show(line)


def main() -> None:
    """Entry point of `ros2 run learned_arm recorder_keys`."""
    sys.exit(run(KeysNode))


if __name__ == "__main__":
    main()
