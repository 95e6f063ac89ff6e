"""`learned-arm golden`: replays a kept set after a change, and writes a waiver where it stays inside its baseline."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from demo_tools.flow import stages
from demo_tools.flow.progress import bar
from demo_tools.replay.golden import Golden, Waiver
from demo_tools.replay.many import ManyReplays
from learned_arm.canonical import hash_of
from learned_arm.contract import load_contract
from learned_arm.episode import load_episode
from learned_arm.errors import LearnedArmError
from learned_arm.software import git_state, packages

FILE_NAME = "golden.json"
_PACKAGES = ("mujoco", "numpy", "onnxruntime", "mink", "ruckig")


def run_golden(folders: Sequence[Path], out: Path, contract: str, times: int, workers: int, live: bool) -> int:
    """Replay, make or check the baseline; 1 when something left it.

    Args:
        folders: Golden episodes.
        out: Folder of baseline and waivers.
        contract: Another contract than the recorded one, by name or path; empty: that one.
        times: Replays of each.
        workers: Stacks side by side.
        live: On the robot that runs.

    Raises:
        LearnedArmError: There is no baseline yet and an episode did not pass, or the baseline was altered.
    """
    path = out / FILE_NAME
    recorded = load_episode(folders[0]).loaded_contract
    played = load_contract(contract) if contract else recorded
    before = Golden.load(path) if path.is_file() else None
    with tempfile.TemporaryDirectory(prefix="learned_arm_") as scratch:
        many = ManyReplays(folders, Path(scratch), times)
        if live:
            stages.replay_live(many.left(), contract=contract)
        else:
            with bar("golden", len(folders) * times) as advance:
                stages.replay_simulated(played, many.left(), workers, advance, relabelled=bool(contract))
        verdicts = many.by_episode()
        if lacking := [folder.name for folder, each in verdicts.items() if len(each) < times]:
            raise LearnedArmError("replays left no verdict", where=out, got=lacking, allowed=f"{times} of each")
    now = state_of(played.hash)
    if before is None:
        made = Golden.of(verdicts, now)
        made.save(path)
        print(f"{len(made.largest_rad)} golden episodes  {path}")
        return 0
    strayed = before.strays(verdict for each in verdicts.values() for verdict in each)
    if strayed:
        print("\n".join(strayed))
        return 1
    waiver = Waiver(before.state, now, before.hash, tuple(sorted(before.largest_rad)))
    print(f"inside the baseline  {waiver.save(out)}")
    return 0


def state_of(contract_hash: str) -> dict[str, Any]:
    """What a replay rests on besides the episode: contract, code and libraries."""
    software = {"git": git_state(Path(__file__).parent), "packages": packages(_PACKAGES)}
    return {"contract_hash": contract_hash, "software": software, "snapshot_hash": hash_of([contract_hash, software])}
