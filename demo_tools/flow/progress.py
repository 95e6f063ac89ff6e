"""Progress bars of long work, with a tally of outcomes beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

console = Console()


@contextmanager
def bar(title: str, total: int) -> Iterator[Callable[[str], None]]:
    """A bar; call the yielded function once a unit of work with its outcome in a word."""
    tally: Counter[str] = Counter()
    columns = (
        TextColumn("{task.description:<9}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[outcomes]}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=total, outcomes="")

        def advance(outcome: str) -> None:
            tally[outcome] += 1
            text = "  ".join(f"{name} {count}" for name, count in sorted(tally.items()) if name)
            progress.update(task, advance=1, outcomes=text)

        yield advance
    if not console.is_terminal:
        text = "  ".join(f"{name} {count}" for name, count in sorted(tally.items()) if name)
        console.print(f"{title}: {sum(tally.values())} of {total}  {text}")
