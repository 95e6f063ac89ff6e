"""`learned-arm sweep`: the table grows on disk, so that a run that was cut off goes on; then the picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from demo_tools.flow.progress import bar, console
from demo_tools.sweep.designs import AS_SENT, LabelDesign
from demo_tools.sweep.picture import draw
from demo_tools.sweep.run import ERROR_SHARE, Row, contenders, sweep
from learned_arm.canonical import hash_of
from learned_arm.durable import read_json, write_json
from learned_arm.episode import load_episode
from learned_arm.errors import LearnedArmError
from learned_arm.software import git_state, packages

FILE_NAME, PICTURE_NAME = "sweep.json", "sweep.png"


def run_sweep(folders: Sequence[Path], out: Path, workers: int, designs: Sequence[LabelDesign]) -> int:
    """Compare designs, print the table, leave `sweep.json` and `sweep.png`; 0, or 1 when no design ever passed.

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
        # What another physics or another code made is another table.
        "software": {"git": git_state(Path(__file__).parent), "packages": packages(("mujoco", "numpy"))},
    }
    known = _known(out / FILE_NAME, made_from)
    rows = dict(known)
    with bar("sweep", len(designs)) as advance:
        for row in sweep(folders, designs, workers, known=known):
            rows[row.design] = row
            _save(out / FILE_NAME, made_from, rows, None)
            advance("all pass" if row.passed == row.count else "some fail" if row.passed else "none pass")
    ordered = [rows[design.name] for design in designs]
    good = contenders(ordered)
    best = good[0] if good else None
    _save(out / FILE_NAME, made_from, {row.design: row for row in ordered}, best)
    compared = sum(design != AS_SENT for design in designs)
    title = f"{episodes[0].task}: {len(episodes)} episodes under {compared} label designs"
    draw(ordered, best, title, out / PICTURE_NAME)
    console.print(_table(ordered, best, title))
    if best is None:
        console.print(f"no design ever passed; the causes are in {out / FILE_NAME}")
    else:
        alike = f"{len(good) - 1} others pass about as often: more episodes tell more of them apart"
        console.print(f"recommended: {best.design}\n{alike}\n{out / FILE_NAME}  {out / PICTURE_NAME}")
    return 0 if best is not None else 1


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


def _table(rows: Sequence[Row], best: Row | None, title: str) -> Table:
    # Lines between columns would leave too little of a terminal for the names.
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("design", "passed", "95 %", "errors", "mrad", "step"):
        table.add_column(column, no_wrap=True, min_width=len(column))
    for row in rows:
        low, high = row.statement()["clopper_pearson"]
        table.add_row(
            f"{'> ' if row is best else ''}{row.design}",
            f"{row.passed}/{row.count}",
            f"{100 * low:.0f}-{100 * high:.0f}",
            f"{row.passed_with_errors}",
            f"{1e3 * row.tracking_rad:.1f}",
            f"{1e3 * row.step_rad:.1f}",
        )
    return table
