"""The page of replays: what passed, and why the rest did not, at a glance: the cause, both films, joints over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from markupsafe import Markup

from demo_tools.replay.keepsakes import load_frames, load_traces
from demo_tools.replay.many import summary
from demo_tools.replay.verdict import VERDICTS, Verdict
from demo_tools.report import pictures, plots
from demo_tools.report.page import template
from demo_tools.report.sections import Tile, percent
from learned_arm.durable import write_whole
from learned_arm.episode import load_episode
from learned_arm.errors import LearnedArmError

FILE_NAME = "replays.html"
# As many are shown with films and plots: a page that takes minutes to load is not looked at.
MOST_SHOWN = 8
_FINDINGS = 3


@dataclass(frozen=True)
class Replayed:
    """One replay.

    Attributes:
        episode: The episode's folder.
        into: Folder of the verdict, with what the replay left for the eye.
        repeat: Which replay of the episode, from 0.
        verdict: What was said.
    """

    episode: Path
    into: Path
    repeat: int
    verdict: Verdict


def write_replay_page(replays: Sequence[Replayed], path: Path) -> Path:
    """Write the page; it refers to nothing outside itself.

    Args:
        replays: What was replayed, one or more. Those that did not pass are shown first.
        path: Where it goes.

    Returns:
        The page's path.
    """
    by_episode: dict[Path, list[Verdict]] = {}
    for each in replays:
        by_episode.setdefault(each.episode, []).append(each.verdict)
    found = summary(by_episode)
    ranked = sorted(replays, key=lambda each: (each.verdict.verdict == "passed", each.episode.name, each.repeat))
    failed = sum(each.verdict.verdict != "passed" for each in ranked)
    context = {
        "css": Markup(resources.files("demo_tools.report").joinpath("style.css").read_text(encoding="utf-8")),
        "title": _title(replays),
        "sentence": _sentence(found),
        "tiles": _tiles(replays, found),
        "causes": found["causes"],
        # Where nothing failed, one that passed shows what a pass looks like.
        "shown": [_shown(each) for each in ranked[: max(min(failed, MOST_SHOWN), 1)]],
        "rows": [_row(each) for each in ranked],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, template("replays.html.j2").render(context).encode())
    return path


def _title(replays: Sequence[Replayed]) -> str:
    names = {each.episode.name for each in replays}
    return f"Replay of {names.pop()}" if len(names) == 1 else f"Replays of {len(names)} episodes"


def _sentence(found: Mapping[str, Any]) -> str:
    low, high = found["wilson"]
    text = f"{found['passed']} of {found['count']} replays reproduced the recorded outcome"
    if found["count"] > 1:
        text += f" (95 % Wilson interval {percent(low, 1)} to {percent(high, 1)})"
    if found["causes"]:
        cause = next(iter(found["causes"]))
        text += f". Of those that did not, most point to: {cause}"
    return f"{text}."


def _tiles(replays: Sequence[Replayed], found: Mapping[str, Any]) -> list[Tile]:
    said = Counter(each.verdict.verdict for each in replays)
    states = {"passed": "good", "failed": "bad", "refused": "bad"}
    tiles = [Tile(word, str(said[word]), "", states.get(word, "plain")) for word in VERDICTS if said[word]]
    if found["unsteady"]:
        tiles.append(Tile("not the same twice", str(len(found["unsteady"])), "episodes", "bad"))
    late = [each.verdict.lateness["p99_ms"] for each in replays if each.verdict.lateness]
    if late and max(late) > 0:
        tiles.append(Tile("late at p99", f"{max(late):.1f} ms", "the worst replay"))
    return tiles


def _shown(each: Replayed) -> dict[str, Any]:
    verdict, gaps = each.verdict, list[str]()

    def attempt(make: Any) -> Any:
        try:
            return make()
        except LearnedArmError as error:
            gaps.append(str(error))
            return None

    labels, judged = verdict.labels, verdict.judgement
    played = ", ".join(str(labels[key]) for key in ("stream", "source", "representation", "dtype") if key in labels)
    return {
        "name": f"{each.episode.name}{f', replay {each.repeat}' if each.repeat else ''}",
        "anchor": f"replay-{each.episode.name}-{each.repeat}",
        "verdict": verdict.verdict,
        "why": _why(verdict),
        "reason": verdict.reason,
        "played": played,
        "judged": str(judged.get("judge", "")),
        "findings": verdict.diagnosis[:_FINDINGS],
        "tests": verdict.preflight.get("S2", []),
        "film": attempt(lambda: _film(each)),
        "plot": attempt(lambda: _plot(each)),
        "gaps": gaps,
    }


def _why(verdict: Verdict) -> str:
    """The sentence that one reads first."""
    if verdict.verdict == "passed":
        return "The labels do what the demonstration did."
    if not verdict.diagnosis:
        return f"{verdict.verdict.capitalize()}: {verdict.reason}."
    first = verdict.diagnosis[0]
    where = f" ({first['joint']})" if first["joint"] else ""
    return f"Likeliest cause: {first['cause']}{where}: {first['evidence']}."


def _film(each: Replayed) -> str | None:
    """Recorded above replayed, both running to their ends."""
    frames = load_frames(each.into)
    if not frames:
        return None
    contract = load_episode(each.episode).loaded_contract
    names = [name for name in contract.cameras if name in frames]
    recorded = dict(zip(contract.cameras, pictures.read_frames(each.episode, contract), strict=True))
    end_then = max(int(recorded[name].stamps_ns[-1]) for name in names)
    end_now = max(int(frames[name].stamps_ns[-1]) for name in names)
    lasted_ns = end_now - min(int(frames[name].stamps_ns[0]) for name in names)
    step_ns = round(1e9 / pictures.FILM_RATE_HZ)
    film = []
    for before_ns in range(lasted_ns - lasted_ns % step_ns, -1, -step_ns):
        then = pictures.beside([recorded[name].at(end_then - before_ns) for name in names])
        now = pictures.beside([frames[name].at(end_now - before_ns) for name in names])
        film.append(pictures.above(then, now))
    return pictures.animation_uri(film, round(step_ns / 1e6 / pictures.FILM_SPEED))


def _plot(each: Replayed) -> str | None:
    traces = load_traces(each.into)
    return None if traces is None or not len(traces.measured) else plots.replay_plot(traces)


def _row(each: Replayed) -> dict[str, Any]:
    verdict = each.verdict
    worst = max((joint["max_rad"] for joint in verdict.tracking.get("joints", {}).values()), default=None)
    return {
        "name": each.episode.name,
        "repeat": each.repeat,
        "verdict": verdict.verdict,
        "cause": verdict.diagnosis[0]["cause"] if verdict.diagnosis else "",
        "reason": verdict.reason,
        "worst": "" if worst is None else f"{1e3 * worst:.1f}",
    }
