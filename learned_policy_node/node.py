"""policy_node: runs a policy file as a source at the door. Lifecycle: configure loads, activate listens.

The executor's thread takes messages and answers services, another answers the ticks, and the model has a third: a slow
model delays its chunks, not the schedule. Another model, set while active, is loaded beside them. With `use_sim_time`
the node works in lock-step: whoever takes the last message of a tick runs the model and answers at once, so that
nothing depends on the machine. While engaged it answers every tick of the contract's grid with exactly one message on
`/arm/policy/targets`, stamped with that tick and empty where the arm shall hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.task import Future

from learned_arm.errors import LearnedArmError
from learned_arm.kept_memory import keep_freed_memory
from learned_arm.ros import messages, qos
from learned_arm.ros.node import is_lock_step, parameter, run
from learned_policy_node.active import Active
from learned_policy_node.configured import Configured, configure
from learned_policy_node.door import Door
from learned_policy_node.exchange import check_present
from learned_policy_node.report import Standing, report
from learned_policy_node.settings import Settings, changed_settings, declare_settings, guard_settings, read_settings
from learned_policy_node.tally import Tally

_STATUS_PERIOD_S = 0.5


class PolicyNode(LifecycleNode):
    """See the module."""

    def __init__(self) -> None:
        super().__init__("policy_node")
        declare_settings(self)
        # A lifecycle node waits for somebody to activate it: without a launch system it must do so itself.
        automatic = parameter(self, "auto_activate", False, "configure and activate at start", read_only=True)
        self.auto_activate = bool(automatic)
        read_settings(self)
        self._lock_step = is_lock_step(self)
        self._status = self.create_publisher(DiagnosticStatus, "~/status", qos.latched())
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", qos.small())
        self.create_timer(_STATUS_PERIOD_S, self._publish_status, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._state = "unconfigured"
        self.problem = ""
        self._configured: Configured | None = None
        self._active: Active | None = None
        self._tally = Tally()
        self._door = Door(self, self._on_lease_lost)
        self._loaded = self.create_guard_condition(self._on_loaded)
        self._putting_back = False
        guard_settings(self, self._check_settings)
        self.add_post_set_parameters_callback(self._on_parameters)

    # Transitions

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model, compare its contract, run its self-test."""
        try:
            self._configured = configure(read_settings(self), self._lock_step, self._loaded.trigger)
        except LearnedArmError as error:
            self.problem = str(error)
            self.get_logger().error(self.problem)
            self._publish_status()
            return TransitionCallbackReturn.FAILURE
        self.get_logger().info(self._configured.words)
        return self._enter("inactive")

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen to the contract's streams and offer the services."""
        assert self._configured is not None
        self._active = Active(self, self._configured.loop, self._door, self._lock_step, self._publish_status)
        self._tally = self._active.answering.tally
        return self._enter("active")

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give the lease back and stop listening."""
        self._stop()
        return self._enter("inactive")

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Forget the model."""
        self._configured = None
        return self._enter("unconfigured")

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give the lease back for good."""
        self._stop()
        return self._enter("finalized")

    def close(self) -> None:
        """Give the lease back and end the threads, at the end of the process."""
        future = self._stop()
        if future is not None:
            rclpy.spin_until_future_complete(self, future, timeout_sec=1.0)

    def _enter(self, state: str) -> TransitionCallbackReturn:
        self.problem, self._state = "", state
        self._publish_status()
        return TransitionCallbackReturn.SUCCESS

    def _stop(self) -> Future | None:
        future = self._door.let_go()
        if self._configured is not None and self._configured.exchange.cancel("deactivated while it was loaded"):
            self._put_back(self._configured)
        if self._active is not None:
            self._active.close()
            self._active = None
        return future

    # Parameters

    def _check_settings(self, settings: Settings, names: Sequence[str]) -> None:
        """While active nothing but another model may be set; a model must be there."""
        if self._putting_back:
            return
        late = [name for name in changed_settings(read_settings(self), settings) if name != "model"]
        if self._active is not None and late:
            raise LearnedArmError(f"{', '.join(late)}: read at configure", got=self._state, allowed="deactivate first")
        if "model" not in names:
            return
        if self._active is not None and self._configured is not None:
            self._configured.exchange.check(Path(settings.model))
        elif settings.model:
            check_present(Path(settings.model))

    def _on_parameters(self, changes: Sequence[Parameter]) -> None:
        """Begin to load another model; what else was set waits for the next configure."""
        if self._putting_back or self._active is None or self._configured is None:
            return
        for each in changes:
            if each.name == "model":
                self._configured.exchange.begin(Path(str(each.value)))
        self._publish_status()

    def _on_loaded(self) -> None:
        taken = self._configured.finish_exchange() if self._configured is not None else None
        if taken is None or self._configured is None:
            return
        if not taken:
            self._put_back(self._configured)
        self.get_logger().info(f"model {self._configured.exchange.text}")
        self._publish_status()

    def _put_back(self, configured: Configured) -> None:
        """Let the parameter name the file that runs."""
        self._putting_back = True
        try:
            self.set_parameters([Parameter("model", value=configured.settings.model)])
        finally:
            self._putting_back = False

    # The lease and the status

    def _on_lease_lost(self) -> None:
        if self._active is not None:
            self._active.lease_lost()
        self._publish_status()

    def _publish_status(self) -> None:
        configured, active = self._configured, self._active
        standing = Standing(self._state, self.problem, engaged=self._door.holds, lost=self._door.lost)
        if active is not None:
            standing.fault = active.answering.fault
            standing.missed, standing.lost_messages = active.pacer.missed, active.intake.lost
            standing.time_faults = active.intake.time_faults
        if configured is not None:
            standing.policy, standing.loop, standing.swap = configured.policy, configured.loop, configured.exchange.text
            if configured.exchange.loading is None:
                standing.unapplied = changed_settings(configured.settings, read_settings(self))
        status = messages.status("policy_node", *report(standing, self._tally))
        self._status.publish(status)
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)


def make_node() -> PolicyNode:
    """Build the node; with `auto_activate` it is active afterwards.

    Raises:
        LearnedArmError: A parameter is out of range, or `auto_activate` was asked for and a transition failed; the
            text says why.
    """
    node = PolicyNode()
    if node.auto_activate:
        success = TransitionCallbackReturn.SUCCESS
        if node.trigger_configure() != success or node.trigger_activate() != success:
            problem = node.problem or "cannot be activated"
            node.destroy_node()
            raise LearnedArmError(problem)
    return node


def main() -> int:
    """Entry point."""
    keep_freed_memory()
    return run(make_node)


if __name__ == "__main__":
    raise SystemExit(main())
