"""Many replays: which, in what order, where their verdicts lie, and what they come to together.

Every replay leaves its verdict in a folder of its own below `verdicts/`. What passed or failed there is not done again,
so a run that was cut off goes on where it was; what was refused or aborted says nothing yet, and is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from demo_tools.replay.diagnosis import Cause
from demo_tools.replay.verdict import LABELS, Verdict
from demo_tools.statistics import clopper_pearson_interval, wilson_interval
from learned_arm.episode import load_episode
from learned_arm.errors import LearnedArmError

FILE_NAME = "replays.json"


@dataclass(frozen=True)
class Job:
    """One of the replays of an episode.

    Attributes:
        episode: The episode's folder.
        repeat: Its number, from 0.
        into: Folder of the verdict.
    """

    episode: Path
    repeat: int
    into: Path


def beside(folder: Path) -> Job:
    """The one replay whose verdict lies beside the episode."""
    return Job(folder.resolve(), 0, folder.resolve())


def drawn(folders: Sequence[Path], count: int, seed: int) -> list[Path]:
    """So many of the folders at random, whatever their order; all of them for 0.

    Raises:
        LearnedArmError: There are not so many.
    """
    if count == 0:
        return list(folders)
    if not 0 < count <= len(folders):
        raise LearnedArmError("sample does not fit", got=count, allowed=f"[1, {len(folders)}]")
    places = np.random.default_rng(seed).choice(len(folders), count, replace=False)
    ordered = sorted(folders)
    return [ordered[place] for place in sorted(places.tolist())]


class ManyReplays:
    """Replays of a session, several times each, in a random order.

    Args:
        folders: Episode folders.
        times: Replays of each.
        out: Where the verdicts lie.
        seed: Of the order.
        stream: What is played, see `Playback`.

    Raises:
        LearnedArmError: No episode, no replay, two episodes of one name, or verdicts about other messages lie in `out`.
    """

    def __init__(self, folders: Sequence[Path], out: Path, times: int = 1, seed: int = 0, stream: str = LABELS) -> None:
        if not folders:
            raise LearnedArmError("no episode given", allowed="learned-arm replay <episode folder> ...")
        if times < 1:
            raise LearnedArmError("no replay", where="times", got=times, allowed="1 or more")
        doubled = [name for name, count in Counter(each.resolve().name for each in folders).items() if count > 1]
        if doubled:
            raise LearnedArmError("two episodes of one name", got=doubled, allowed="each once")
        self._folders, self._out, self._stream = [each.resolve() for each in folders], out, stream
        self._times = times
        self._messages = {folder: load_episode(folder).messages_hash for folder in self._folders}
        jobs = [
            Job(folder, repeat, out / "verdicts" / folder.name / f"{repeat:03d}")
            for folder in self._folders
            for repeat in range(times)
        ]
        self._jobs = [jobs[place] for place in np.random.default_rng(seed).permutation(len(jobs))]

    def left(self) -> list[Job]:
        """What is not done yet, in the order in which it is to be done."""
        verdicts = ((job, self.verdict(job)) for job in self._jobs)
        return [job for job, found in verdicts if found is None or found.verdict not in ("passed", "failed")]

    def verdict(self, job: Job) -> Verdict | None:
        """Of a replay; None where it was not done.

        Raises:
            LearnedArmError: It was altered, or is about other messages.
        """
        found = Verdict.load(job.into, self._stream)
        if found is not None and found.messages_hash not in ("", self._messages[job.episode]):
            raise LearnedArmError(
                "replays of another episode are here",
                where=job.into,
                got=found.messages_hash,
                allowed=self._messages[job.episode],
            )
        return found

    def done(self) -> list[tuple[Job, Verdict]]:
        """What is done, by episode and repeat."""
        found = ((job, self.verdict(job)) for job in sorted(self._jobs, key=lambda each: (each.episode, each.repeat)))
        return [(job, verdict) for job, verdict in found if verdict is not None]

    def by_episode(self) -> dict[Path, list[Verdict]]:
        """Verdicts of each episode, as far as they are there, by repeat."""
        found: dict[Path, list[Verdict]] = {folder: [] for folder in self._folders}
        for job, verdict in self.done():
            found[job.episode].append(verdict)
        return found

    def conclude(self) -> dict[Path, Verdict]:
        """Leave beside each episode what all its replays say together: it passed if every one of them did."""
        said = {folder: together(verdicts, self._times) for folder, verdicts in self.by_episode().items() if verdicts}
        for folder, verdict in said.items():
            verdict.save(folder)
        return said


def together(verdicts: Sequence[Verdict], times: int) -> Verdict:
    """One verdict of several replays of an episode: the first that is not a pass, if there is one.

    Where there are fewer verdicts than replays were asked for, some left none: that is no pass.

    Where some passed and some failed, that itself is the likeliest cause: the same labels did not do the same twice.
    """
    chosen = next((each for each in verdicts if each.verdict != "passed"), verdicts[0])
    passed = sum(each.verdict == "passed" for each in verdicts)
    repeats = {"passed": passed, "count": times}
    if chosen.verdict == "passed" and len(verdicts) < times:
        reason = f"{times - len(verdicts)} of {times} replays left no verdict"
        return replace(chosen, verdict="aborted", reason=reason, repeats=repeats)
    if chosen.verdict != "failed" or passed == 0:
        return replace(chosen, repeats=repeats)
    unsteady = {"cause": Cause.UNSTEADY.value, "joint": "", "evidence": f"{passed} of {len(verdicts)} replays pass"}
    return replace(chosen, repeats=repeats, diagnosis=[unsteady, *chosen.diagnosis])


def summary(replays: Mapping[Path, Sequence[Verdict]]) -> dict[str, Any]:
    """What many replays come to: pass rate with its intervals, and those that did not pass by their likeliest cause."""
    every = [(folder, each) for folder, verdicts in replays.items() for each in verdicts]
    passed = sum(each.verdict == "passed" for _, each in every)
    causes: dict[str, set[str]] = {}
    count: Counter[str] = Counter()
    for folder, each in every:
        if each.verdict != "passed":
            cause = each.diagnosis[0]["cause"] if each.diagnosis else f"{each.verdict}: {each.reason}"
            count[cause] += 1
            causes.setdefault(cause, set()).add(folder.name)
    steady = {folder: {each.verdict for each in verdicts} for folder, verdicts in replays.items()}
    return {
        "episodes": len(replays),
        "passed": passed,
        "count": len(every),
        "wilson": wilson_interval(passed, len(every)),
        "clopper_pearson": clopper_pearson_interval(passed, len(every)),
        "causes": {cause: {"replays": n, "episodes": sorted(causes[cause])} for cause, n in count.most_common()},
        "unsteady": sorted(folder.name for folder, words in steady.items() if len(words) > 1),
    }


def lines(found: Mapping[str, Any]) -> list[str]:
    """A summary in words."""
    low, high = found["clopper_pearson"]
    wilson_low, wilson_high = found["wilson"]
    said = [
        f"{found['passed']} of {found['count']} replays of {found['episodes']} episodes pass, 95 %: "
        f"{wilson_low:.3f} - {wilson_high:.3f} (Wilson), {low:.3f} - {high:.3f} (exact)"
    ]
    for cause, each in found["causes"].items():
        said.append(f"{each['replays']:5d}  {cause}: {', '.join(each['episodes'][:3])}")
        if len(each["episodes"]) > 3:
            said[-1] += f" and {len(each['episodes']) - 3} more"
    if found["unsteady"]:
        said.append(f"not the same from replay to replay: {', '.join(found['unsteady'])}")
    return said
