"""Episodes that passed replay -> a dataset with its manifest, whole or not at all."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from demo_tools.dataset import video
from demo_tools.dataset.gate import Accepted, Admission, Gate, admit
from demo_tools.dataset.lerobot_v3 import EpisodeColumns, LeRobotWriter
from demo_tools.dataset.manifest import DatasetEpisode, Manifest, RefusedEpisode
from demo_tools.dataset.sources import SOURCE_NAMES, counted, parts_to_learn
from demo_tools.dataset.statistics import image_histogram
from demo_tools.dataset.ticks import EpisodeTicks, read_episode_ticks
from learned_arm.contract import Contract
from learned_arm.durable import rename_folder
from learned_arm.errors import LearnedArmError
from learned_arm.lineage import Statement

# Raised whenever the same bags would give other columns or frames.
CONVERTER_VERSION = 2
LINEAGE_FILE = "lineage.json"
_FEW_EPISODES = 8
_STRICT = Gate()

Progress = Callable[[int, int], None]
_Job = tuple[str, dict[str, Any], bool]


@dataclass(frozen=True)
class _Converted:
    columns: EpisodeColumns
    content_hash: str
    trimmed: dict[str, int]
    sources: dict[str, int]
    handed_over: bool
    codec_error: dict[str, video.CodecError]


@dataclass(frozen=True)
class _Parts:
    """What one recorded episode gave: its parts that go in, and the frames of it that do not, by source."""

    parts: list[_Converted]
    left_out: dict[str, int]


def build_dataset(
    episodes: Sequence[Path],
    contract: Contract,
    out: Path,
    *,
    gate: Gate = _STRICT,
    policy_frames: bool = False,
    validation_share: float = 0.05,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Convert episodes to a dataset.

    Only successful episodes go in whose replay passed under this very contract. Those that are refused are listed in
    the manifest with the reason. Of a rollout in which a person took over, every stretch of the person's frames
    becomes an episode of its own.

    Args:
        episodes: Episode folders; their order does not matter.
        contract: Observations and labels.
        out: Folder of the dataset; must not exist.
        gate: What may go in besides successes whose replay passed; the manifest says so.
        policy_frames: Let in frames that a policy commanded; the manifest says so.
        validation_share: Share of episodes that are kept from training, at least one when there are two.
        seed: Of the split.
        workers: Processes; None for one a core.
        progress: Called with (episodes done, episodes in all).

    Raises:
        LearnedArmError: `out` exists, or no episode is left.
    """
    if out.exists():
        raise LearnedArmError("exists already", where=out, allowed="a new folder")
    if not 0.0 <= validation_share < 1.0:
        raise LearnedArmError("share not in range", got=validation_share, allowed="[0, 1)")
    admission = admit(episodes, contract, gate)
    folder = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    folder.mkdir(parents=True)
    try:
        manifest = _write(
            admission,
            contract,
            folder,
            gate,
            policy_frames,
            validation_share,
            seed,
            workers,
            progress,
        )
        rename_folder(folder, out)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return manifest


def _write(
    admission: Admission,
    contract: Contract,
    folder: Path,
    gate: Gate,
    policy_frames: bool,
    validation_share: float,
    seed: int,
    workers: int | None,
    progress: Progress | None,
) -> Manifest:
    accepted, refused = admission.accepted, list(admission.refused)
    writer = LeRobotWriter(folder, contract)
    codec_error = dict.fromkeys(contract.cameras, video.CodecError())
    kept: list[tuple[Accepted, _Converted]] = []
    canonical = contract.canonical()
    jobs = [(str(each.folder), canonical, policy_frames) for each in accepted]
    left_out: Counter[str] = Counter()
    turned_away = len(refused)
    for done in range(turned_away if progress is not None else 0):
        assert progress is not None
        progress(done + 1, turned_away + len(accepted))
    with _mapped(_convert, jobs, workers) as results:
        for done, (each, result) in enumerate(zip(accepted, results, strict=True), 1):
            if isinstance(result, str):
                refused.append(RefusedEpisode(each.folder.name, result))
            else:
                for part in result.parts:
                    writer.add(part.columns)
                    for camera, error in part.codec_error.items():
                        codec_error[camera] += error
                    kept.append((each, part))
                left_out.update(result.left_out)
            if progress is not None:
                progress(turned_away + done, turned_away + len(accepted))
    if not kept:
        first = f"{refused[0].name}: {refused[0].reason}" if refused else "no episode given"
        raise LearnedArmError("no episode is left for the dataset", got=first, allowed="episodes that passed replay")
    writer.finish()
    splits = _split([each.episode.messages_hash for each, _ in kept], validation_share, seed)
    manifest = Manifest(
        converter=CONVERTER_VERSION,
        contract=canonical,
        codec=dict(video.CODEC),
        split_seed=seed,
        allow_unreplayed=gate.allow_unreplayed,
        policy_frames=policy_frames,
        allow_losses=gate.allow_losses,
        waivers=tuple(each.hash for each in gate.waivers),
        sampling=admission.sampling,
        left_out=dict(left_out),
        sources=SOURCE_NAMES,
        episodes=tuple(
            DatasetEpisode(
                name=each.episode.name,
                messages_hash=each.episode.messages_hash,
                content_hash=result.content_hash,
                frames=len(result.columns),
                split=split,
                verdict=each.verdict,
                replay_hash=each.replay_hash,
                trimmed=result.trimmed,
                sources=result.sources,
                handed_over=result.handed_over,
            )
            for (each, result), split in zip(kept, splits, strict=True)
        ),
        refused=tuple(sorted(refused, key=lambda each: each.name)),
        codec_error={camera: error.to_json() for camera, error in codec_error.items()},
    )
    manifest.save(folder)
    made_from = {f"episode {index:04d}": each.messages_hash for index, each in enumerate(manifest.episodes)}
    facts = {
        "converter": CONVERTER_VERSION,
        "split_seed": seed,
        "policy_frames": policy_frames,
        "sampling": admission.sampling,
        **gate.statement(),
        "frames_by_source": manifest.frames_by_source,
    }
    statement = Statement("dataset", manifest.content_hash, {"contract": contract.hash, **made_from}, facts)
    statement.save(folder / LINEAGE_FILE)
    return manifest


def _convert(job: _Job) -> _Parts | str:
    """One episode, or the reason against it. A pure function of the episode, the contract and what may go in."""
    try:
        contract = Contract.from_canonical(job[1])
        ticks = read_episode_ticks(job[0], contract)
        parts = parts_to_learn(ticks.sources, policy_frames=job[2])
        converted = [_converted(ticks.part(part.frames), contract, part.handed_over) for part in parts]
    except LearnedArmError as error:
        return str(error)
    left_out = np.ones(len(ticks), dtype=bool)
    for part in parts:
        left_out[part.frames] = False
    return _Parts(converted, counted(ticks.sources[left_out]))


def _converted(ticks: EpisodeTicks, contract: Contract, handed_over: bool) -> _Converted:
    videos = {name: video.encode(frames, contract.rate_hz) for name, frames in ticks.images.items()}
    columns = EpisodeColumns(
        state=ticks.state.astype(np.float32),
        action=ticks.targets.astype(np.float32),
        commanded=ticks.commanded.astype(np.float32),
        stamp_ns=ticks.ticks_ns,
        source=ticks.sources,
        videos=videos,
        histograms={name: image_histogram(frames) for name, frames in ticks.images.items()},
    )
    errors = {
        name: video.compare(ticks.images[name], np.stack(list(video.decode(encoded))))
        for name, encoded in videos.items()
    }
    found = counted(ticks.sources)
    return _Converted(columns, _content_hash(columns, ticks), ticks.trimmed, found, handed_over, errors)


def _content_hash(columns: EpisodeColumns, ticks: EpisodeTicks) -> str:
    """Over columns and frames before the codec: changes when the translation does, not when the codec does."""
    digest = hashlib.sha256()
    named = {
        "state": columns.state,
        "action": columns.action,
        "commanded": columns.commanded,
        "stamp_ns": columns.stamp_ns,
        "source": columns.source,
    }
    for name, values in [*named.items(), *sorted(ticks.images.items())]:
        little_endian = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
        digest.update(f"{name} {values.dtype.name} {values.shape};".encode())
        digest.update(little_endian.data)
    return digest.hexdigest()


def _split(names: Sequence[str], validation_share: float, seed: int) -> list[str]:
    """Train or validation for every episode, by a seeded draw over identities and not over positions.

    Parts of one recording have one identity, and so lie on one side.
    """
    known = set(names)
    count = round(validation_share * len(known))
    if validation_share > 0 and len(known) >= 2:
        count = min(max(count, 1), len(known) - 1)
    ranked = sorted(known, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    chosen = set(ranked[:count])
    return ["validation" if name in chosen else "train" for name in names]


@contextmanager
def _mapped(
    function: Callable[[_Job], _Parts | str], jobs: list[_Job], workers: int | None
) -> Iterator[Iterator[_Parts | str]]:
    """Results in the order of the jobs, from several processes where that pays."""
    count = min(workers or os.cpu_count() or 1, len(jobs))
    if count <= 1 or (workers is None and len(jobs) < _FEW_EPISODES):
        yield map(function, jobs)
        return
    # Spawned, not forked: the caller may have threads.
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as pool:
        try:
            yield pool.map(function, jobs)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
