"""The recorder's parameters, checked at the start and whenever one is set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_recorder.buttons import parse_buttons
from data_recorder.session_log import parse_targets
from learned_arm import checked
from learned_arm.contract import Contract, load_contract
from learned_arm.errors import LearnedArmError
from learned_arm.ros.node import check_all_when_set, parameter

ACTIONS = (
    "start",
    "success",
    "failure",
    "discard",
    "ready",
    "keep",
    "relabel_success",
    "relabel_failure",
    "take_out",
)
_POLICY = re.compile(r"([0-9a-f]{64})?")
_SECONDS = checked.number(0.0, 86_400.0)
_POSITIVE_S = checked.number(0.0, 86_400.0, open_low=True)
_MEGABYTES = checked.integer(0, 100_000_000)


@dataclass(frozen=True)
class Settings:
    """What is fixed when the recorder starts; the rest is read from the parameters when it is needed.

    Attributes:
        contract: What is recorded for.
        extra_topics: More topics, absolute names.
        topic_pattern: Regular expression of more topics.
        exclude_pattern: Regular expression of topics that are left out.
        queue_bytes: Payload that may wait for the disk.
        stale_s: Age past which a stream of the contract has stalled.
        needed_hz: By topic of the contract the rate that it must have.
        pre_roll_s: How much from before the start is in the bag.
        pre_roll_bytes: What is held for that at most.
        reserve_bytes: What must stay free on the disk.
        idle_warn_s: Idle time from which on the status warns.
        idle_end_s: Idle time that ends the episode, 0: none does.
        reset_s: Time between two episodes in which the scene is set up anew.
        auto_start: Whether the next episode starts by itself after it, until the targets are reached.
        session: Name of the session; '' keeps none.
        targets: By task how many successes the session wants.
        buttons: By action the index of its button.
        buttons_topic: sensor_msgs/Joy with these buttons.
        compress: Whether finished episodes are compressed in the background.
    """

    contract: Contract
    extra_topics: tuple[str, ...]
    topic_pattern: str
    exclude_pattern: str
    queue_bytes: int
    stale_s: float
    needed_hz: dict[str, float]
    pre_roll_s: float
    pre_roll_bytes: int
    reserve_bytes: int
    idle_warn_s: float
    idle_end_s: float
    reset_s: float
    auto_start: bool
    session: str
    targets: dict[str, int]
    buttons: dict[str, int]
    buttons_topic: str
    compress: bool


def declare(node: Any) -> Settings:
    """Declare every parameter of the recorder.

    Raises:
        LearnedArmError: A value given at the start is not allowed.
    """

    def fixed(name: str, default: Any, description: str) -> Any:
        return parameter(node, name, default, description, read_only=True)

    def number(name: str, default: float, description: str, check: Any = _SECONDS) -> Any:
        return check(fixed(name, default, description), f"parameter {name}")

    name = fixed("contract", "pick_cube", "Contract: a shipped name or a .yaml path.")
    robot = fixed("robot", "", "Another robot file than the contract names.")
    contract = load_contract(name, robot or None)
    parameter(node, "root", "demos", "Folder of all episodes.")
    parameter(node, "task", contract.task, "Task of the next episode.")
    parameter(node, "operator", "", "Who is in control.")
    parameter(node, "reason", "", "Why the episode succeeded or failed; read when it ends, and at a review.")
    parameter(node, "notes", "", "Free text; read when the episode ends.")
    parameter(node, "policy", "", "SHA-256 of the policy file of a rollout, empty for a demonstration.")
    extra = fixed("extra_topics", [""], "More topics to record.")
    rates = fixed("needed_rates", "", "Other rates than the contract's that its streams need: <topic>:<Hz>,...")
    settings = Settings(
        contract=contract,
        extra_topics=tuple(filter(None, extra)),
        topic_pattern=fixed("topic_pattern", "", "Regular expression of whole names of more topics."),
        exclude_pattern=fixed("exclude_pattern", "", "Regular expression of whole names of topics that are left out."),
        queue_bytes=1_000_000
        * number("queue_mb", 256, "Payload that may wait for the disk, MB.", checked.integer(1, 100_000)),
        stale_s=number("stale_s", 1.0, "Age past which a stream of the contract has stalled.", _POSITIVE_S),
        needed_hz={**dict.fromkeys(contract.required_topics, float(contract.rate_hz)), **_rates(rates, contract)},
        pre_roll_s=number("pre_roll_s", 0.0, "Seconds from before the start that are in the bag."),
        pre_roll_bytes=1_000_000 * number("pre_roll_mb", 512, "What is held for that at most, MB.", _MEGABYTES),
        reserve_bytes=1_000_000 * number("reserve_mb", 500, "What must stay free on the disk, MB.", _MEGABYTES),
        idle_warn_s=number("idle_warn_s", 10.0, "Idle time from which on the status warns."),
        idle_end_s=number("idle_end_s", 30.0, "Idle time after which the episode ends as a failure; 0: never."),
        reset_s=number("reset_s", 0.0, "Time after an episode in which the scene is set up anew."),
        auto_start=fixed("auto_start", False, "Whether the next episode then starts by itself, until the target."),
        session=fixed("session", "", "Name of the session, whose summary is kept in <root>/sessions."),
        targets=parse_targets(fixed("targets", "", "Wanted successes: <task>:<count>,..."), "parameter targets"),
        buttons=parse_buttons(
            fixed("buttons", "", "Buttons of a joystick: <action>:<index>,..."), ACTIONS, "parameter buttons"
        ),
        buttons_topic=checked.topic(fixed("buttons_topic", "/joy", "sensor_msgs/Joy."), "parameter buttons_topic"),
        compress=fixed("compress", False, "Whether finished episodes are compressed (zstd) in the background."),
    )
    if settings.session:
        checked.name(settings.session, "parameter session")
    _check_changes({"task": node.get_parameter("task").value, "policy": node.get_parameter("policy").value})
    check_all_when_set(node, _check_changes)
    return settings


def existing_parent(folder: Path) -> Path:
    """The folder itself, or the nearest above it that exists: where its disk space comes from."""
    folder = folder.expanduser().absolute()
    return next(each for each in (folder, *folder.parents) if each.is_dir())


def _check_changes(changes: Mapping[str, Any]) -> None:
    if "task" in changes:
        checked.name(changes["task"], "parameter task")
    if not _POLICY.fullmatch(str(changes.get("policy", ""))):
        raise LearnedArmError("not a SHA-256", where="parameter policy", got=changes["policy"], allowed="64 hex digits")


def _rates(text: str, contract: Contract) -> dict[str, float]:
    found = {}
    where = "parameter needed_rates"
    for entry in filter(None, (each.strip() for each in text.split(","))):
        topic, _, rate = entry.rpartition(":")
        if topic not in contract.required_topics:
            raise LearnedArmError(
                "not a stream of the contract", where=where, got=entry, allowed=list(contract.required_topics)
            )
        try:
            rate_hz = float(rate)
        except ValueError as error:
            raise LearnedArmError("not a rate", where=where, got=entry, allowed="<topic>:<Hz>") from error
        found[topic] = checked.number(0.0, 1e5)(rate_hz, where)
    return found
