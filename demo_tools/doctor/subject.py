"""Which robot is to be examined, and by which task."""

from __future__ import annotations

from collections.abc import Sequence

from learned_arm.contract import ActionSpec, Contract, SuccessSpec, load_contract
from learned_arm.errors import LearnedArmError
from learned_arm.robot import Robot, load_robot


def asked(settings: Sequence[str]) -> tuple[Contract, bool]:
    """The contract to examine by, and whether it stands for a robot only, from `robot:=...` or `contract:=...`.

    Raises:
        LearnedArmError: Neither, both, or no such file.
    """
    name, _, value = settings[0].partition(":=") if len(settings) == 1 else ("", "", "")
    if name not in ("robot", "contract") or not value:
        allowed = "robot:=<name or file>, or contract:=<name or file>"
        raise LearnedArmError("nothing to examine by", where="learned-arm doctor", got=list(settings), allowed=allowed)
    return (load_contract(value), False) if name == "contract" else (bare_contract(load_robot(value)), True)


def bare_contract(robot: Robot) -> Contract:
    """A robot without a task: no cameras, and nothing that anybody is trained on."""
    return Contract(
        task="none",
        robot=robot,
        rate_hz=1,
        cameras={},
        state_max_age_s=robot.joint_states[0].max_age_s,
        history=1,
        action=ActionSpec("sent", "absolute", 1, 1, ()),
        success=SuccessSpec("operator", None),
    )
