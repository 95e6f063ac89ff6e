"""`learned-arm`: the flywheel on the command line."""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import tyro

from demo_tools.flow.ending import end_by_sigterm
from demo_tools.robot_commands import diff, doctor, kinematics, snapshot
from learned_arm.errors import LearnedArmError


def demo(
    task: str = "pick_cube", quick: bool = False, out: Path = Path("runs/demo"), workers: int = 2, seed: int = 0
) -> int:
    """Run the whole flywheel once on the simulated arm.

    Args:
        task: Contract by name.
        quick: A look at every part in a few minutes; the policy will be poor.
        out: A folder named by the time is made here.
        workers: Stacks of nodes side by side.
        seed: Seed of the training.
    """
    from demo_tools.flow.demo import FULL, QUICK, run_demo

    run_demo(task, QUICK if quick else FULL, out, workers=workers, seed=seed)
    return 0


def record(task: str = "pick_cube", episodes: int = 10, out: Path = Path("runs/record"), workers: int = 1) -> int:
    """Record demonstrations of the scripted expert on the simulated arm.

    Args:
        task: Contract by name.
        episodes: How many, one initial state each.
        out: Episodes go to <out>/demos/<task>/.
        workers: Stacks of nodes side by side.
    """
    from demo_tools.flow import stages
    from demo_tools.flow.progress import bar
    from demo_tools.flow.run_folder import RunFolder
    from learned_arm.contract import load_contract

    contract = load_contract(task)
    run = RunFolder(out)
    with bar("record", episodes) as advance:
        recorded = stages.record(run, contract, episodes, workers, advance)
    for each in recorded:
        print(f"{each.outcome}  lost {each.lost}  {each.folder}")
    return 0


def replay(
    episodes: Annotated[tuple[Path, ...], tyro.conf.Positional],
    workers: int = 1,
    live: bool = False,
    stream: Literal["labels", "sent"] = "labels",
    times: int = 1,
    out: Path | None = None,
    seed: int = 0,
    sample: int = 0,
) -> int:
    """Replay the labels of episodes; status 0 when all pass, 1 when one fails, 3 refused, 4 aborted.

    Several times each, or with --out, in a random order: a verdict for every replay goes below <out>, the summary into
    <out>/replays.json, and beside an episode comes what all its replays say together. Run again, it goes on.

    Args:
        episodes: Episode folders, or folders of them.
        workers: Stacks of nodes side by side.
        live: Use the robot that is running on this ROS_DOMAIN_ID instead of a simulated one.
        stream: labels: what will be learned. sent: what the door sent, at its own rate, as a baseline.
        times: Replays of each episode.
        out: Folder of the verdicts; by default runs/replays when an episode is replayed several times.
        seed: Of the order and of the sample.
        sample: Replay only so many of the episodes, drawn at random: for `dataset --accept-sampled`; 0: all.
    """
    from demo_tools.flow.replays import run_replays
    from demo_tools.replay.many import drawn
    from learned_arm.episode import episode_folders

    if not episodes:
        raise LearnedArmError("no episode given", allowed="learned-arm replay <episode folder> ...")
    many_into = out or (Path("runs/replays") if times > 1 else None)
    folders = drawn(episode_folders(episodes), sample, seed)
    return run_replays(folders, many_into, workers, live, stream, times, seed)


def golden(
    episodes: Annotated[tuple[Path, ...], tyro.conf.Positional],
    out: Path = Path("golden"),
    contract: str = "",
    times: int = 1,
    workers: int = 1,
    live: bool = False,
) -> int:
    """Replay golden episodes after a change; status 0 inside their baseline (a waiver is written), 1 outside.

    The first time, <out>/golden.json is made: how closely each episode was followed. Later the same episodes are
    replayed and held against it. Staying inside writes <out>/waiver_<hash>.json, which `dataset --waivers` takes.

    Args:
        episodes: Episode folders, or folders of them; each must pass.
        out: Folder of the baseline and the waivers.
        contract: Replay under this contract, by name or path; empty: under the recorded one.
        times: Replays of each episode.
        workers: Stacks of nodes side by side.
        live: Use the robot that is running on this ROS_DOMAIN_ID instead of a simulated one.
    """
    from demo_tools.flow.golden import run_golden
    from learned_arm.episode import episode_folders

    return run_golden(episode_folders(episodes), out, contract, times, workers, live)


def sweep(
    episodes: Annotated[tuple[Path, ...], tyro.conf.Positional],
    out: Path = Path("runs/sweep"),
    workers: int = 2,
    quick: bool = False,
) -> int:
    """Compare label designs: replay simulated episodes under each and say which to define labels by.

    Run it before any training. <out>/sweep.json grows design by design: a run that was cut off goes on where it was.

    Args:
        episodes: Episode folders of one task, recorded on the simulated arm, or folders of them.
        out: The table (sweep.json) and its picture (sweep.png) go here.
        workers: Processes side by side.
        quick: The four designs that differ most, for a first look.
    """
    from demo_tools.sweep.command import run_sweep
    from demo_tools.sweep.designs import few_designs, standard_designs
    from learned_arm.episode import episode_folders

    return run_sweep(episode_folders(episodes), out, workers, few_designs() if quick else standard_designs())


def dataset(
    episodes: Annotated[tuple[Path, ...], tyro.conf.Positional],
    out: Path,
    allow_unreplayed: bool = False,
    policy_frames: bool = False,
    allow_losses: bool = False,
    accept_sampled: float | None = None,
    waivers: tuple[Path, ...] = (),
) -> int:
    """Make a LeRobot v3 dataset from episodes that passed replay.

    Args:
        episodes: Episode folders, or folders of them.
        out: The dataset's folder; must not exist.
        allow_unreplayed: Take episodes without a passing verdict; written into the manifest and every policy.
        policy_frames: Take the frames that a policy commanded as well; written into the manifest.
        allow_losses: Take episodes of which messages were lost that they need; written into the manifest.
        accept_sampled: Take episodes that were not replayed, if those of the session that were (see `replay --sample`)
            say with 95 % confidence that at least this share would pass; written into the manifest with the figures.
        waivers: Files of `golden`; take episodes that passed under a contract from which they lead to this one.
    """
    from demo_tools.dataset.build import build_dataset
    from demo_tools.dataset.gate import Gate
    from demo_tools.flow.progress import bar
    from demo_tools.replay.golden import Waiver
    from learned_arm.episode import episode_folders, load_episode

    folders = episode_folders(episodes)
    contract = load_episode(folders[0]).loaded_contract
    with bar("dataset", len(folders)) as advance:
        manifest = build_dataset(
            folders,
            contract,
            out,
            gate=Gate(allow_unreplayed, allow_losses, accept_sampled, tuple(map(Waiver.load, waivers))),
            policy_frames=policy_frames,
            progress=lambda *_: advance(""),
        )
    if manifest.sampling:
        found = manifest.sampling
        print(
            f"{found['passed']} of {found['replayed']} replays prove a pass rate of {found['bound']:.3f} or more "
            f"({found['confidence']:.0%} confidence); {found['accepted']} episodes go in on their word"
        )
    for source, count in manifest.left_out.items():
        print(f"left out {count} frames: commanded by {source}")
    refused = Counter(each.reason for each in manifest.refused)
    print(f"{manifest.frames} frames  {manifest.hash}  {out}")
    for reason, count in refused.most_common():
        print(f"refused {count}: {reason}")
    return 0


def train(dataset: Path, out: Path, iterations: int = 2500, seed: int = 0, threads: int = 2, memory: int = 0) -> int:
    """Train a policy on a dataset by behaviour cloning; continues where an earlier call was ended.

    Args:
        dataset: Folder of the dataset.
        out: Checkpoint and loss curve go here.
        iterations: Training steps of 64 chunks; with memory, of 8 whole episodes.
        seed: Seed of everything random.
        threads: Threads of torch.
        memory: Numbers that the policy carries from tick to tick; 0: a policy without memory.
    """
    from demo_tools.flow.progress import bar
    from demo_tools.training import known_recipe
    from demo_tools.training import train as run_training

    recipe = known_recipe(memory)
    with bar("train", iterations) as advance:
        run_training(
            dataset,
            out,
            iterations=iterations,
            seed=seed,
            threads=threads,
            progress=lambda *_: advance(""),
            recipe=recipe,
        )
    print(out)
    return 0


def export(training: Path, dataset: Path, out: Path) -> int:
    """Export a trained policy to one ONNX file and prove it equal to torch on recorded observations.

    Args:
        training: Folder that `train` wrote.
        dataset: The dataset it was trained on.
        out: The .onnx file.
    """
    from demo_tools.training import export_policy

    exported = export_policy(training, dataset, out)
    print(f"{out}  {exported.hash}  torch against ONNX {exported.parity_max_abs:.1e}")
    return 0


def evaluate(
    policy: Annotated[Path, tyro.conf.Positional],
    trials: int = 100,
    out: Path = Path("runs/evaluate"),
    blind: bool = False,
    workers: int = 1,
    limit_s: float = 9.0,
) -> int:
    """Measure a policy's success rate from held-out initial states of the simulated arm.

    Args:
        policy: The .onnx file.
        trials: Initial states.
        out: Rollouts, recorded as episodes, and the statement go here.
        blind: Show the policy the images of another initial state; it must fail.
        workers: Stacks of nodes side by side.
        limit_s: Simulated seconds until a trial counts as failed.
    """
    from demo_tools.flow import stages
    from demo_tools.flow.progress import bar
    from demo_tools.flow.run_folder import RunFolder
    from learned_policy_node.loading import load_policy

    loaded = load_policy(policy)
    with bar("evaluate", trials) as advance:
        result = stages.evaluate(
            RunFolder(out),
            loaded.contract,
            policy.resolve(),
            loaded.hash,
            trials,
            workers,
            advance,
            limit_s=limit_s,
            blind=blind,
        )
    low, high = result["wilson"]
    print(f"{result['successes']} of {result['count']}, 95 % interval {low:.3f} - {high:.3f}")
    return 0


def inspect(path: Annotated[Path, tyro.conf.Positional]) -> int:
    """Say what a bag, an episode, a dataset, a policy file or a run is.

    Args:
        path: File or folder.
    """
    from demo_tools.inspect import inspect_path

    print(inspect_path(path))
    return 0


def recover(folder: Annotated[Path, tyro.conf.Positional]) -> int:
    """Rebuild a complete bag from a recording that was cut off.

    Args:
        folder: The unfinished episode's folder, or a folder with unfinished episodes below it.
    """
    from data_recorder.recover import recover as rebuild
    from data_recorder.recover import unfinished_episodes

    failed = 0
    found = unfinished_episodes(folder)
    for each in found:
        try:
            print("\n".join(rebuild(each).lines()))
        except LearnedArmError as error:
            if len(found) == 1:
                raise
            # The others are saved nevertheless.
            print(f"error: {error}", file=sys.stderr)
            failed += 1
    return 2 if failed else 0


def compress(folders: Annotated[tuple[Path, ...], tyro.conf.Positional]) -> int:
    """Compress the bags of finished episodes, each verified before it takes the old one's place.

    Args:
        folders: Episode folders, or folders of them.
    """
    from data_recorder.compress import be_least_urgent, episodes_below
    from data_recorder.compress import compress as compress_episode
    from demo_tools.flow.progress import bar

    episodes = episodes_below(folders)
    be_least_urgent()
    start_s = time.monotonic()
    done, errors = [], []
    with bar("compress", len(episodes)) as advance:
        for each in episodes:
            try:
                done.append(compress_episode(each))
            except LearnedArmError as error:
                # The others are compressed nevertheless.
                errors.append(error)
            advance("")
    for each in done:
        print(each.line())
    for error in errors:
        print(f"error: {error}", file=sys.stderr)
    before, after = (sum(getattr(each, size) for each in done) / 1e6 for size in ("before_bytes", "after_bytes"))
    print(f"{len(done)} episodes  {before:.1f} MB to {after:.1f} MB  {time.monotonic() - start_s:.1f} s")
    return 2 if errors else 0


COMMANDS = {
    "demo": demo,
    "record": record,
    "replay": replay,
    "golden": golden,
    "sweep": sweep,
    "dataset": dataset,
    "train": train,
    "export": export,
    "evaluate": evaluate,
    "inspect": inspect,
    "recover": recover,
    "compress": compress,
    "snapshot": snapshot,
    "diff": diff,
    "kinematics": kinematics,
    "doctor": doctor,
}
# Where the statuses below 4 say something else.
ERROR_STATUS = {"diff": 4}


def main() -> int:
    """Entry point: one line and status 2 (`diff`: 4) for what a user can mend, 130 after Ctrl-C, 143 after SIGTERM."""
    end_by_sigterm()
    error_status = ERROR_STATUS.get(sys.argv[1] if len(sys.argv) > 1 else "", 2)
    try:
        return int(tyro.extras.subcommand_cli_from_dict(COMMANDS, prog="learned-arm", description=__doc__))
    except LearnedArmError as error:
        print(f"error: {error}", file=sys.stderr)
        return error_status
    except SystemExit as ended:
        # So tyro ends after a wrong argument.
        return error_status if ended.code == 2 else int(ended.code or 0)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(main())
