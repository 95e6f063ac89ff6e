"""What came of a session: its episodes in order, counts against targets, `sessions/<name>.json` after each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from learned_arm import checked
from learned_arm.durable import read_json, write_json
from learned_arm.episode import OUTCOMES, Episode
from learned_arm.errors import LearnedArmError

SESSION_VERSION = 1
SESSIONS_FOLDER = "sessions"
TAKEN_OUT = "discarded"


def parse_targets(text: str, where: str) -> dict[str, int]:
    """`pick_cube:50,reach:20` -> by task how many successes are wanted.

    Raises:
        LearnedArmError: A task's name or a count is not allowed.
    """
    found: dict[str, int] = {}
    for entry in filter(None, (each.strip() for each in text.split(","))):
        task, _, count = entry.partition(":")
        checked.name(task, where)
        if not count.isdecimal() or not 1 <= int(count) <= 1_000_000 or task in found:
            raise LearnedArmError("not a target", where=where, got=entry, allowed="<task>:<count>, each task once")
        found[task] = int(count)
    return found


@dataclass(frozen=True)
class Entry:
    """An episode of a session.

    Attributes:
        name: Its folder's name.
        task: Its task.
        outcome: `success`, `failure`, or `discarded` when it was taken out afterwards.
        seconds: How long it was.
        lossy: Contract streams of which messages were lost.
    """

    name: str
    task: str
    outcome: str
    seconds: float
    lossy: tuple[str, ...] = ()


class SessionLog:
    """Kept in one file, whole after every episode; a session that is there already goes on.

    Args:
        root: Folder of all episodes.
        name: Of the session.
        operator: Who records.
        targets: By task how many successes are wanted.
        start_ns: System time.
    """

    def __init__(self, root: Path, name: str, operator: str, targets: Mapping[str, int], start_ns: int) -> None:
        self.path = root / SESSIONS_FOLDER / f"{checked.name(name, 'session')}.json"
        self.name, self.targets = name, dict(targets)
        self._operator, self._start_ns, self._end_ns = operator, start_ns, start_ns
        self._entries: dict[str, Entry] = {}
        if self.path.exists():
            self._go_on()

    def add(self, episode: Episode) -> None:
        """An episode has ended."""
        seconds = (episode.end_ns - episode.start_ns) / 1e9
        self._entries[episode.name] = Entry(
            episode.name, episode.task, episode.outcome, round(seconds, 3), episode.lossy
        )
        self._save(episode.end_ns)

    def relabel(self, name: str, outcome: str, now_ns: int) -> None:
        """An episode of this session was relabelled or taken out; one of another session is passed over."""
        if name in self._entries:
            self._entries[name] = replace(self._entries[name], outcome=outcome)
            self._save(now_ns)

    def count(self, task: str, outcome: str) -> int:
        """Episodes of a task with an outcome."""
        return sum(each.task == task and each.outcome == outcome for each in self._entries.values())

    def left(self, task: str) -> int | None:
        """Successes that a task still wants, None without a target."""
        wanted = self.targets.get(task)
        return None if wanted is None else max(wanted - self.count(task, "success"), 0)

    def summary(self) -> dict[str, Any]:
        """Plain data, as in the file."""
        tasks = dict.fromkeys([*self.targets, *(each.task for each in self._entries.values())])
        return {
            "version": SESSION_VERSION,
            "session": self.name,
            "operator": self._operator,
            "start_ns": self._start_ns,
            "end_ns": self._end_ns,
            "tasks": {
                task: {
                    **{outcome: self.count(task, outcome) for outcome in (*OUTCOMES, TAKEN_OUT)},
                    "target": self.targets.get(task),
                    "seconds": round(sum(each.seconds for each in self._entries.values() if each.task == task), 3),
                }
                for task in tasks
            },
            "episodes": [asdict(each) for each in self._entries.values()],
        }

    def _go_on(self) -> None:
        before = load_session(self.path)
        self._start_ns, self._end_ns = before["start_ns"], before["end_ns"]
        for each in before["episodes"]:
            try:
                entry = Entry(**{**each, "lossy": tuple(each["lossy"])})
            except (TypeError, KeyError) as error:
                raise LearnedArmError("not an episode of a session", where=self.path, got=each) from error
            self._entries[entry.name] = entry

    def _save(self, end_ns: int) -> None:
        self._end_ns = max(self._end_ns, end_ns)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.path, self.summary())


def load_session(path: Path) -> dict[str, Any]:
    """A session's summary, as `SessionLog.summary` gave it.

    Raises:
        LearnedArmError: It is missing or no session.
    """
    top = checked.Section(read_json(path), str(path))
    top.take("version", checked.integer(SESSION_VERSION, SESSION_VERSION))
    found = dict(top.items())
    for key in ("session", "operator", "tasks", "episodes", "start_ns", "end_ns"):
        if key not in found:
            raise LearnedArmError(f"missing key '{key}'", where=path, got=sorted(found))
    return found
