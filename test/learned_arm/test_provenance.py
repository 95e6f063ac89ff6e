"""The snapshot says what it found and what it could not reach."""

from __future__ import annotations

import subprocess
from pathlib import Path

from learned_arm.canonical import canonical_json, sha256_hex
from learned_arm.contract import load_contract
from learned_arm.provenance import middleware, snapshot
from learned_arm.software import git_state, packages

PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE"
CONTRACT = load_contract("pick_cube")


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def test_the_snapshot_is_plain_data_and_names_the_contract(tmp_path: Path) -> None:
    found = snapshot(CONTRACT, repository=tmp_path, environment={})
    assert canonical_json(found)
    assert found["contract"] == CONTRACT.hash
    assert found["software"]["packages"]["numpy"]
    assert found["system"]["kernel"]
    assert "unreachable" in found["git"]


def test_a_package_that_is_missing_is_said_to_be() -> None:
    assert packages(["no-such-distribution"]) == {"no-such-distribution": None}


def test_git_tells_commit_and_every_kind_of_change(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert "unreachable" in git_state(tmp_path)
    (tmp_path / "a.txt").write_text("one\n")
    git(tmp_path, "add", "a.txt")
    git(tmp_path, "commit", "-q", "-m", "first")
    clean = git_state(tmp_path)
    assert len(clean["commit"] or "") == 40 and clean["dirty_sha256"] is None
    (tmp_path / "a.txt").write_text("two\n")
    changed = git_state(tmp_path)
    (tmp_path / "new.txt").write_text("x")
    added = git_state(tmp_path)
    (tmp_path / "new.txt").write_text("y")
    edited = git_state(tmp_path)
    hashes = {each["dirty_sha256"] for each in (clean, changed, added, edited)}
    assert len(hashes) == 4
    assert {each["commit"] for each in (clean, changed, added, edited)} == {clean["commit"]}


def test_a_profile_is_hashed_by_content(tmp_path: Path) -> None:
    profile = tmp_path / "profile.xml"
    profile.write_text("<a/>")
    found = middleware({"FASTRTPS_DEFAULT_PROFILES_FILE": str(profile), "RMW_IMPLEMENTATION": "rmw_fastrtps_cpp"})
    assert found["profiles"]["FASTRTPS_DEFAULT_PROFILES_FILE"] == {
        "file": "profile.xml",
        "sha256": sha256_hex(b"<a/>"),
    }
    assert found["settings"]["RMW_IMPLEMENTATION"] == "rmw_fastrtps_cpp"
    missing = middleware({PROFILE: str(tmp_path / "none.xml")})
    assert "unreachable" in missing["profiles"][PROFILE]
