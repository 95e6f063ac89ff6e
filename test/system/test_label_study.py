"""How should labels be defined? The whole study: demonstrations, every design, some of it over DDS, and policies.

What it makes lies in `runs/prove/labels` and is not made again, so that a study that was cut off goes on.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from demo_tools.dataset.build import build_dataset
from demo_tools.dataset.gate import Gate
from demo_tools.dataset.ticks import read_episode_ticks
from demo_tools.direct.arm import DirectArm
from demo_tools.direct.replay import replay_direct
from demo_tools.flow import stages
from demo_tools.flow.run_folder import RunFolder
from demo_tools.replay.many import Job
from demo_tools.replay.verdict import Verdict
from demo_tools.statistics import wilson_interval
from demo_tools.sweep.command import run_sweep
from demo_tools.sweep.designs import AS_SENT, LabelDesign, standard_designs
from demo_tools.sweep.run import Row, contenders
from demo_tools.training import export_policy, train
from learned_arm.contract import load_contract
from learned_arm.durable import read_json
from learned_arm.episode import load_episode

pytestmark = [pytest.mark.ros, pytest.mark.prove]
ROOT = Path("runs/prove/labels")
TASKS = ("insert_peg", "pick_moving", "pick_cube")
EPISODES, DDS_SHARE = 40, 0.05
# Measured states a tick later, told relative to what is measured: the motion shrinks by the servo's lag at every step.
BAD, GOOD = LabelDesign("measured_next", "step_relative", 20), LabelDesign("measured_next", "delta", 20)
DEMONSTRATIONS, ITERATIONS, TRIALS = 100, 2000, 50


def ignore(_outcome: str) -> None:
    """Progress that nobody watches."""


def recorded(task: str, count: int) -> list[Path]:
    """So many demonstrations of a task; those that are there are kept."""
    run = RunFolder(ROOT / f"{task}_{count}")
    if run.read("record.json") is None:
        stages.record(run, load_contract(task), count, 2, ignore)
    return [run / each["folder"] for each in run.read("record.json")["episodes"]]


def swept(task: str) -> dict[str, Row]:
    out = ROOT / f"sweep_{task}"
    assert run_sweep(recorded(task, EPISODES), out, 2, standard_designs()) == 0
    return {each["design"]: Row.of(each) for each in read_json(out / "sweep.json")["rows"]}


@pytest.mark.limit_s(7200)
@pytest.mark.parametrize("task", TASKS)
def test_good_designs_are_told_from_bad_ones(task: str) -> None:
    contract, rows = load_contract(task), swept(task)
    action = contract.action
    clean = rows[LabelDesign(action.source, action.representation, contract.rate_hz).name]
    print(f"{task}: labels of the contract {clean.passed}/{clean.count}, what was sent {rows[AS_SENT.name].passed}")
    assert clean.passed >= 0.95 * clean.count
    assert rows[AS_SENT.name].passed >= 0.98 * EPISODES
    assert len(rows) > 24
    bad, good = rows[BAD.name], rows[GOOD.name]
    assert bad.step_rad > 1e-3 > rows[LabelDesign("sent", "absolute", 20).name].step_rad
    if task == "insert_peg":
        assert wilson_interval(bad.passed, bad.count)[1] < wilson_interval(good.passed, good.count)[0]


@pytest.mark.limit_s(3600)
@pytest.mark.parametrize("task", TASKS)
def test_a_share_of_the_replays_goes_over_dds_as_it_goes_in_one_process(task: str, tmp_path: Path) -> None:
    designs, folders = standard_designs(), recorded(task, EPISODES)
    base = load_episode(folders[0]).loaded_contract
    each = int(np.ceil(DDS_SHARE * EPISODES))
    rng, agree, differ = np.random.default_rng(0), 0, list[str]()
    for number, design in enumerate(designs):
        contract = design.contract(base)
        chosen = [folders[place].resolve() for place in rng.choice(len(folders), each, replace=False)]
        jobs = [Job(folder, 0, tmp_path / f"{number}" / folder.name) for folder in chosen]
        stages.replay_simulated(
            contract, jobs, 1, ignore, stream=design.stream, relabelled=True, manner=design.manner()
        )
        arm = DirectArm(contract)
        for job in jobs:
            over_dds = Verdict.load(job.into, design.stream)
            ticks = read_episode_ticks(job.episode, contract, images=False)
            here = replay_direct(arm, load_episode(job.episode), ticks, design.manner(), stream=design.stream)
            same = over_dds is not None and over_dds.verdict == here.verdict
            agree += same
            if not same:
                differ.append(f"{design.name}: {here.verdict}, over DDS {over_dds and over_dds.verdict}")
    print(f"{task}: {agree} of {each * len(designs)} replays agree; {differ}")
    assert agree >= 0.95 * each * len(designs), differ


def learnable(design: LabelDesign) -> bool:
    """Whether a policy can be trained on it and played as it was replayed: steps and shifts are the replay's alone."""
    return design.stream != AS_SENT.stream and not design.hold and not design.shift_ticks and design.rate_hz == 20


@pytest.mark.limit_s(3 * 3600)
def test_policies_confirm_the_recommendation() -> None:
    """The best three designs and the worst, each with the same demonstrations, iterations and held-out states.

    Designs are ranked as the recommendation ranks them: of those of which as many replays pass, with errors too, the
    worst is the one whose replays stray furthest from the recorded motion. Their single labels cannot tell them apart:
    by one step they all err alike, whatever the representation.
    """
    designs = {each.name: each for each in standard_designs() if learnable(each) and each.precision == "float32"}
    rows = [row for name, row in swept("pick_cube").items() if name in designs]
    best = [each.design for each in contenders(rows)[:3]]
    worst = min(rows, key=lambda each: (each.passed, each.passed_with_errors, -each.tracking_rad)).design
    folders, base = recorded("pick_cube", DEMONSTRATIONS), load_contract("pick_cube")
    rates = {}
    for name in (*best, worst):
        run, contract = RunFolder(ROOT / "policies" / name.replace("/", "_")), designs[name].contract(base)
        if run.read("evaluation.json") is None:
            if not (run / "dataset").is_dir():
                # The worst does not replay: that it is learned from nevertheless is what is tried here.
                build_dataset(folders, contract, run / "dataset", gate=Gate(allow_unreplayed=True))
            train(run / "dataset", run / "training", iterations=ITERATIONS, threads=2)
            policy = export_policy(run / "training", run / "dataset", run / "policy.onnx")
            stages.evaluate(run, contract, policy.path, policy.hash, TRIALS, 2, ignore, limit_s=9.0)
        rates[name] = run.read("evaluation.json")
        low, high = rates[name]["wilson"]
        print(f"{name}: {rates[name]['successes']} of {rates[name]['count']}, 95 % {low:.2f} - {high:.2f}")
    assert all(rates[name]["successes"] > rates[worst]["successes"] for name in best)
    assert rates[best[0]]["wilson"][0] > rates[worst]["wilson"][1]
