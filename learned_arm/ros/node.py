"""What every node's process shares: start, one-line errors, a clean end on SIGINT and SIGTERM."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_arm.ros import transport

_POLL_S = 0.1
_SWITCH_S = 1e-4


def parameter(node: Any, name: str, default: Any, description: str, *, read_only: bool = False) -> Any:
    """Declare a parameter with its description and return its value.

    Raises:
        LearnedArmError: The value given at start has another type than the default.
    """
    descriptor = ParameterDescriptor(description=description, read_only=read_only)
    try:
        return node.declare_parameter(name, default, descriptor).value
    except InvalidParameterTypeException as error:
        raise LearnedArmError(f"parameter {name}: {error}", allowed=f"a value like {default!r}") from error


def state_contract(node: Any, contract: Contract) -> None:
    """Say in the parameter `contract_hash` which contract the node serves, whatever its file is called.

    Nobody can set it: who compares robots by their parameters must be able to believe it.
    """
    descriptor = ParameterDescriptor(description="hash of the contract that is served", read_only=True)
    node.declare_parameter("contract_hash", contract.hash, descriptor, ignore_override=True)


def check_when_set(node: Any, name: str, check: Callable[[Any], object]) -> None:
    """Refuse, with everything set beside it, a value of a parameter that a check does not let pass."""

    def check_changes(changes: dict[str, Any]) -> None:
        if name in changes:
            check(changes[name])

    check_all_when_set(node, check_changes)


def check_all_when_set(node: Any, check: Callable[[dict[str, Any]], object]) -> None:
    """Refuse changes as a whole where a check of them does not pass."""

    def on_set(changes: Sequence[Parameter]) -> SetParametersResult:
        try:
            check({each.name: each.value for each in changes})
        except LearnedArmError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(on_set)


def is_lock_step(node: Any) -> bool:
    """Whether time comes from the simulation, which then waits for every command (parameter `use_sim_time`).

    It is so for good: a node whose clock became another one while it runs would see time jump.
    """
    found = bool(node.get_parameter("use_sim_time").value)

    def check(value: object) -> None:
        if value is not found:
            raise LearnedArmError("cannot be changed while the node runs", where="parameter use_sim_time", got=value)

    check_when_set(node, "use_sim_time", check)
    return found


def run(make_node: Callable[[], Any], args: Sequence[str] | None = None) -> int:
    """Run one node until SIGINT or SIGTERM, or until it says that it is `finished`.

    Args:
        make_node: Builds the node; a `LearnedArmError` from it ends the process with one line and status 2. A node may
            have `close()`, called before it is destroyed, and `finished` with `exit_status`.
        args: Command line, `sys.argv` by default.

    Returns:
        The exit status.
    """
    stopping = False

    def stop(_signal: int, _frame: object) -> None:
        nonlocal stopping
        stopping = True

    # Own handlers: rclpy's would shut the context down before the node can bring its work to an end.
    rclpy.init(args=list(args) if args is not None else sys.argv, signal_handler_options=SignalHandlerOptions.NO)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    node: Any = None
    try:
        node = make_node()
        for problem in transport.problems():
            node.get_logger().warning(problem)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        # What a node is made of lives as long as it: looking through it again would stop it for tens of milliseconds.
        gc.collect()
        gc.freeze()
        # A full collection is due when what is new is a quarter of what the last one looked through: of nothing now.
        gc.collect()
        # Nodes hand work from thread to thread, and the one that hands over soon holds the interpreter for nothing.
        sys.setswitchinterval(_SWITCH_S)
        while not stopping and rclpy.ok() and not getattr(node, "finished", False):
            executor.spin_once(timeout_sec=_POLL_S)
    except LearnedArmError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    finally:
        if node is not None:
            close = getattr(node, "close", None)
            if close is not None:
                close()
            node.destroy_node()
        rclpy.try_shutdown()
    # What was cut off while it worked says so only once it is closed.
    return int(getattr(node, "exit_status", 0))
