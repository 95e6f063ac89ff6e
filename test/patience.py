"""What a test asks of time on a busy machine, where processes stand still longer than an arm allows."""

from __future__ import annotations

from typing import Any

from learned_arm.contract import Contract

MAX_AGE_S = 1.0


def patient(contract: Contract) -> dict[str, Any]:
    """The content of a contract that takes joint states and pictures as late as a second."""
    content = contract.canonical()
    sensors = [*content["robot"]["joint_states"], content["observation"]["state"]]
    for sensor in (*sensors, *content["observation"]["cameras"].values()):
        sensor["max_age_s"] = MAX_AGE_S
    return content
