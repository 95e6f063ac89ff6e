"""`learned-arm replay`: one replay of each episode, or many of them with a summary."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from demo_tools.flow import stages
from demo_tools.flow.progress import bar, console
from demo_tools.replay.many import FILE_NAME, Job, ManyReplays, beside, lines, summary
from demo_tools.replay.verdict import EXIT_STATUS, Verdict
from demo_tools.report.replay_page import FILE_NAME as PAGE_NAME
from demo_tools.report.replay_page import Replayed, write_replay_page
from learned_arm.durable import write_json
from learned_arm.episode import load_episode
from learned_arm.errors import LearnedArmError


def run_replays(
    folders: Sequence[Path], out: Path | None, workers: int, live: bool, stream: str, times: int, seed: int
) -> int:
    """Replay, print what came out; the worst verdict's status.

    Args:
        folders: Episode folders.
        out: Folder of many replays; None: one of each, beside the episodes.
        workers: Stacks side by side.
        live: On the robot that runs.
        stream: What is played.
        times: Replays of each.
        seed: Of their order.

    Raises:
        LearnedArmError: See `ManyReplays`, or no replay left a verdict.
    """
    if out is None:
        jobs = [beside(folder) for folder in folders]
        verdicts = _run(jobs, workers, live, stream)
        for job, verdict in zip(jobs, verdicts, strict=True):
            statement = Verdict.load(job.into, stream)
            if statement is None or statement.verdict != verdict:
                # What lies there is of an earlier replay.
                print(f"{verdict}  {job.episode}  it left no verdict")
            else:
                print(f"{verdict}  {job.episode}  {statement.reason}")
                page = write_replay_page([Replayed(job.episode, job.into, 0, statement)], job.into / PAGE_NAME)
                if verdict != "passed":
                    print(f"        why: {page}")
        return max(EXIT_STATUS[verdict] for verdict in verdicts)
    many = ManyReplays(folders, out, times, seed, stream)
    left = many.left()
    if before := len(folders) * times - len(left):
        print(f"{before} of {len(folders) * times} replays were done before, in {out}")
    if left:
        _run(left, workers, live, stream)
    if not many.done():
        raise LearnedArmError("no replay left a verdict", where=out, allowed="see the errors above")
    found = summary(many.by_episode())
    write_json(out / FILE_NAME, {"replays": 1, "stream": stream, "times": times, "seed": seed, **found})
    said = many.conclude()
    console.print("\n".join(lines(found)), highlight=False, soft_wrap=True)
    page = [Replayed(job.episode, job.into, job.repeat, verdict) for job, verdict in many.done()]
    print(f"{out / FILE_NAME}  {write_replay_page(page, out / PAGE_NAME)}")
    silent = len(folders) - len(said)
    if silent:
        print(f"{silent} episodes have no verdict at all: see the errors above")
    return max([EXIT_STATUS[verdict.verdict] for verdict in said.values()] + [EXIT_STATUS["aborted"]] * bool(silent))


def _run(jobs: Sequence[Job], workers: int, live: bool, stream: str) -> list[str]:
    if live:
        return stages.replay_live(jobs, stream)
    contract = load_episode(jobs[0].episode).loaded_contract
    with bar("replay", len(jobs)) as advance:
        results = stages.replay_simulated(contract, jobs, workers, advance, stream=stream)
    return [result["verdict"] for result in results]
