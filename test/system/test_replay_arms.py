"""Replays on arms with other controllers, and a replay that is aborted at whatever moment: the arm then holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sensor_msgs.msg import Image, JointState

from demo_tools.flow import lead, stages
from demo_tools.flow.operator import Operator
from demo_tools.flow.run_folder import RunFolder
from demo_tools.flow.workers import run_jobs
from demo_tools.replay.many import Job, ManyReplays, summary
from demo_tools.replay.verdict import Verdict
from learned_arm.contract import Contract, load_contract

pytestmark = pytest.mark.ros
TRAJECTORY = {"adapter": "joint_trajectory", "topic": "/joint_trajectory_controller/joint_trajectory"}
# Ticks of the contract after the start was accepted; the first are before anything is played.
MOMENTS = (0, 4, 12, 30, 60)


def ignore(_outcome: str) -> None:
    """Progress that nobody watches."""


def with_command(command: dict[str, Any]) -> Contract:
    value = load_contract("pick_cube").canonical()
    value["robot"]["groups"]["arm"]["command"] = command
    return Contract.from_canonical(value)


# The flywheel replays on the shipped arm, which has a forward_position controller.
@pytest.fixture(scope="module", params=[pytest.param("forward_position", marks=pytest.mark.prove), "joint_trajectory"])
def shown(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Contract, Path]:
    """A contract whose arm has a controller of this kind, and an episode recorded under it."""
    contract = with_command(TRAJECTORY) if request.param == "joint_trajectory" else load_contract("pick_cube")
    assert {each.command.adapter for each in contract.robot.controllers} >= {request.param}
    run = RunFolder(tmp_path_factory.mktemp(request.param))
    (recorded,) = stages.record(run, contract, 1, 1, ignore)
    assert (recorded.outcome, recorded.lost) == ("success", 0)
    return contract, recorded.folder


def test_labels_and_what_was_sent_solve_the_task_again(shown: tuple[Contract, Path], tmp_path: Path) -> None:
    contract, episode = shown
    for stream, closest_rad in (("labels", 1e-3), ("sent", 1e-5)):
        many = ManyReplays([episode], tmp_path / stream, stream=stream)
        stages.replay_simulated(contract, many.left(), 1, ignore, stream=stream)
        found = summary(many.by_episode())
        assert (found["passed"], found["count"]) == (1, 1), found
        said = many.conclude()[episode.resolve()]
        assert max(each["max_rad"] for each in said.tracking["joints"].values()) < closest_rad
        assert Verdict.load(episode, stream) == said


def test_aborted_at_any_moment_the_arm_holds_and_the_verdict_says_so(
    shown: tuple[Contract, Path], tmp_path: Path
) -> None:
    contract, episode = shown
    before = sorted(each.name for each in episode.iterdir())
    jobs = [Job(episode, moment, tmp_path / f"{moment}") for moment in MOMENTS]

    def act(operator: Operator, job: Job) -> tuple[int, float, str]:
        positions: list[Any] = []
        operator.listen(JointState, contract.robot.joint_states[0].topic, lambda each: positions.append(each.position))
        where = {"episode": str(job.episode), "verdict_folder": str(job.into)}
        operator.trigger(lead.REPLAY, "start", where)
        pass_ticks(operator, job.repeat)
        operator.trigger(lead.REPLAY, "abort")
        operator.wait(lambda: operator.statuses[lead.REPLAY].get("state") == "done", 10.0, "the replay to end")
        # The door brakes within its limits; then nothing moves.
        pass_ticks(operator, 20)
        positions.clear()
        pass_ticks(operator, 20)
        moved_rad = float(np.ptp(np.array(positions), axis=0).max())
        return len(positions), moved_rad, operator.statuses[lead.ARM].get("holder", "")

    nodes = stages.simulated_nodes(contract, tmp_path, "replay_node", replay_node={"preflight": False})
    for job, (heard, moved_rad, holder) in zip(jobs, run_jobs(jobs, act, nodes, tmp_path / "logs"), strict=True):
        verdict = Verdict.load(job.into)
        assert verdict is not None and verdict.verdict == "aborted", job
        assert heard >= 20 and moved_rad < 1e-4 and holder == "", (job.repeat, moved_rad, holder)
    played = [Verdict.load(job.into) for job in jobs]
    ticks = [0 if each is None else each.tracking.get("ticks", 0) for each in played]
    assert ticks == sorted(ticks) and ticks[0] < ticks[-1] and ticks[-1] > 0, ticks
    assert sorted(each.name for each in episode.iterdir()) == before


def test_the_arm_waits_until_somebody_says_that_the_table_is_as_it_was(
    shown: tuple[Contract, Path], tmp_path: Path
) -> None:
    contract, episode = shown
    pictures: list[Any] = []

    def act(operator: Operator, job: Job) -> tuple[str, dict[str, str]]:
        operator.listen(Image, "/replay_node/overlay", pictures.append)
        operator.trigger(lead.REPLAY, "start", {"episode": str(job.episode), "verdict_folder": str(job.into)})
        operator.wait(lambda: "alike" in operator.statuses[lead.REPLAY].get("confirm", ""), 30.0, "an overlay")
        pass_ticks(operator, 40)
        assert operator.statuses[lead.REPLAY]["state"] == "playing" and pictures
        alike = operator.trigger(lead.REPLAY, "confirm")
        operator.wait(lambda: operator.statuses[lead.REPLAY].get("state") == "done", 60.0, "the replay to end")
        return alike, operator.statuses[lead.REPLAY]

    nodes = stages.simulated_nodes(contract, tmp_path, "replay_node", replay_node={"overlay": True})
    ((alike, status),) = run_jobs([Job(episode, 0, tmp_path / "v")], act, nodes, tmp_path / "logs")
    # In the simulation everything is where it was.
    assert all(float(each.split()[1]) > 0.999 for each in alike.split(", ")), alike
    assert status["verdict"] == "passed", status
    height, width = contract.cameras["front"].size
    assert (pictures[0].height, pictures[0].width) == (height, 2 * width)


def pass_ticks(operator: Operator, count: int) -> None:
    before = operator.success_count
    operator.wait(lambda: operator.success_count >= before + count, 20.0, "the simulation to run")
