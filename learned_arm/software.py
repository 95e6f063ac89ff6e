"""What software is installed, checked out and loaded: Python and ament packages, git repositories, libraries."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from learned_arm.errors import LearnedArmError
from learned_arm.xml_text import parse_xml

_GIT_TIMEOUT_S = 5.0
_LARGEST_UNTRACKED_BYTES = 10_000_000
_MOST_REPOSITORIES = 50
_REPOSITORY_DEPTH = 3
_CONTROLLER_MANAGERS = ("ros2_control_node", "controller_manager", "gz_ros2_control")
_INDEX = "share/ament_index/resource_index/packages"


def packages(names: Sequence[str]) -> dict[str, str | None]:
    """Installed version by distribution name, None where it is not installed."""
    found: dict[str, str | None] = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def python_packages() -> dict[str, str]:
    """Version of every Python distribution on the path; of two with one name, the one that is imported."""
    found: dict[str, str] = {}
    for each in metadata.distributions():
        if name := each.metadata["Name"]:
            found.setdefault(name.lower().replace("_", "-"), each.version)
    return dict(sorted(found.items()))


def prefixes(environment: Mapping[str, str]) -> list[Path]:
    """Ament prefixes in the order in which they are searched, and this Python's own."""
    listed = [Path(each) for each in environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if each]
    return list(dict.fromkeys([*listed, Path(sys.prefix)]))


def ament_packages(found_in: Iterable[Path]) -> dict[str, str]:
    """Version of every package of the ament index, by its package.xml; the first prefix that has it counts."""
    found: dict[str, str] = {}
    for prefix in found_in:
        index = prefix / _INDEX
        for name in sorted(os.listdir(index)) if index.is_dir() else ():
            if name not in found:
                found[name] = _package_version(prefix / "share" / name / "package.xml")
    return found


def git_state(folder: Path) -> dict[str, str | None]:
    """Commit of a checkout, and a hash of what differs from it (untracked files included).

    Returns:
        `commit` and `dirty_sha256` (None when clean), or `unreachable` with the reason.
    """
    try:
        top = Path(_git(folder, "rev-parse", "--show-toplevel").decode().strip())
        commit = _git(top, "rev-parse", "HEAD").decode().strip()
        changes = hashlib.sha256()
        difference = _git(top, "diff", "HEAD", "--binary")
        untracked = sorted(filter(None, _git(top, "ls-files", "--others", "--exclude-standard", "-z").split(b"\0")))
        changes.update(difference)
        for name in untracked:
            path = top / os.fsdecode(name)
            if path.is_file() and path.stat().st_size <= _LARGEST_UNTRACKED_BYTES:
                changes.update(name + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    except (OSError, subprocess.SubprocessError) as error:
        return {"unreachable": reason(error)}
    return {"commit": commit, "dirty_sha256": changes.hexdigest() if difference or untracked else None}


def workspaces(environment: Mapping[str, str]) -> dict[str, dict[str, str | None]]:
    """Git state of every repository in the sources above each prefix, by its place there, such as `ur_driver`."""
    variables = (environment.get(name, "") for name in ("AMENT_PREFIX_PATH", "COLCON_PREFIX_PATH"))
    listed = [Path(each) for value in variables for each in value.split(os.pathsep) if each]
    # `<workspace>/install` or, without merging, `<workspace>/install/<package>`.
    sources = dict.fromkeys(above / "src" for prefix in listed for above in (prefix.parent, prefix.parent.parent))
    found: dict[str, dict[str, str | None]] = {}
    for source in sources:
        for repository in _repositories(source, _REPOSITORY_DEPTH):
            if len(found) >= _MOST_REPOSITORIES:
                return found
            name = source.parent.name if repository == source else str(repository.relative_to(source))
            found.setdefault(name if name not in found else f"{source.parent.name}/{name}", git_state(repository))
    return found


class LoadedLibraries:
    """SHA-256 of the libraries that a running controller manager has loaded; a file that stays is read once."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._known: dict[tuple[str, int, int], str] = {}

    def hashes(self, below: Sequence[Path]) -> dict[str, str]:
        """By path below the ament prefix that a library lies in; libraries of the system are left out.

        A process that this user may not look into, or that has ended, gives nothing.
        """
        found: dict[str, str] = {}
        for pid in self._controller_managers():
            for path in self._mapped(pid):
                prefix = next((each for each in below if path.is_relative_to(each)), None)
                if prefix is not None and (digest := self._hash(path)) is not None:
                    found[str(path.relative_to(prefix))] = digest
        return dict(sorted(found.items()))

    def _controller_managers(self) -> list[str]:
        found = []
        for pid in filter(str.isdigit, os.listdir(self._proc)):
            try:
                command = (self._proc / pid / "cmdline").read_bytes().split(b"\0")[0]
            except OSError:
                continue
            if Path(os.fsdecode(command)).name in _CONTROLLER_MANAGERS:
                found.append(pid)
        return found

    def _mapped(self, pid: str) -> list[Path]:
        try:
            lines = (self._proc / pid / "maps").read_text(errors="replace").splitlines()
        except OSError:
            return []
        columns = (line.split(maxsplit=5) for line in lines)
        names = {each[5] for each in columns if len(each) == 6 and ".so" in each[5]}
        return [Path(name) for name in sorted(names) if name.startswith("/")]

    def _hash(self, path: Path) -> str | None:
        try:
            status = path.stat()
            key = str(path), status.st_mtime_ns, status.st_size
            if key not in self._known:
                with path.open("rb") as file:
                    self._known[key] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return None
        return self._known[key]


def reason(error: Exception) -> str:
    """Why something could not be asked, in a line."""
    if isinstance(error, subprocess.CalledProcessError):
        lines = error.stderr.decode("utf-8", "replace").strip().splitlines()
        return lines[0] if lines else f"git exit status {error.returncode}"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return type(error).__name__


def _package_version(path: Path) -> str:
    try:
        return (parse_xml(path.read_bytes(), path.name).findtext("version") or "").strip() or "not stated"
    except (OSError, LearnedArmError):
        return "unreadable"


def _repositories(folder: Path, depth: int) -> list[Path]:
    if (folder / ".git").exists():
        return [folder]
    if depth == 0 or not folder.is_dir():
        return []
    below = (each for each in sorted(folder.iterdir()) if each.is_dir() and not each.name.startswith("."))
    return [found for each in below for found in _repositories(each, depth - 1)]


def _git(folder: Path, *arguments: str) -> bytes:
    # Locks are optional here: a snapshot must never make a developer's own git command fail.
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, timeout=_GIT_TIMEOUT_S).stdout
