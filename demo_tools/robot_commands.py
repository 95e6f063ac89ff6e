"""The commands about a robot: what runs on it, what changed, whether all is well, where its links are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro


def snapshot(out: Path = Path("-"), contract: str = "pick_cube") -> int:
    """Say what software and settings are running on this ROS_DOMAIN_ID, as JSON.

    Args:
        out: File; `-`: standard output.
        contract: Contract by name or path: it names cameras and joint states.
    """
    from demo_tools.provenance.node import take_snapshot
    from demo_tools.provenance.sides import as_text
    from learned_arm.contract import load_contract
    from learned_arm.durable import write_whole

    text = as_text(take_snapshot(load_contract(contract)))
    if str(out) == "-":
        print(text)
    else:
        write_whole(out, f"{text}\n".encode())
        print(out)
    return 0


def diff(
    before: Annotated[str, tyro.conf.Positional],
    after: Annotated[str, tyro.conf.Positional],
    min_severity: Literal["S0", "S1", "S2", "S3"] = "S0",
    json: bool = False,
    rules: str = "",
    contract: str = "",
) -> int:
    """Compare two states of a robot; status 3 policy-invalid, 2 replay-invalid, 1 revalidate, 0 nothing, 4 an error.

    Args:
        before: An episode folder, a snapshot file, or `live`: the robot that is running on this ROS_DOMAIN_ID.
        after: The same.
        min_severity: Leave out rows below it; the status does not change.
        json: Print JSON instead of a table.
        rules: Rule file by path; empty: the one that ships.
        contract: Contract of `live`, by name or path; empty: that of the other side.
    """
    from demo_tools.provenance.sides import load_sides
    from demo_tools.provenance.table import rows_as_json, table
    from learned_arm.provenance_diff import compare, load_rules, not_compared, worst
    from learned_arm.provenance_rules import Severity

    loaded = load_rules(Path(rules) if rules else None)
    one, two = load_sides(before, after, contract)
    rows, open_questions = compare(one, two, loaded), not_compared(one, two, loaded)
    print((rows_as_json if json else table)(rows, open_questions, Severity[min_severity]))
    return int(worst(rows))


def doctor(
    settings: Annotated[tuple[str, ...], tyro.conf.Positional],
    seconds: float = 3.0,
    move: bool = False,
    yes: bool = False,
    json: bool = False,
) -> int:
    """Examine the robot that is running on this ROS_DOMAIN_ID, and say what to do about each fault; status 1: a fault.

    Topics, rates, joint names, limits, stamps, controllers, cameras, the middleware: everything is looked at, and
    nothing moves. With --move each joint then moves by 0.05 rad and back, slowly, after you have agreed to it.

    Args:
        settings: robot:=<name or file>, or contract:=<name or file> for a task's robot with its cameras.
        seconds: How long to listen.
        move: Afterwards move each joint by a little, through arm_node: is it the right one, the right way round?
        yes: Do not ask before each motion. Have the emergency stop in your hand.
        json: Print JSON instead of lines.
    """
    from demo_tools.doctor.command import run_doctor
    from demo_tools.doctor.subject import asked

    return run_doctor(*asked(settings), seconds, move, yes, json)


def kinematics(
    description: Annotated[str, tyro.conf.Positional],
    robot: str,
    tools: tuple[str, ...] = (),
    base: str = "",
    groups: tuple[str, ...] = (),
) -> int:
    """Print the section `kinematics` of a robot file, out of the robot's URDF.

    With it a policy may see where tools are, labels may be poses of a tool, and teleoperation may move it along lines.

    Args:
        description: A URDF file, an episode folder, a snapshot file, or `live`: the robot that is running on this
            ROS_DOMAIN_ID.
        robot: Robot file by name or path.
        tools: Links that the arm shall reach, such as the point between the fingers; empty: it ends at its last joint.
        base: Link that poses are told in; empty: the first one of the URDF that is not `world`.
        groups: Groups of joints that make up the arms; empty: those of more than one joint.
    """
    from demo_tools.description import kinematics_section
    from learned_arm.robot import load_robot

    print(kinematics_section(description, load_robot(robot), tools, base, groups))
    return 0
