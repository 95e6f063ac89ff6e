"""`learned-arm sweep`: the table grows on disk, so that a run that was cut off goes on; then the picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from demo_tools.flow.progress import bar, console
from demo_tools.sweep.designs import LabelDesign
from demo_tools.sweep.picture import draw
from demo_tools.sweep.run import ERROR_SHARE, Row, recommend, sweep
from learned_arm.canonical import hash_of
from learned_arm.durable import read_json, write_json
from learned_arm.episode import load_episode
from learned_arm.errors import LearnedArmError

FILE_NAME, PICTURE_NAME = "sweep.json", "sweep.png"


def run_sweep(
    folders: Sequence[Path], out: Path, workers: int, designs: Sequence[LabelDesign]
) -> int:
    """Compare designs, print the table, leave `sweep.json` and `sweep.png`; 0.

    Args:
        folders: Episodes of one task, recorded on the simulated arm.
        out: Where the files go.
        workers: Processes side by side.
        designs: What to compare.

    Raises:
        LearnedArmError: No episode, episodes of several contracts, or another sweep lies there.
    """
    if not folders:
        raise LearnedArmError("no episode given", allowed="learned-arm sweep <episode folder> ...")
    if workers < 1:
        raise LearnedArmError("no worker", got=workers, allowed="1 or more")
    episodes = [load_episode(folder) for folder in folders]
    made_from = {
        "task": episodes[0].task,
        "contract_hash": episodes[0].contract_hash,
        "episodes": hash_of(sorted(each.messages_hash for each in episodes)),
        "count": len(episodes),
        "error_share": ERROR_SHARE,
    }
    known = _known(out / FILE_NAME, made_from)
    rows = dict(known)
    with bar("sweep", len(designs)) as advance:
        for row in sweep(folders, designs, workers, known=known):
            rows[row.design] = row
            _save(out / FILE_NAME, made_from, rows, None)
            advance("all pass" if row.passed == row.count else "some fail" if row.passed else "none pass")
    ordered = [rows[design.name] for design in designs]
    best = recommend(ordered)
    _save(out / FILE_NAME, made_from, {row.design: row for row in ordered}, best)
    title = f"{episodes[0].task}: {len(episodes)} episodes under {len(ordered)} label designs"
    draw(ordered, best.design, title, out / PICTURE_NAME)
    console.print(_table(ordered, best, title))
    console.print(f"recommended: {best.design}   {out / FILE_NAME}   {out / PICTURE_NAME}")
    return 0


def _known(path: Path, made_from: dict[str, Any]) -> dict[str, Row]:
    if not path.is_file():
        return {}
    content = read_json(path)
    if content.get("made_from") != made_from:
        raise LearnedArmError("another sweep is here", where=path, got=made_from, allowed=content.get("made_from"))
    return {each["design"]: Row.of(each) for each in content["rows"]}


def _save(path: Path, made_from: dict[str, Any], rows: dict[str, Row], best: Row | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    recommended = None if best is None else best.design
    statements = [row.statement() for row in rows.values()]
    write_json(path, {"sweep": 1, "made_from": made_from, "recommended": recommended, "rows": statements})


def _table(rows: Sequence[Row], best: Row, title: str) -> Table:
    table = Table(title=title)
    for column in ("design", "passed", "95 % (exact)", "with errors", "tracking, rad", ""):
        table.add_column(column)
    for row in rows:
        low, high = row.statement()["clopper_pearson"]
        table.add_row(
            row.design,
            f"{row.passed} of {row.count}",
            f"{low:.0%} to {high:.0%}",
            f"{row.passed_with_errors}",
            f"{row.tracking_rad:.4f}",
            "recommended" if row is best else "",
        )
    return table
