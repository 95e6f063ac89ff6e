"""A trained policy for experiments: the newest that a whole demo left, else one made by the same stages."""

from __future__ import annotations

from pathlib import Path

from demo_tools.dataset.build import build_dataset
from demo_tools.flow import stages
from demo_tools.flow.demo import FULL, Plan
from demo_tools.flow.progress import bar
from demo_tools.flow.run_folder import RunFolder
from learned_arm.contract import Contract
from learned_arm.durable import read_json

POLICY = "policy.onnx"


def newest_policy(demos: Path, trials: int = FULL.trials) -> Path | None:
    """The policy of the newest demo that was evaluated over so many trials: a quick one has learned too little."""
    for folder in sorted(demos.glob("*"), reverse=True):
        policy, summary = folder / POLICY, folder / "summary.json"
        if policy.is_file() and summary.is_file() and read_json(summary)["eval_trials"] >= trials:
            return policy
    return None


def make_policy(
    run: RunFolder, contract: Contract, plan: Plan = FULL, *, workers: int = 2, seed: int = 0, threads: int = 2
) -> Path:
    """Record, replay, build the dataset, train and export, each unless it is done: called again, it goes on.

    Args:
        run: Everything goes here.
        contract: Task and robot.
        plan: How many demonstrations and training steps.
        workers: Stacks of nodes side by side.
        seed: Seed of the training.
        threads: Threads of the training.

    Returns:
        The policy's path.
    """
    policy = run / POLICY
    if policy.is_file():
        return policy
    # torch takes a second to import.
    from demo_tools.training import export_policy, train

    if run.read("record.json") is None:
        with bar("record", plan.episodes) as advance:
            stages.record(run, contract, plan.episodes, workers, advance)
    episodes = run.read("record.json")["episodes"]
    if run.read("replays.json") is None:
        with bar("replay", len(episodes)) as advance:
            stages.replay(run, contract, [run / each["folder"] for each in episodes], workers, advance)
    if not (run / "dataset").is_dir():
        shown = [run / each["folder"] for each in episodes if each["outcome"] == "success"]
        with bar("dataset", len(shown)) as advance:
            build_dataset(shown, contract, run / "dataset", progress=lambda *_: advance(""))
    with bar("train", plan.iterations) as advance:
        train(
            run / "dataset",
            run / "training",
            iterations=plan.iterations,
            seed=seed,
            threads=threads,
            progress=lambda *_: advance(""),
        )
    export_policy(run / "training", run / "dataset", policy)
    return policy
