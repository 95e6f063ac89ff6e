"""Puts the report together: reads the run, draws, renders one HTML file without a reference to anything outside it."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from demo_tools.dataset.manifest import Manifest
from demo_tools.report import chain, plots, sections
from demo_tools.report.predictions import predict
from demo_tools.report.run_files import Run, Trials, load_run
from learned_arm.durable import write_whole
from learned_arm.errors import LearnedArmError
from learned_policy_node.loading import open_policy

FILE_NAME = "report.html"


def write_report(run_folder: Path) -> Path:
    """Write `report.html` into a run folder. Parts that the run lacks are named on the page, never made up.

    Returns:
        The page's path.

    Raises:
        LearnedArmError: The folder is none, or holds nothing of a run.
    """
    run = load_run(run_folder)
    if not (run.summary or run.demonstrations or run.evaluation):
        raise LearnedArmError(
            "no run here",
            where=run_folder,
            allowed="a folder with summary.json, record.json or evaluation.json",
        )
    path = run.folder / FILE_NAME
    write_whole(path, template("report.html.j2").render(_context(run)).encode())
    return path


def _context(run: Run) -> dict[str, Any]:
    manifest = (
        run.attempt("dataset", lambda: Manifest.load(run.folder / "dataset")) if run.manifest is not None else None
    )
    policy = run.attempt("policy file", lambda: open_policy(run.policy_file)) if run.policy_file.is_file() else None
    shown = run.attempt("held-out episode", lambda: sections.held_out(run, manifest)) if run.demonstrations else None
    predictions = None
    if policy is not None and shown is not None:
        predictions = run.attempt("predictions", lambda: predict(run.policy_file, shown.folder))
    curves = run.attempt("loss curve", lambda: plots.loss_curves(run.loss)) if run.loss is not None else None
    budget = sections.film_budget()
    links = chain.hash_chain(run, manifest, policy.lineage if policy is not None else None)
    context: dict[str, Any] = {
        "css": Markup(_resource("style.css")),
        "task": run.summary.get("task", "a task"),
        "name": run.folder.name,
        "robot": policy.contract.robot.name if policy is not None else "",
        "sentence": _sentence(run.evaluation, run.blind),
        "tiles": sections.tiles(run),
        "intervals": _intervals(run),
        "stages": run.stages,
        "longest_s": max((each["seconds"] for each in run.stages), default=1.0) or 1.0,
        "minutes": sections.minutes,
        "episodes": sections.episode_rows(run),
        "strips": sections.strips(run),
        "refused": manifest.refused if manifest is not None else (),
        "replays": run.replays,
        "replay_reasons": sections.replay_reasons(run),
        "tracking": run.attempt("tracking errors", lambda: sections.tracking(run)) if run.demonstrations else None,
        "loss": plots.loss_plot(curves) if curves else None,
        "predictions": plots.prediction_plot(predictions) if predictions is not None else None,
        "predicted_seed": shown.seed if shown is not None else None,
        "films": sections.films(run, run.evaluation, budget),
        "blind_films": sections.films(run, run.blind, budget),
        "evaluation": run.evaluation,
        "blind": run.blind,
        "links": links,
        "broken": chain.broken(links),
        "environment": run.attempt("environment", lambda: sections.environment(run)) if run.demonstrations else None,
    }
    context["gaps"] = list(dict.fromkeys(run.gaps))
    return context


def _sentence(evaluation: Trials | None, blind: Trials | None) -> str:
    if evaluation is None or not evaluation.count:
        return "No evaluation is part of this run."
    text = (
        f"From {evaluation.count} initial states that it never saw, the policy solved {evaluation.successes} "
        f"({sections.percent(evaluation.successes / evaluation.count)}; 95 % Wilson interval "
        f"{sections.percent(evaluation.low, 1)} to {sections.percent(evaluation.high, 1)})."
    )
    if blind is not None and blind.count:
        text += f" Shown the images of another initial state, it solved {blind.successes} of {blind.count}: "
        text += (
            "it acts on what it sees."
            if blind.high < evaluation.low
            else "the intervals overlap, so this run does not prove that it looks."
        )
    return text


def _intervals(run: Run) -> list[dict[str, Any]]:
    rows = (
        ("as evaluated", run.evaluation, "blue", sections.SUCCESS_BAR),
        ("with other images", run.blind, "orange", sections.BLIND_BAR),
    )
    return [
        {
            "label": label,
            "low": each.low,
            "high": each.high,
            "rate": each.successes / each.count,
            "color": color,
            "bar": bar,
            "text": f"{each.successes} of {each.count}",
        }
        for label, each, color, bar in rows
        if each is not None and each.count
    ]


def template(name: str) -> jinja2.Template:
    """A page's template by the name of its file."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_resource(name))


def _resource(name: str) -> str:
    return resources.files("demo_tools.report").joinpath(name).read_text(encoding="utf-8")
