"""The parameters of arm_node: declared, checked at the start, and checked again, all or none, when they are set."""

from __future__ import annotations

from typing import Any

from arm_control.moveit_check import NONE, TargetCheck, target_check_of
from learned_arm import checked
from learned_arm.commander import SOURCE_TIMEOUT_S, SOURCES
from learned_arm.contract import Contract, load_contract
from learned_arm.deadman import KINDS, DeadmanSettings
from learned_arm.robot import Robot
from learned_arm.ros.node import check_when_set, parameter, state_contract
from learned_arm.ros.priority import HIGHEST

REALTIME_PRIORITY = 50
"""As ros2_control's controller manager takes by default (parameter `thread_priority`)."""


def declare_contract(node: Any) -> Contract:
    """The contract and robot that the node serves.

    Raises:
        LearnedArmError: A file is missing or wrong.
    """
    name = parameter(
        node, "contract", "pick_cube", "contract (name or YAML path) that names robot and tick rate", read_only=True
    )
    robot = parameter(node, "robot", "", "another robot file than the contract names", read_only=True)
    contract = load_contract(name, robot or None)
    state_contract(node, contract)
    return contract


def declare_source(node: Any) -> None:
    """The parameter `source`, which only ever holds a known source or nothing.

    Raises:
        LearnedArmError: The value given at the start is none.
    """
    _check_source(parameter(node, "source", "", f"who ~/engage speaks for: {', '.join(SOURCES)}"))
    check_when_set(node, "source", _check_source)


def declare_source_timeout(node: Any) -> float:
    """Seconds of silence after which a holder loses the lease, fixed at the start.

    Raises:
        LearnedArmError: The value is out of range.
    """
    what = "silence of a holder, past the end of its timeline, that frees the door"
    value = parameter(node, "source_timeout_s", SOURCE_TIMEOUT_S, what, read_only=True)
    return checked.number(0.05, 60.0)(value, "parameter source_timeout_s")


def declare_deadman(node: Any) -> DeadmanSettings:
    """The switch that must be held, fixed at the start.

    Raises:
        LearnedArmError: A value is out of range.
    """
    default = DeadmanSettings()
    return DeadmanSettings(
        topic=parameter(node, "deadman_topic", default.topic, "the switch to be held; empty: none", read_only=True),
        kind=parameter(node, "deadman_type", default.kind, f"its message: {', '.join(KINDS)}", read_only=True),
        button=parameter(node, "deadman_button", default.button, "joy: index of the button", read_only=True),
        timeout_s=parameter(
            node, "deadman_timeout_s", default.timeout_s, "silence that counts as released", read_only=True
        ),
    )


def declare_realtime_priority(node: Any) -> int:
    """The real-time priority of the process, 0 for none; fixed at the start.

    Raises:
        LearnedArmError: It is out of range.
    """
    words = "SCHED_FIFO priority of this process in real time, 1 to 99; 0: none"
    value = parameter(node, "realtime_priority", REALTIME_PRIORITY, words, read_only=True)
    return checked.integer(0, HIGHEST)(value, "parameter realtime_priority")


def declare_target_check(node: Any, robot: Robot) -> TargetCheck | None:
    """What looks at targets before the door takes them, fixed at the start; None for nothing.

    Raises:
        LearnedArmError: No such check, or what it needs is not installed.
    """
    words = "looks for collisions of targets: none, or moveit where installed"
    return target_check_of(parameter(node, "target_check", NONE, words, read_only=True), robot)


def _check_source(value: object) -> None:
    checked.choice("", *SOURCES)(value, "parameter source")
