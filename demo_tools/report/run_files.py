"""What a run left behind, read without assuming that every stage has run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from demo_tools.replay.verdict import Verdict
from learned_arm.durable import read_json
from learned_arm.episode import Episode, load_episode
from learned_arm.errors import LearnedArmError

T = TypeVar("T")


@dataclass(frozen=True)
class Gap:
    """A part that is not there, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class Recording:
    """A recorded episode as the run's files speak of it.

    Attributes:
        seed: Seed of its initial state.
        folder: Where it lies.
        success: Its outcome.
        sim_seconds: Simulated time, None where the run does not say.
        episode: Its `episode.json`; None where it cannot be read.
        verdict: Its replay; None where there is none.
    """

    seed: int
    folder: Path
    success: bool
    sim_seconds: float | None
    episode: Episode | None
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Trials:
    """An evaluation: k successes of n, their Wilson interval, and the rollouts."""

    policy: str
    successes: int
    count: int
    low: float
    high: float
    rollouts: tuple[Recording, ...]


@dataclass
class Run:
    """A run folder. What is None or empty has an entry in `gaps`."""

    folder: Path
    summary: dict[str, Any] = field(default_factory=dict)
    stages: list[dict[str, Any]] = field(default_factory=list)
    demonstrations: tuple[Recording, ...] = ()
    replays: list[dict[str, Any]] = field(default_factory=list)
    evaluation: Trials | None = None
    blind: Trials | None = None
    loss: Any = None
    manifest: dict[str, Any] | None = None
    gaps: list[Gap] = field(default_factory=list)

    @property
    def policy_file(self) -> Path:
        """The exported policy, whether it is there or not."""
        return self.folder / "policy.onnx"

    def attempt(self, what: str, make: Callable[[], T]) -> T | None:
        """The value, or None and an entry in `gaps` when it cannot be had."""
        try:
            return make()
        except LearnedArmError as error:
            self.gaps.append(Gap(what, str(error)))
        except (AttributeError, KeyError, TypeError, IndexError) as error:
            self.gaps.append(Gap(what, f"unexpected content: {type(error).__name__}: {error}"))
        return None


def load_run(folder: Path) -> Run:
    """Read a run folder.

    Raises:
        LearnedArmError: It is no folder.
    """
    if not folder.is_dir():
        raise LearnedArmError("no such folder", got=str(folder), allowed="a run folder such as runs/demo/<utc>")
    run = Run(folder.resolve())

    def read(name: str) -> Any:
        if not (run.folder / name).is_file():
            raise LearnedArmError("not in this run", got=name)
        return read_json(run.folder / name)

    run.summary = run.attempt("summary", lambda: dict(read("summary.json"))) or {}
    run.stages = run.attempt("stage times", lambda: [_stage(each) for each in read("stages.json")]) or []
    run.replays = run.attempt("replays", lambda: [_replay(each) for each in read("replays.json")["replays"]]) or []
    run.demonstrations = (
        run.attempt(
            "demonstrations",
            lambda: tuple(_demonstration(run, each) for each in read("record.json")["episodes"]),
        )
        or ()
    )
    run.evaluation = run.attempt("evaluation", lambda: _trials(run, read("evaluation.json")))
    run.blind = run.attempt("blind evaluation", lambda: _trials(run, read("blind.json")))
    run.loss = run.attempt("loss curve", lambda: read("training/loss.json"))
    run.manifest = run.attempt("dataset manifest", lambda: dict(read("dataset/manifest.json")))
    if not run.policy_file.is_file():
        run.gaps.append(Gap("policy", "policy.onnx is not in this run"))
    return run


def _stage(value: dict[str, Any]) -> dict[str, Any]:
    return {"stage": str(value["stage"]), "seconds": float(value["seconds"])}


def _replay(value: dict[str, Any]) -> dict[str, str]:
    return {
        "folder": str(value["folder"]),
        "verdict": str(value["verdict"]),
        "reason": str(value.get("reason", "")),
    }


def _inside(run: Run, relative: str) -> Path:
    path = (run.folder / relative).resolve()
    if not path.is_relative_to(run.folder):
        raise LearnedArmError("leads out of the run", where=run.folder, got=relative, allowed="a path inside")
    return path


def _recording(run: Run, value: dict[str, Any], success: bool, verdict: bool) -> Recording:
    folder = _inside(run, value["folder"])
    seconds = value.get("sim_seconds")
    return Recording(
        seed=int(value["seed"]),
        folder=folder,
        success=success,
        sim_seconds=None if seconds is None else float(seconds),
        episode=run.attempt(f"episode {folder.name}", lambda: load_episode(folder)),
        verdict=run.attempt(f"replay of {folder.name}", lambda: Verdict.load(folder)) if verdict else None,
    )


def _demonstration(run: Run, value: dict[str, Any]) -> Recording:
    return _recording(run, value, value["outcome"] == "success", verdict=True)


def _trials(run: Run, value: dict[str, Any]) -> Trials:
    low, high = value["wilson"]
    rollouts = tuple(_recording(run, each, bool(each["success"]), verdict=False) for each in value["trials"])
    return Trials(str(value["policy"]), int(value["successes"]), int(value["count"]), float(low), float(high), rollouts)
