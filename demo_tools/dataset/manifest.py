"""`manifest.json` of a dataset: what it was made from, what passed replay, what was refused, how it is split."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from learned_arm import checked
from learned_arm.canonical import hash_of
from learned_arm.contract import Contract
from learned_arm.durable import read_json, write_json
from learned_arm.errors import LearnedArmError

FILE_NAME = "manifest.json"
MANIFEST_VERSION = 2
SPLITS = ("train", "validation")


@dataclass(frozen=True)
class DatasetEpisode:
    """An episode in a dataset; its place in the list is its `episode_index`.

    Attributes:
        name: Name of the episode's folder.
        messages_hash: Identity of the episode.
        content_hash: Hash of its columns and of its frames before the codec.
        frames: Number of ticks.
        split: `train` or `validation`.
        verdict: Verdict of its replay; `none` when it was never replayed, `sampled` or `waived` when others speak for
            it.
        replay_hash: Hash of that statement, None without one.
        trimmed: Reason -> ticks cut off at its ends.
        sources: Who commanded the labels: source -> frames.
        handed_over: Whether it is a person's part of a rollout after which the policy went on.
    """

    name: str
    messages_hash: str
    content_hash: str
    frames: int
    split: str
    verdict: str
    replay_hash: str | None
    trimmed: dict[str, int]
    sources: dict[str, int]
    handed_over: bool


@dataclass(frozen=True)
class RefusedEpisode:
    """An episode that is not in the dataset, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Manifest:
    """What a dataset is.

    Attributes:
        converter: Version of the code that made it.
        contract: Canonical robot and contract.
        codec: Settings of the video codec.
        split_seed: Seed of the split.
        allow_unreplayed: Whether episodes without a passed replay were let in.
        policy_frames: Whether frames that the policy commanded were let in.
        allow_losses: Whether episodes were let in of which messages were lost that they need.
        waivers: Hashes of the waivers under which episodes were let in that passed under another contract.
        sampling: What let in episodes that were not replayed, see `gate.Admission`; empty where none was asked for.
        left_out: Frames of the episodes below that were left out, by who commanded them.
        sources: Names that the column `source` counts.
        episodes: What is in it.
        refused: What is not.
        codec_error: Per camera the error of decoded frames: `max_abs`, `mean_abs` (of 255) and `psnr_db`.
    """

    converter: int
    contract: dict[str, Any]
    codec: dict[str, str]
    split_seed: int
    allow_unreplayed: bool
    policy_frames: bool
    allow_losses: bool
    waivers: tuple[str, ...]
    sampling: dict[str, Any]
    left_out: dict[str, int]
    sources: tuple[str, ...]
    episodes: tuple[DatasetEpisode, ...]
    refused: tuple[RefusedEpisode, ...]
    codec_error: dict[str, dict[str, Any]]

    @cached_property
    def loaded_contract(self) -> Contract:
        """The contract that observations and labels were made for."""
        return Contract.from_canonical(self.contract, f"{FILE_NAME}: contract")

    @property
    def frames(self) -> int:
        """Ticks of all episodes."""
        return sum(episode.frames for episode in self.episodes)

    @property
    def frames_by_source(self) -> dict[str, int]:
        """Who commanded the labels: source -> frames of all episodes."""
        counts: Counter[str] = Counter()
        for episode in self.episodes:
            counts.update(episode.sources)
        return dict(counts)

    @property
    def content_hash(self) -> str:
        """Name of the dataset: the same episodes, contract, converter and split give the same one, on any machine.

        Verdicts, refusals and the bytes of the videos are statements about it and no part of it.
        """
        return hash_of(
            {
                "converter": self.converter,
                "contract_hash": hash_of(self.contract),
                "codec": self.codec,
                "episodes": [[each.messages_hash, each.content_hash, each.split] for each in self.episodes],
            }
        )

    @property
    def hash(self) -> str:
        """The content hash, under the name that every other thing has it."""
        return self.content_hash

    def indices(self, split: str) -> list[int]:
        """Episode indices of a split."""
        return [index for index, episode in enumerate(self.episodes) if episode.split == split]

    def save(self, folder: Path) -> None:
        """Write into the dataset's folder."""
        stated = {
            "dataset": MANIFEST_VERSION,
            "content_hash": self.content_hash,
            "task": self.contract["task"],
            "contract_hash": hash_of(self.contract),
            "frames": self.frames,
            "frames_by_source": self.frames_by_source,
            "split": {name: self.indices(name) for name in SPLITS},
        }
        write_json(folder / FILE_NAME, {**stated, **asdict(self)})

    @staticmethod
    def load(folder: Path) -> Manifest:
        """Read the manifest of a dataset.

        Raises:
            LearnedArmError: It is missing, wrong in any entry, or not what its hash names.
        """
        path = folder / FILE_NAME
        if not path.is_file():
            raise LearnedArmError("no dataset here", where=folder, allowed=f"a folder with {FILE_NAME}")
        top = checked.Section(read_json(path), str(path))
        top.take("dataset", checked.integer(MANIFEST_VERSION, MANIFEST_VERSION))
        stated = top.take("content_hash", checked.text)
        for derived in ("task", "contract_hash", "frames", "frames_by_source", "split"):
            top.take(derived, lambda value, _: value)
        manifest = Manifest(
            converter=top.take("converter", checked.integer(1, 1_000_000)),
            contract=top.take("contract", checked.free_mapping),
            codec=top.take("codec", checked.free_mapping),
            split_seed=top.take("split_seed", checked.integer(0, 2**63 - 1)),
            allow_unreplayed=top.take("allow_unreplayed", _boolean),
            policy_frames=top.take("policy_frames", _boolean),
            allow_losses=top.take("allow_losses", _boolean, False),
            waivers=top.take("waivers", checked.list_of(checked.text, shortest=0), ()),
            sampling=top.take("sampling", checked.free_mapping, {}),
            left_out=top.take("left_out", checked.free_mapping),
            sources=top.take("sources", checked.list_of(checked.text)),
            episodes=top.take("episodes", checked.list_of(_episode)),
            refused=top.take("refused", checked.list_of(_refused, shortest=0)),
            codec_error=top.take("codec_error", checked.free_mapping),
        )
        top.done()
        if manifest.content_hash != stated:
            raise LearnedArmError("manifest was altered", where=path, got=manifest.content_hash, allowed=stated)
        return manifest


def _episode(value: Any, where: str) -> DatasetEpisode:
    section = checked.Section(value, where)
    episode = DatasetEpisode(
        name=section.take("name", checked.text),
        messages_hash=section.take("messages_hash", checked.text),
        content_hash=section.take("content_hash", checked.text),
        frames=section.take("frames", checked.integer(1, 2**53)),
        split=section.take("split", checked.choice(*SPLITS)),
        verdict=section.take("verdict", checked.text),
        replay_hash=section.take(
            "replay_hash", lambda value, where: None if value is None else checked.text(value, where)
        ),
        trimmed=section.take("trimmed", checked.free_mapping),
        sources=section.take("sources", checked.free_mapping),
        handed_over=section.take("handed_over", _boolean),
    )
    section.done()
    return episode


def _refused(value: Any, where: str) -> RefusedEpisode:
    section = checked.Section(value, where)
    refused = RefusedEpisode(section.take("name", checked.text), section.take("reason", checked.text))
    section.done()
    return refused


def _boolean(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise LearnedArmError("not a truth value", where=where, got=value, allowed="true or false")
    return value
