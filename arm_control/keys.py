"""teleop_keys: a terminal's keys in place of a gamepad, for teleop_node and its files."""

from __future__ import annotations

import sys
import time

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from sensor_msgs.msg import Joy

from arm_control.teleop.keyboard import Keyboard
from learned_arm.ros import messages, qos
from learned_arm.ros.node import run
from learned_arm.ros.terminal import Terminal

QUIT = "q"
_PERIOD_S = 0.02
_HELP = "w s a d left stick  r f c v right stick  i k j l d-pad  n A  m B  space let go  q quit"


class KeysNode(Node):
    """Publishes `/joy` fifty times a second.

    Attributes:
        finished: Whether `q` was pressed or the input has ended.
    """

    def __init__(self) -> None:
        super().__init__("teleop_keys")
        self.finished = False
        self._keyboard, self._terminal = Keyboard(), Terminal(QUIT)
        self._joy = self.create_publisher(Joy, "/joy", qos.small())
        self.create_subscription(DiagnosticStatus, "/teleop_node/status", self._on_status, qos.small())
        self.create_timer(_PERIOD_S, self._tell, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._terminal.say(_HELP)

    def close(self) -> None:
        """Let go, and give the terminal back as it was."""
        self._joy.publish(self._message([], []))
        self._terminal.close()

    def _tell(self) -> None:
        now_s = time.monotonic()
        for key in self._terminal.pressed():
            self.finished |= key == QUIT
            self._keyboard.press(key, now_s)
        self._joy.publish(self._message(*self._keyboard.state(now_s)))

    def _message(self, axes: list[float], buttons: list[int]) -> Joy:
        message = Joy(axes=axes, buttons=buttons)
        message.header.stamp = messages.time_message(self.get_clock().now().nanoseconds)
        return message

    def _on_status(self, message: DiagnosticStatus) -> None:
        self._terminal.show(f"{messages.status_values(message).get('state', '')}  {message.message}")


def main() -> None:
    """Entry point of `ros2 run learned_arm teleop_keys`."""
    sys.exit(run(KeysNode))


if __name__ == "__main__":
    main()
