"""`make demo`: the whole flywheel once, from the first demonstration to an honest success rate."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from demo_tools.dataset.build import build_dataset
from demo_tools.flow import stages
from demo_tools.flow.progress import bar, console
from demo_tools.flow.run_folder import RunFolder
from demo_tools.report import write_report
from learned_arm.canonical import hash_of
from learned_arm.contract import load_contract
from learned_arm.episode import load_episode


@dataclass(frozen=True)
class Plan:
    """How much of everything a run does.

    Attributes:
        episodes: Demonstrations to record.
        iterations: Training steps.
        trials: Held-out initial states of the evaluation.
        blind_trials: The same with the images of another initial state.
        limit_s: Simulated seconds until a rollout counts as failed.
    """

    episodes: int
    iterations: int
    trials: int
    blind_trials: int
    limit_s: float = 9.0


FULL = Plan(episodes=120, iterations=2500, trials=100, blind_trials=25)
# A look at every part in a few minutes: too little training for a good policy, and the summary says what it reached.
QUICK = Plan(episodes=10, iterations=250, trials=5, blind_trials=2)


def run_demo(task: str, plan: Plan, root: Path, *, workers: int = 1, seed: int = 0, threads: int = 2) -> Path:
    """Run the flywheel.

    Args:
        task: Contract by name.
        plan: How much of everything.
        root: Runs go to `<root>/<utc>/`.
        workers: Stacks of nodes side by side.
        seed: Seed of the training.
        threads: Threads of the training.

    Returns:
        The report's path.
    """
    # torch takes a second to import and only this stage needs it.
    from demo_tools.training import export_policy, train

    start_s = time.monotonic()
    contract = load_contract(task)
    run = RunFolder.new(root)
    console.print(f"[bold]learned_arm demo[/bold]  {task}  {run.path}")
    with run.stage("record"), bar("record", plan.episodes) as advance:
        episodes = stages.record(run, contract, plan.episodes, workers, advance)
    folders = [episode.folder for episode in episodes]
    with run.stage("replay"), bar("replay", len(folders)) as advance:
        replays = stages.replay(run, contract, folders, workers, advance)
    # A failure that replays as a failure proves its labels too; a policy that clones behaviour learns from successes.
    shown = [each.folder for each in episodes if each.outcome == "success"]
    with run.stage("dataset"), bar("dataset", len(shown)) as advance:
        manifest = build_dataset(shown, contract, run / "dataset", progress=lambda *_: advance(""))
    with run.stage("train"), bar("train", plan.iterations) as advance:
        train(
            run / "dataset",
            run / "training",
            iterations=plan.iterations,
            seed=seed,
            threads=threads,
            progress=lambda *_: advance(""),
        )
    with run.stage("export"):
        exported = export_policy(run / "training", run / "dataset", run / "policy.onnx")
    policy = run / "policy.onnx"
    with run.stage("evaluate"), bar("evaluate", plan.trials) as advance:
        evaluation = stages.evaluate(
            run, contract, policy, exported.hash, plan.trials, workers, advance, limit_s=plan.limit_s
        )
    with run.stage("blind"), bar("blind", plan.blind_trials) as advance:
        blind = stages.evaluate(
            run, contract, policy, exported.hash, plan.blind_trials, workers, advance, limit_s=plan.limit_s, blind=True
        )
    all_rollouts = [*evaluation["trials"], *blind["trials"]]
    summary = {
        "task": task,
        "seconds": round(time.monotonic() - start_s, 1),
        "episodes": len(episodes),
        "lost_messages": sum(each.lost for each in episodes) + sum(trial["lost"] for trial in all_rollouts),
        "replay_passed": sum(each["verdict"] == "passed" for each in replays),
        "dataset_frames": manifest.frames,
        "parity_max_abs": exported.parity_max_abs,
        "eval_successes": evaluation["successes"],
        "eval_trials": evaluation["count"],
        "wilson_low": evaluation["wilson"][0],
        "wilson_high": evaluation["wilson"][1],
        "blind_successes": blind["successes"],
        "blind_trials": blind["count"],
        "hashes": {
            "contract": contract.hash,
            "episodes": hash_of([load_episode(folder).messages_hash for folder in folders]),
            "dataset": manifest.hash,
            "policy": exported.hash,
        },
    }
    run.write("summary.json", summary)
    with run.stage("report"):
        report = write_report(run.path)
    _print_summary(summary, run.read("stages.json"), report)
    return report


def _print_summary(summary: dict[str, Any], stage_times: list[dict[str, Any]], report: Path) -> None:
    table = Table(title=f"{summary['task']} in {summary['seconds'] / 60:.1f} min", show_header=False)
    low, high = summary["wilson_low"], summary["wilson_high"]
    table.add_row("episodes recorded", f"{summary['episodes']}, messages lost {summary['lost_messages']}")
    table.add_row("labels replayed", f"{summary['replay_passed']} of {summary['episodes']} passed")
    table.add_row("dataset", f"{summary['dataset_frames']} frames")
    table.add_row("torch against ONNX", f"{summary['parity_max_abs']:.1e}")
    successes = f"{summary['eval_successes']} of {summary['eval_trials']}, 95 % interval {low:.0%} - {high:.0%}"
    table.add_row("policy solves", successes)
    table.add_row("with the images of another state", f"{summary['blind_successes']} of {summary['blind_trials']}")
    table.add_row("stages", "  ".join(f"{each['stage']} {each['seconds']:.0f} s" for each in stage_times))
    for name, value in summary["hashes"].items():
        table.add_row(f"{name} hash", value[:16])
    console.print(table)
    console.print(f"report: {report}", soft_wrap=True)
