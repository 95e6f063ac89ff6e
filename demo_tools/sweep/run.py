"""How should labels be defined? The same episodes under many designs, each replayed: before there is any model."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, fields
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from demo_tools.dataset.ticks import read_episode_ticks
from demo_tools.direct.arm import DirectArm
from demo_tools.direct.replay import replay_direct
from demo_tools.direct.teacher import teacher_forced
from demo_tools.replay.verdict import SENT, Verdict
from demo_tools.statistics import clopper_pearson_interval, wilson_interval
from demo_tools.sweep.designs import AS_SENT, LabelDesign
from learned_arm.episode import load_episode
from learned_arm.errors import LearnedArmError

# What a well trained policy is off by, of the spread of its labels: enough to tell designs that bear it from others.
ERROR_SHARE = 0.1
# Single labels are looked at in so many episodes: they are as many as there are ticks.
_STEPPED = 3


@dataclass(frozen=True)
class Row:
    """What a design came to.

    Attributes:
        design: Its name.
        passed: Replays that reproduced the recorded outcome.
        count: Replays.
        passed_with_errors: Of those that passed, how many did with an error added to every label too, see
            `ERROR_SHARE`.
        tracking_rad: Median over the replays of the largest root mean square error of a joint; 0 without one.
        step_rad: The same of single labels, each played from the state in which it was recorded, in the first episodes.
        causes: How many replays ended for which reason, of those that did not pass.
    """

    design: str
    passed: int
    count: int
    passed_with_errors: int
    tracking_rad: float
    step_rad: float
    causes: dict[str, int]

    def statement(self) -> dict[str, Any]:
        """As JSON, with the intervals."""
        return {
            "design": self.design,
            "passed": self.passed,
            "count": self.count,
            "wilson": wilson_interval(self.passed, self.count),
            "clopper_pearson": clopper_pearson_interval(self.passed, self.count),
            "passed_with_errors": self.passed_with_errors,
            "wilson_with_errors": wilson_interval(self.passed_with_errors, self.count),
            "tracking_rad": self.tracking_rad,
            "step_rad": self.step_rad,
            "causes": self.causes,
        }

    @staticmethod
    def of(statement: Mapping[str, Any]) -> Row:
        """The row that a statement was made of."""
        return Row(**{each.name: statement[each.name] for each in fields(Row)})


def sweep(
    folders: Sequence[Path],
    designs: Sequence[LabelDesign],
    workers: int = 1,
    known: Mapping[str, Row] | None = None,
) -> Iterator[Row]:
    """Replay episodes under every design; gives each row as soon as it is there.

    Args:
        folders: Episodes of one task, recorded on the simulated arm.
        designs: What to compare.
        workers: Processes side by side.
        known: Rows of an earlier run by design, which are not made again.

    Raises:
        LearnedArmError: There is no episode, or they are of several contracts.
    """
    contracts = {load_episode(folder).contract_hash for folder in folders}
    if len(contracts) != 1:
        raise LearnedArmError("no episodes of one contract", got=sorted(contracts), allowed="one")
    known = known or {}
    yield from (known[design.name] for design in designs if design.name in known)
    missing = [design for design in designs if design.name not in known]
    if workers == 1:
        yield from (try_design(design, folders) for design in missing)
        return
    # Forked processes would share the physics' threads and OpenGL.
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        futures = [pool.submit(try_design, design, folders) for design in missing]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def contenders(rows: Sequence[Row]) -> list[Row]:
    """The designs to define labels by, the recommended one first; empty when none ever passed.

    Those whose pass rate cannot be told from the best one's (their Wilson intervals meet); first the one that bears
    errors best, and of those that bear them alike the one that follows the recorded motion most closely.
    """
    passing = [each for each in rows if each.passed and each.design != AS_SENT.name]
    best_low = max((wilson_interval(each.passed, each.count)[0] for each in passing), default=0.0)
    good = [each for each in passing if wilson_interval(each.passed, each.count)[1] >= best_low]
    return sorted(good, key=lambda each: (-each.passed_with_errors / each.count, each.tracking_rad))


def try_design(design: LabelDesign, folders: Sequence[Path]) -> Row:
    """Replay every episode under one design; with errors only where it passes without. What cannot be read fails."""
    episodes = [load_episode(folder) for folder in folders]
    contract = design.contract(episodes[0].loaded_contract)
    arm = DirectArm(contract)
    verdicts: list[Verdict] = []
    steps: list[float] = []
    unread: Counter[str] = Counter()
    with_errors = 0
    for number, (folder, episode) in enumerate(zip(folders, episodes, strict=True)):
        try:
            ticks = read_episode_ticks(folder, contract, images=False)
            verdict = replay_direct(arm, episode, ticks, design.manner(), stream=design.stream)
            if number < _STEPPED and design.stream != SENT:
                steps.append(teacher_forced(arm, episode, ticks, design.manner()).rms_rad)
        except LearnedArmError as error:
            unread[f"refused: {error.what}"] += 1
            continue
        verdicts.append(verdict)
        if verdict.verdict == "passed" and design.stream != SENT:
            spoilt = replay_direct(arm, episode, ticks, design.manner(ERROR_SHARE, seed=number))
            with_errors += spoilt.verdict == "passed"
    return Row(
        design=design.name,
        passed=sum(each.verdict == "passed" for each in verdicts),
        count=len(folders),
        passed_with_errors=with_errors,
        tracking_rad=statistics.median(map(_worst_rms, verdicts)) if verdicts else 0.0,
        step_rad=statistics.median(steps) if steps else 0.0,
        causes=dict(Counter(map(_cause, verdicts)) - Counter({"": len(verdicts)}) + unread),
    )


def _cause(verdict: Verdict) -> str:
    """What a replay that did not pass is put down to; empty for one that did."""
    if verdict.verdict == "passed":
        return ""
    return verdict.diagnosis[0]["cause"] if verdict.diagnosis else f"{verdict.verdict}: {verdict.reason}"


def _worst_rms(verdict: Verdict) -> float:
    return max((each["rms_rad"] for each in verdict.tracking["joints"].values()), default=0.0)
