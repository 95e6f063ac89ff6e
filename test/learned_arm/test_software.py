"""Software is named by version, commit or hash, and what cannot be read is said to be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy

from learned_arm.canonical import sha256_hex
from learned_arm.software import LoadedLibraries, ament_packages, prefixes, python_packages, workspaces


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def package(prefix: Path, name: str, xml: str) -> None:
    index = prefix / "share/ament_index/resource_index/packages"
    index.mkdir(parents=True, exist_ok=True)
    (index / name).touch()
    (prefix / "share" / name).mkdir(parents=True)
    (prefix / "share" / name / "package.xml").write_text(xml)


def test_python_packages_have_the_version_that_is_imported() -> None:
    assert python_packages()["numpy"] == numpy.__version__


def test_the_first_ament_prefix_counts(tmp_path: Path) -> None:
    over, under = tmp_path / "over", tmp_path / "under"
    package(over, "driver", "<package><version>2.0.0</version></package>")
    package(under, "driver", "<package><version>1.0.0</version></package>")
    package(under, "broken", "<package>")
    package(under, "bare", "<package/>")
    found = ament_packages([over, under, tmp_path / "none"])
    assert found == {"driver": "2.0.0", "broken": "unreadable", "bare": "not stated"}


def test_prefixes_are_searched_in_order_and_end_with_this_python() -> None:
    assert prefixes({"AMENT_PREFIX_PATH": f"/a:/b:{sys.prefix}"}) == [Path("/a"), Path("/b"), Path(sys.prefix)]
    assert prefixes({}) == [Path(sys.prefix)]


def test_repositories_above_a_prefix_are_found_merged_or_not(tmp_path: Path) -> None:
    for name in ("src/driver", "src/vendor/tools"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        git(folder, "init", "-q")
        (folder / "a.txt").write_text(name)
        git(folder, "add", "a.txt")
        git(folder, "commit", "-q", "-m", "first")
    for prefix in ("install", "install/driver"):
        found = workspaces({"AMENT_PREFIX_PATH": str(tmp_path / prefix)})
        assert sorted(found) == ["driver", "vendor/tools"]
        assert all(len(each["commit"] or "") == 40 and each["dirty_sha256"] is None for each in found.values())
    (tmp_path / "src/driver/a.txt").write_text("changed")
    assert workspaces({"AMENT_PREFIX_PATH": str(tmp_path / "install")})["driver"]["dirty_sha256"]


def proc(folder: Path, pid: int, command: str, maps: str) -> None:
    (folder / str(pid)).mkdir(parents=True)
    (folder / str(pid) / "cmdline").write_bytes(command.encode() + b"\0--ros-args\0")
    (folder / str(pid) / "maps").write_text(maps)


def mapping(path: Path | str) -> str:
    return f"7f0000000000-7f0000001000 r-xp 00000000 08:01 42                 {path}\n"


def test_libraries_of_a_controller_manager_are_hashed(tmp_path: Path) -> None:
    library = tmp_path / "ws/lib/libmy controller.so"
    library.parent.mkdir(parents=True)
    library.write_bytes(b"code")
    maps = mapping(library) * 2 + mapping("/usr/lib/libc.so.6") + mapping("[heap]") + mapping(tmp_path / "ws/gone.so")
    proc(tmp_path / "proc", 7, "/opt/ros/lib/controller_manager/ros2_control_node", maps)
    proc(tmp_path / "proc", 8, "/usr/bin/python3", mapping(tmp_path / "ws/lib/other.so"))
    (tmp_path / "proc/9").mkdir()
    libraries = LoadedLibraries(tmp_path / "proc")
    assert libraries.hashes([tmp_path / "ws"]) == {"lib/libmy controller.so": sha256_hex(b"code")}
    library.write_bytes(b"new code")
    assert libraries.hashes([tmp_path / "ws"]) == {"lib/libmy controller.so": sha256_hex(b"new code")}


def test_where_no_controller_manager_runs_no_library_is_named() -> None:
    assert LoadedLibraries().hashes([Path("/none")]) == {}
