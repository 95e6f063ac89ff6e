"""The report's content as plain values for the template; what cannot be had is left out and named in the run's gaps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from demo_tools.dataset.manifest import Manifest
from demo_tools.report import pictures, plots
from demo_tools.report.run_files import Gap, Recording, Run, Trials
from learned_arm.durable import read_json
from learned_arm.episode import PROVENANCE_FILE
from learned_arm.errors import LearnedArmError

STRIPS = 4
FILMS = 4
_FILM_BYTES = 9_000_000
SUCCESS_BAR, BLIND_BAR, REPLAY_BAR = 0.90, 0.20, 0.95


@dataclass(frozen=True)
class Tile:
    """A figure of the verdict. `state` is good, bad or plain; `note` says what it is held to."""

    label: str
    value: str
    note: str
    state: str = "plain"


@dataclass(frozen=True)
class Strip:
    """Stills of an episode: camera -> first, middle and last picture."""

    caption: str
    stills: dict[str, list[str]]


@dataclass(frozen=True)
class Film:
    """A rollout as an animated picture."""

    caption: str
    state: str
    uri: str


def tiles(run: Run) -> list[Tile]:
    """The verdict in figures."""
    found = []
    for trials, label, bar, above in (
        (run.evaluation, "unseen states solved", SUCCESS_BAR, True),
        (run.blind, "with other images", BLIND_BAR, False),
    ):
        if trials is None or not trials.count:
            continue
        rate = trials.successes / trials.count
        good = rate >= bar if above else rate < bar
        note = f"wanted: {'at least' if above else 'below'} {percent(bar)}"
        found.append(Tile(label, f"{trials.successes} / {trials.count}", note, _state(good)))
    if run.replays:
        passed = sum(each["verdict"] == "passed" for each in run.replays)
        good = passed >= REPLAY_BAR * len(run.replays)
        found.append(
            Tile(
                "replays passed",
                f"{passed} / {len(run.replays)}",
                f"wanted: at least {percent(REPLAY_BAR)}",
                _state(good),
            )
        )
    lost = _lost(run)
    if lost is not None:
        found.append(Tile("messages lost", f"{lost}", "wanted: none", _state(lost == 0)))
    if "parity_max_abs" in run.summary:
        parity = float(run.summary["parity_max_abs"])
        found.append(Tile("torch against ONNX", f"{parity:.1e}", "wanted: 1e-4 rad or less", _state(parity <= 1e-4)))
    if "seconds" in run.summary:
        found.append(
            Tile(
                "whole run",
                minutes(float(run.summary["seconds"])),
                f"{run.summary.get('dataset_frames', '?')} frames learned",
            )
        )
    return found


def _lost(run: Run) -> int | None:
    if "lost_messages" in run.summary:
        return int(run.summary["lost_messages"])
    episodes = [each.episode for each in run.demonstrations if each.episode is not None]
    return sum(episode.lost_messages for episode in episodes) if episodes else None


def _state(good: bool) -> str:
    return "good" if good else "bad"


def percent(share: float, digits: int = 0) -> str:
    """A share for people."""
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def minutes(seconds: float) -> str:
    """A duration for people."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def episode_rows(run: Run) -> list[dict[str, Any]]:
    """The table of demonstrations."""
    verdicts = {each["folder"]: each["verdict"] for each in run.replays}
    rows = []
    for each in run.demonstrations:
        episode = each.episode
        folder = each.folder.relative_to(run.folder).as_posix()
        rows.append(
            {
                "name": each.folder.name,
                "seed": each.seed,
                "outcome": "success" if each.success else "failure",
                "replay": verdicts.get(folder, each.verdict.verdict if each.verdict is not None else "none"),
                "seconds": seconds_of(each),
                "messages": episode.messages if episode is not None else None,
                "lost": episode.lost_messages if episode is not None else None,
                "hash": episode.messages_hash[:12] if episode is not None else "",
            }
        )
    return rows


def seconds_of(recording: Recording) -> float | None:
    """How long it ran: simulated time where the run says it, else the time over which the robot reported its joints."""
    if recording.sim_seconds is not None or recording.episode is None:
        return recording.sim_seconds
    return (recording.episode.end_ns - recording.episode.start_ns) / 1e9


def strips(run: Run) -> list[Strip]:
    """Stills of a few demonstrations, spread over the recording."""
    found = []
    for each in _spread([each for each in run.demonstrations if each.episode is not None], STRIPS):
        stills = run.attempt(
            f"stills of {each.folder.name}",
            lambda each=each: pictures.read_stills(each.folder, _contract(each)),
        )
        if stills is not None:
            found.append(Strip(f"seed {each.seed}, {'success' if each.success else 'failure'}", stills))
    return found


def tracking(run: Run) -> str | None:
    """The plot of replay errors."""
    errors: dict[str, list[float]] = {}
    threshold: float | None = None
    for each in run.demonstrations:
        report = each.verdict.tracking if each.verdict is not None else {}
        threshold = report.get("threshold_rad", threshold)
        for joint, values in report.get("joints", {}).items():
            errors.setdefault(joint, []).append(float(values["max_rad"]))
    if not errors:
        raise LearnedArmError("no replay with tracking errors in this run")
    return plots.tracking_plot(errors, threshold)


def replay_reasons(run: Run) -> list[tuple[str, str, int]]:
    """Verdict, reason and number of the replays that did not pass."""
    counted = Counter((each["verdict"], each["reason"]) for each in run.replays if each["verdict"] != "passed")
    return [(verdict, reason, count) for (verdict, reason), count in counted.most_common()]


def held_out(run: Run, manifest: Manifest | None) -> Recording:
    """A demonstration that the training did not see.

    Raises:
        LearnedArmError: There is none in this run.
    """
    kept = (
        {each.messages_hash for each in manifest.episodes if each.split == "validation"}
        if manifest is not None
        else set()
    )
    for each in run.demonstrations:
        if each.episode is not None and each.episode.messages_hash in kept:
            return each
    raise LearnedArmError("no held-out episode in this run")


def films(run: Run, trials: Trials | None, budget: list[int]) -> list[Film]:
    """A few successes and a few failures as films.

    Args:
        run: For its gaps.
        trials: The evaluation.
        budget: Bytes left for films, in a list of one entry that is counted down.
    """
    if trials is None:
        return []
    found = []
    successes = [each for each in trials.rollouts if each.success and each.episode is not None]
    failures = [each for each in trials.rollouts if not each.success and each.episode is not None]
    for each in [*_spread(successes, FILMS), *_spread(failures, FILMS)]:
        if budget[0] <= 0:
            run.gaps.append(Gap("films", "the page is full: some rollouts are not shown"))
            break
        uri = run.attempt(
            f"film of {each.folder.name}", lambda each=each: pictures.read_film(each.folder, _contract(each))
        )
        if uri is None:
            continue
        budget[0] -= len(uri)
        seconds = seconds_of(each)
        took = f" {'in' if each.success else 'after'} {seconds:.1f} s" if seconds is not None else ""
        word = "success" if each.success else "failure"
        found.append(Film(f"seed {each.seed}: {word}{took}", _state(each.success), uri))
    return found


def film_budget() -> list[int]:
    """Bytes for all films of a page."""
    return [_FILM_BYTES]


def environment(run: Run) -> dict[str, str]:
    """What was running when the first demonstration was recorded.

    Raises:
        LearnedArmError: No episode of the run says it.
    """
    for each in run.demonstrations:
        path = each.folder / PROVENANCE_FILE
        if path.is_file():
            return _environment(read_json(path)["start"])
    raise LearnedArmError("no episode with provenance in this run")


def _environment(start: dict[str, Any]) -> dict[str, str]:
    system, git = start.get("system", {}), start.get("git", {})
    changed = git.get("dirty_sha256")
    commit = git.get("commit") or f"unknown: {git.get('unreachable', 'not recorded')}"
    found = {
        "code": f"{commit[:12] if 'commit' in git else commit}{f' with changes {changed[:12]}' if changed else ''}",
        "machine": f"{system.get('cpus', '?')} CPUs, {system.get('machine', '?')}, kernel {system.get('kernel', '?')}",
        "Python": str(start.get("software", {}).get("python", "?")),
    }
    packages = start.get("software", {}).get("packages", {})
    found |= {name: str(version) for name, version in packages.items() if version is not None}
    profiles = start.get("middleware", {}).get("profiles", {})
    for variable, each in profiles.items():
        found[variable] = f"{each.get('file')} {str(each.get('sha256', ''))[:12]}"
    return found


def _contract(recording: Recording) -> Any:
    assert recording.episode is not None
    return recording.episode.loaded_contract


def _spread(items: Sequence[Recording], count: int) -> list[Recording]:
    """At most `count` of them, evenly spread from the first to the last."""
    if len(items) <= count:
        return list(items)
    return [items[round(index * (len(items) - 1) / (count - 1))] for index in range(count)]
