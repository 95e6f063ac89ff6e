"""The check-up of a running robot as one command."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from demo_tools.doctor import control, streams
from demo_tools.doctor.findings import Finding, as_json, exit_status, report
from learned_arm.contract import Contract
from learned_arm.errors import LearnedArmError
from learned_arm.ros import transport


def run_doctor(contract: Contract, bare: bool, seconds: float, move: bool, yes: bool, json: bool) -> int:
    """Examine, move where that is wanted and nothing speaks against it, and print; the exit status."""
    from demo_tools.doctor.move_node import move_each

    findings = examine(contract, seconds, bare=bare)
    if move and exit_status(findings):
        todo = "mend what fails first"
        findings.append(Finding("motion.refused", "fail", contract.robot.name, "an arm with faults is not moved", todo))
    elif move:
        try:
            findings += move_each(contract.robot, (lambda _question: True) if yes else _agreed)
        except LearnedArmError as error:
            # What was found so far is worth as much without a motion.
            todo = "start arm_node, hold the deadman switch, let nobody else have the lease"
            findings.append(Finding("motion.refused", "fail", contract.robot.name, str(error), todo))
    print(as_json(findings) if json else report(findings))
    return exit_status(findings)


def examine(contract: Contract, seconds: float, *, bare: bool = False) -> list[Finding]:
    """Look at everything that runs, listen, and judge; nothing moves by it.

    Args:
        contract: The task and its robot.
        seconds: How long to listen.
        bare: Whether the contract stands for a robot only.
    """
    from demo_tools.doctor.node import listen
    from demo_tools.provenance.node import take_snapshot

    problems = transport.problems()
    if not Path(os.environ.get(transport.PROFILE_VARIABLE, "")).is_file():
        # It has been told; the middleware would print its own words into what is found.
        os.environ[transport.PROFILE_VARIABLE] = str(transport.profile_path())
    _tell("looking at nodes, parameters, controllers and the robot description")
    snapshot = take_snapshot(contract)
    _tell(f"listening for {seconds:g} s")
    heard = listen(contract, seconds)
    graph, robot = snapshot["graph"], contract.robot
    return [
        *control.check_transport(problems, graph["rmw"]),
        *control.check_time(snapshot),
        *streams.check_joint_states(robot, heard.joints, graph),
        *streams.check_cameras(contract, heard.cameras, graph),
        *streams.check_wrenches(contract, heard.wrenches, graph),
        *control.check_commands(robot, graph, heard.services),
        *control.check_controllers(robot, snapshot),
        *control.check_description(robot, snapshot),
        *control.check_door(robot, "" if bare else contract.hash, snapshot, heard.status),
    ]


def _agreed(question: str) -> bool:
    _tell(f"{question} [y/N]")
    # Nobody there is no agreement.
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _tell(words: str) -> None:
    # What is found goes to the standard output, for programs.
    print(words, file=sys.stderr, flush=True)
