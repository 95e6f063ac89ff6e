"""The stages that need nodes: recording, replaying, evaluating. Each leaves its statement in the run folder."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from demo_tools.flow import lead
from demo_tools.flow.lead import Recorded
from demo_tools.flow.run_folder import RunFolder
from demo_tools.flow.stack import NODES
from demo_tools.flow.workers import run_jobs
from demo_tools.replay.many import Job, beside
from demo_tools.replay.player import Manner
from demo_tools.replay.verdict import EXIT_STATUS, LABELS
from demo_tools.statistics import wilson_interval
from learned_arm.contract import Contract
from learned_arm.durable import write_json
from learned_arm.errors import LearnedArmError
from learned_arm.ros import transport

Advance = Callable[[str], None]
CONTRACT_FILE = "contract.yaml"
# Seeds of the evaluation never appear in training: demonstrations count up from 0.
HELD_OUT_SEED = 1_000_000
# Distance between the seed of a trial and the seed whose images a blind trial is shown.
_DECOY_OFFSET = 500_000


def simulated_nodes(
    contract: Contract, folder: Path, *more: str, **parameters: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """The simulated arm, the door and more nodes, with their parameters.

    All of them read the contract from one file in `folder`, so that no process can have another one.
    """
    path = folder / CONTRACT_FILE
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, contract.canonical())
    common = {"contract": str(path), "use_sim_time": True}
    # A replay is of what was recorded; labels of another contract are asked for.
    own = {"replay_node": {"use_sim_time": True}}
    names = ("sim_arm_node", "arm_node", *more)
    return {name: {**own.get(name, common), **parameters.get(name, {})} for name in names}


def record(run: RunFolder, contract: Contract, count: int, workers: int, advance: Advance) -> list[Recorded]:
    """Record demonstrations of the scripted expert, one initial state each."""
    logs = run / "logs/record"
    nodes = simulated_nodes(
        contract, logs, "recorder_node", "scripted_expert_node", recorder_node={"root": str(run / "demos")}
    )

    def told(recorded: Recorded) -> bool:
        advance(recorded.outcome)
        return True

    episodes = run_jobs(
        range(count),
        lambda operator, seed: lead.record_demonstration(operator, seed, contract.rate_hz),
        nodes,
        logs,
        workers=workers,
        each=told,
    )
    run.write("record.json", {"episodes": [_recorded(run, each) for each in episodes]})
    return episodes


def replay_simulated(
    contract: Contract,
    jobs: Sequence[Job],
    workers: int,
    advance: Advance,
    *,
    stream: str = LABELS,
    relabelled: bool = False,
    manner: Manner | None = None,
    logs: Path | None = None,
) -> list[dict[str, str]]:
    """Replay episodes on a simulated arm; the verdicts go where the jobs say.

    Args:
        contract: Of the robot and the labels.
        jobs: What is replayed.
        workers: Stacks side by side.
        advance: Called with each verdict.
        stream: What is played.
        relabelled: Whether the episodes were recorded under another contract, and these labels are asked for.
        manner: How labels are played, as far as `replay_node` has parameters for it.
        logs: Folder for the nodes' logs.

    Raises:
        LearnedArmError: A person is to judge.
    """
    if contract.success.judge == "operator":
        where, allowed = f"contract of {contract.task}", "--live, and ~/success or ~/failure of replay_node"
        raise LearnedArmError("nobody is there to say how it ended", where=where, got="operator", allowed=allowed)

    def told(result: dict[str, str]) -> bool:
        advance(result["verdict"])
        return True

    def act(operator: Any, job: Job) -> dict[str, str]:
        return lead.replay(operator, job.episode, stream, job.into)

    with tempfile.TemporaryDirectory(prefix="learned_arm_") as scratch:
        logs = logs or Path(scratch)
        played = manner or Manner()
        own: dict[str, Any] = {"hold": played.hold, "shift_ticks": played.shift_ticks, "precision": played.precision}
        own |= {"contract": str(logs / CONTRACT_FILE)} if relabelled else {}
        nodes = simulated_nodes(contract, logs, "replay_node", replay_node=own)
        return run_jobs(jobs, act, nodes, logs, workers=workers, each=told)


def replay_live(jobs: Sequence[Job], stream: str = LABELS, contract: str = "") -> list[str]:
    """Replay episodes on the robot that runs on this ROS_DOMAIN_ID, one after the other; returns the verdicts.

    Args:
        jobs: What is replayed.
        stream: What is played.
        contract: Labels of another contract than the recorded one, by name or path.
    """
    words = {status: word for word, status in EXIT_STATUS.items()}
    verdicts = []
    for job in jobs:
        parameters = {"episode": job.episode, "verdict_folder": job.into, "stream": stream, "contract": contract}
        argv = [sys.executable, "-m", NODES["replay_node"], "--ros-args", "-p", "exit_when_done:=true"]
        argv += [word for name, value in parameters.items() for word in ("-p", f'{name}:="{value}"')]
        ended = subprocess.run(argv, env=transport.environment(), check=False)
        verdicts.append(words.get(ended.returncode, "aborted"))
    return verdicts


def replay(
    run: RunFolder, contract: Contract, folders: Sequence[Path], workers: int, advance: Advance
) -> list[dict[str, str]]:
    """Replay the labels of every episode of a run."""
    jobs = [beside(folder) for folder in folders]
    results = replay_simulated(contract, jobs, workers, advance, logs=run / "logs/replay")
    rows = [
        {"folder": run.relative(folder), "verdict": result["verdict"], "reason": result.get("reason", "")}
        for folder, result in zip(folders, results, strict=True)
    ]
    run.write("replays.json", {"replays": rows})
    return rows


def evaluate(
    run: RunFolder,
    contract: Contract,
    policy: Path,
    policy_hash: str,
    count: int,
    workers: int,
    advance: Advance,
    *,
    limit_s: float,
    blind: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Roll the policy out from held-out initial states.

    Args:
        run: Where rollouts and the statement go.
        contract: Task and robot.
        policy: The ONNX file.
        policy_hash: Its SHA-256, written into every rollout.
        count: Number of initial states.
        workers: Stacks side by side.
        advance: Called with the outcome of each trial.
        limit_s: Simulated seconds until a trial counts as failed.
        blind: Show the cameras another initial state, and stop once 20 % success is out of reach.
        settings: More parameters of `policy_node`.
    """
    name = "blind" if blind else "evaluation"
    root = run / ("blind" if blind else "rollouts")
    logs = run / f"logs/{name}"
    nodes = simulated_nodes(
        contract,
        logs,
        "recorder_node",
        "policy_node",
        recorder_node={"root": str(root)},
        policy_node={"model": str(policy), "auto_activate": True, **(settings or {})},
    )
    failures = 0

    def told(trial: Recorded) -> bool:
        nonlocal failures
        advance(trial.outcome)
        failures += trial.outcome == "failure"
        return not blind or failures <= 0.8 * count

    def act(operator: Any, seed: int) -> Recorded:
        decoy = seed + _DECOY_OFFSET if blind else -1
        return lead.roll_out(operator, seed, policy_hash, contract.rate_hz, limit_s, decoy)

    seeds = range(HELD_OUT_SEED, HELD_OUT_SEED + count)
    trials = run_jobs(seeds, act, nodes, logs, workers=workers, each=told)
    successes = sum(trial.outcome == "success" for trial in trials)
    low, high = wilson_interval(successes, len(trials))
    statement = {
        "policy": policy_hash,
        "trials": [
            {
                "seed": trial.seed,
                "success": trial.outcome == "success",
                "folder": run.relative(trial.folder),
                "sim_seconds": trial.sim_seconds,
                "lost": trial.lost,
            }
            for trial in trials
        ],
        "successes": successes,
        "count": len(trials),
        "wilson": [low, high],
    }
    run.write(f"{name}.json", statement)
    return statement


def _recorded(run: RunFolder, each: Recorded) -> dict[str, Any]:
    return {
        "seed": each.seed,
        "outcome": each.outcome,
        "folder": run.relative(each.folder),
        "lost": each.lost,
        "sim_seconds": each.sim_seconds,
    }
