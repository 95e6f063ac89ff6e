"""switch_controllers: activates the controllers that a robot file names, turns off those in their way, and ends.

Nothing moves by it: a controller that is activated holds the arm where it is.
"""

from __future__ import annotations

import time
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.node import Node

from learned_arm.bring_up import driver_of, to_switch
from learned_arm.driver import Switch
from learned_arm.errors import LearnedArmError
from learned_arm.robot import load_robot
from learned_arm.ros.node import parameter, run
from learned_arm.ros.optional import load_messages

_POLL_S = 0.5
_SWITCH_TIMEOUT = Duration(seconds=5.0)


class SwitchControllers(Node):
    """Asks the controller manager until everything is as the robot file says, or patience ends."""

    def __init__(self) -> None:
        super().__init__("switch_controllers")
        robot = parameter(self, "robot", "", "robot file: name or path", read_only=True)
        self._patience_s = float(
            parameter(self, "patience_s", 30.0, "how long drivers may take to load their controllers", read_only=True)
        )
        self.finished, self.exit_status = False, 0
        switch = driver_of(load_robot(robot)).controllers
        if switch is None:
            self.get_logger().info(f"{robot}: no controllers of ros2_control")
            self.finished = True
            return
        self._switch: Switch = switch
        services = load_messages(
            "controller_manager_msgs.srv",
            where=f"robot {robot}",
            wanted_by="controllers",
            install="the package ros-jazzy-controller-manager-msgs",
        )
        self._kinds = services
        self._list = self.create_client(services.ListControllers, f"{switch.manager}/list_controllers")
        self._change = self.create_client(services.SwitchController, f"{switch.manager}/switch_controller")
        self._began_s, self._asked = time.monotonic(), False
        self._why = f"{switch.manager} is not there"
        self.create_timer(_POLL_S, self._poll, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _poll(self) -> None:
        if self.finished:
            return
        if time.monotonic() - self._began_s > self._patience_s:
            self.get_logger().error(f"controllers not switched: {self._why}")
            self.finished, self.exit_status = True, 2
        elif not self._asked and self._list.service_is_ready() and self._change.service_is_ready():
            self._asked = True
            self._list.call_async(self._kinds.ListControllers.Request()).add_done_callback(self._listed)

    def _listed(self, future: Any) -> None:
        states = {each.name: each.state for each in future.result().controller}
        try:
            activate, deactivate = to_switch(self._switch, states)
        except LearnedArmError as error:
            # A driver may still be loading them.
            self._why, self._asked = str(error), False
            return
        if not activate and not deactivate:
            self._end()
            return
        request = self._kinds.SwitchController.Request()
        request.activate_controllers, request.deactivate_controllers = list(activate), list(deactivate)
        request.strictness = request.STRICT
        request.timeout = _SWITCH_TIMEOUT.to_msg()
        self.get_logger().info(f"activating {list(activate)}, deactivating {list(deactivate)}")
        self._change.call_async(request).add_done_callback(self._changed)

    def _changed(self, future: Any) -> None:
        result = future.result()
        if result.ok:
            self._end()
        else:
            # Older controller managers give no message.
            self._why, self._asked = getattr(result, "message", "") or "the controller manager refused", False

    def _end(self) -> None:
        self.get_logger().info(f"active: {', '.join(self._switch.activate)}")
        self.finished = True


def main() -> int:
    """Entry point."""
    return run(SwitchControllers)


if __name__ == "__main__":
    raise SystemExit(main())
