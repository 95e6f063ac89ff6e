"""Replays on arms with other controllers, and a replay that is aborted at whatever moment: the arm then holds."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sensor_msgs.msg import Image, JointState

from demo_tools.flow import lead, stages
from demo_tools.flow.operator import Operator, RefusedError
from demo_tools.flow.run_folder import RunFolder
from demo_tools.flow.stack import NODES
from demo_tools.flow.workers import run_jobs
from demo_tools.replay.many import Job, ManyReplays, summary
from demo_tools.replay.player import Manner
from demo_tools.replay.verdict import EXIT_STATUS, Verdict
from learned_arm.contract import Contract, load_contract
from test.patience import patient

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


def judged_by(contract: Contract, judge: str) -> Contract:
    return Contract.from_canonical({**contract.canonical(), "success": {"judge": judge}})


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
    assert ticks[0] < ticks[-1], ticks
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


def test_what_is_set_while_one_is_played_is_for_the_next(shown: tuple[Contract, Path], tmp_path: Path) -> None:
    contract, episode = shown

    def act(operator: Operator, job: Job) -> dict[str, str]:
        operator.trigger(lead.REPLAY, "start", {"episode": str(job.episode), "verdict_folder": str(job.into)})
        operator.wait(lambda: operator.statuses[lead.REPLAY].get("state") == "playing", 30.0, "the replay to begin")
        later = {"stream": "sent", "verdict_folder": str(tmp_path / "later"), "episode": "nowhere", "overlay": True}
        with pytest.raises(RefusedError, match="busy"):
            operator.trigger(lead.REPLAY, "start", later)
        operator.wait(lambda: operator.statuses[lead.REPLAY].get("state") == "done", 60.0, "the replay to end")
        return operator.statuses[lead.REPLAY]

    nodes = stages.simulated_nodes(contract, tmp_path, "replay_node", replay_node={"preflight": False})
    job = Job(episode, 0, tmp_path / "now")
    (status,) = run_jobs([job], act, nodes, tmp_path / "logs")
    said = Verdict.load(job.into)
    assert said is not None and said.verdict == status["verdict"] == "passed" and said.labels["stream"] == "labels"
    assert status["episode"] == str(episode) and not (tmp_path / "later").exists()


@pytest.mark.parametrize(
    ("word", "verdict"), [pytest.param("success", "passed", marks=pytest.mark.prove), ("failure", "failed")]
)
def test_a_person_may_be_the_judge(shown: tuple[Contract, Path], tmp_path: Path, word: str, verdict: str) -> None:
    recorded, episode = shown
    contract = judged_by(recorded, "operator")

    def act(operator: Operator, job: Job) -> dict[str, str]:
        operator.trigger(lead.REPLAY, "start", {"episode": str(job.episode), "verdict_folder": str(job.into)})
        with pytest.raises(RefusedError, match="nobody was asked"):
            operator.trigger(lead.REPLAY, word)
        operator.wait(lambda: "asks" in operator.statuses[lead.REPLAY], 60.0, "to be asked")
        assert operator.statuses[lead.ARM]["holder"] == "replay"
        operator.trigger(lead.REPLAY, word)
        operator.wait(lambda: operator.statuses[lead.REPLAY].get("state") == "done", 10.0, "the replay to end")
        return operator.statuses[lead.REPLAY]

    own = {"contract": str(tmp_path / stages.CONTRACT_FILE)}
    nodes = stages.simulated_nodes(contract, tmp_path, "replay_node", replay_node=own)
    (status,) = run_jobs([Job(episode, 0, tmp_path / "v")], act, nodes, tmp_path / "logs")
    assert status["verdict"] == verdict, status


@pytest.mark.prove
def test_the_goal_image_tells_what_solves_the_task_from_what_does_not(
    shown: tuple[Contract, Path], tmp_path: Path
) -> None:
    """Calibrated on the session: the demonstration, and a replay of it that came too late for the cube."""
    recorded, episode = shown

    def show_a_failure(operator: Operator, job: Job) -> Path:
        operator.trigger(lead.REPLAY, "start", {"episode": str(job.episode), "verdict_folder": str(job.into)})
        # While somebody is asked, the arm is where the episode began: that is where this one begins too.
        operator.wait(lambda: "alike" in operator.statuses[lead.REPLAY].get("confirm", ""), 30.0, "an overlay")
        operator.trigger(lead.RECORDER, "start", patience_s=10.0)
        operator.trigger(lead.REPLAY, "confirm")
        operator.wait(lambda: operator.statuses[lead.REPLAY].get("state") == "done", 60.0, "the replay to end")
        operator.trigger(lead.RECORDER, "failure", {"reason": "too late"})
        operator.wait(lambda: operator.statuses[lead.RECORDER].get("state") == "idle", 30.0, "the episode to close")
        return Path(operator.statuses[lead.RECORDER]["episode"])

    own = {
        "recorder_node": {"root": str(tmp_path / "session")},
        "replay_node": {"use_sim_time": True, "shift_ticks": 5, "overlay": True},
    }
    nodes = stages.simulated_nodes(recorded, tmp_path, "recorder_node", "replay_node", **own)
    job = Job(episode, 0, tmp_path / "late")
    (failure,) = run_jobs([job], show_a_failure, nodes, tmp_path / "logs/record")
    success = Path(shutil.copytree(episode, failure.parent / episode.name))
    contract = judged_by(recorded, "goal_image")
    for name, manner, words in (
        ("as_labelled", Manner(), ("passed", "passed")),
        # So late that the arm is away before the jaws have closed.
        ("late", Manner(shift_ticks=6), ("failed", "passed")),
    ):
        jobs = [Job(folder, 0, tmp_path / name / folder.name) for folder in (success, failure)]
        logs = tmp_path / f"logs/{name}"
        results = stages.replay_simulated(contract, jobs, 1, ignore, relabelled=True, manner=manner, logs=logs)
        said = [Verdict.load(job.into) for job in jobs]
        assert all(each is not None and each.judgement["judge"] == "goal_image" for each in said)
        assert tuple(each["verdict"] for each in results) == words, [each and each.judgement for each in said]


def test_a_replay_that_is_stopped_says_so_and_the_arm_holds(
    shown: tuple[Contract, Path], tmp_path: Path, spawn: Any, ros_domain_id: int
) -> None:
    """In real time, where nobody waits for the node that has ended; it began before there was an arm, and waited."""
    recorded, episode = shown
    contract = Contract.from_canonical(patient(recorded))
    own = {"contract": str(tmp_path / stages.CONTRACT_FILE), "episode": episode, "verdict_folder": tmp_path / "v"}
    own |= {"exit_when_done": True, "preflight": False}
    nodes = stages.simulated_nodes(contract, tmp_path, "replay_node", replay_node=own)
    simulation, *others = [(NODES[name], {**values, "use_sim_time": False}) for name, values in nodes.items()]
    started = [spawn.node(module, **values) for module, values in others]
    positions: list[Any] = []
    with Operator(ros_domain_id, lambda: None) as operator:
        operator.listen(JointState, contract.robot.joint_states[0].topic, lambda each: positions.append(each.position))
        lead.meet(operator, lead.REPLAY)
        operator.wait(lambda: operator.statuses[lead.REPLAY].get("state") == "finding", 30.0, "the replay to look")
        # Longer than it waits for a simulation where there is an arm.
        operator.spin_for(2.5)
        spawn.node(simulation[0], **simulation[1])
        operator.wait(lambda: operator.statuses[lead.REPLAY].get("state") == "playing", 30.0, "the replay to begin")
        # It holds for some ticks before the first label; then the arm is on its way.
        operator.spin_for(1.5)
        moving_rad = float(np.ptp(np.array(positions[-20:]), axis=0).max())
        replay = started[-1]
        replay.popen.send_signal(signal.SIGINT)
        operator.wait(lambda: replay.popen.poll() is not None, 10.0, "the node to end")
        positions.clear()
        operator.spin_for(0.4)
        moved_rad = float(np.ptp(np.array(positions), axis=0).max())
    assert replay.wait() == EXIT_STATUS["aborted"]
    said = Verdict.load(tmp_path / "v")
    assert said is not None and (said.verdict, said.reason) == ("aborted", "replay_node was stopped")
    assert said.tracking["ticks"] > 0
    assert moved_rad < 2e-3 < moving_rad, (moved_rad, moving_rad)


@pytest.mark.prove
def test_a_replay_that_finds_no_arm_is_refused_and_says_what_is_missing(
    shown: tuple[Contract, Path], tmp_path: Path, spawn: Any
) -> None:
    contract, episode = shown
    own = {"contract": str(tmp_path / stages.CONTRACT_FILE), "episode": episode, "verdict_folder": tmp_path / "v"}
    own |= {"exit_when_done": True, "preflight": False}
    nodes = stages.simulated_nodes(contract, tmp_path, "replay_node", replay_node=own)
    *_, replay = [
        spawn.node(NODES[name], **{**nodes[name], "use_sim_time": False}) for name in ("arm_node", "replay_node")
    ]
    assert replay.wait(30.0) == EXIT_STATUS["refused"]
    said = Verdict.load(tmp_path / "v")
    assert said is not None and said.verdict == "refused" and not said.tracking.get("ticks")
    assert said.reason == "no joint state: joints:/joint_states: no message yet, for 10 s"


def pass_ticks(operator: Operator, count: int) -> None:
    before = operator.success_count
    operator.wait(lambda: operator.success_count >= before + count, 20.0, "the simulation to run")
