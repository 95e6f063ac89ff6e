"""Behaviour cloning: L1 on normalised action chunks, with a loss curve, checkpoints and a fixed seed.

The recipe: AdamW at 1e-3 with a short warm-up and a cosine down to nothing, batches of 64 chunks or, with memory, of 8
whole episodes, images shifted and dimmed (with memory not, see `known_recipe`), and an exponential moving average of
the weights, which is what is exported.
"""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from demo_tools.dataset.frames import Frames, load_frames
from demo_tools.training.checkpoint import CHECKPOINT_FILE, load_checkpoint, write_checkpoint
from demo_tools.training.data import Chunks, build_chunks, normalisation
from demo_tools.training.examples import Examples, SingleChunks
from demo_tools.training.model import Shape
from demo_tools.training.recipe import Recipe
from demo_tools.training.recurrent import glance_scales, make_network
from demo_tools.training.sequences import WholeEpisodes
from learned_arm.contract import Contract
from learned_arm.durable import write_json
from learned_arm.errors import LearnedArmError

LOSS_FILE = "loss.json"
_WARM_UP = 50
# Through many ticks a gradient may grow beyond all measure.
_LARGEST_GRADIENT = 1.0

Progress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class TrainingResult:
    """What a training gave.

    Attributes:
        checkpoint: File with the weights, for `export`.
        iterations: Iterations done.
        seconds: Time that they took.
        train_loss: Normalised L1, mean over the last tenth.
        validation_loss: Normalised L1 of the averaged weights on the validation episodes, None without any.
        curve: `iteration`, `train` and, where it was measured, `validation`.
    """

    checkpoint: Path
    iterations: int
    seconds: float
    train_loss: float
    validation_loss: float | None
    curve: list[dict[str, float]]


def train(
    dataset: Path,
    out: Path,
    iterations: int = 2000,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
    time_limit_s: float | None = None,
    recipe: Recipe | None = None,
    resume: bool = True,
) -> TrainingResult:
    """Train a policy on a dataset and write `checkpoint.pt` and `loss.json`.

    With the same dataset, recipe, threads and machine the weights come out the same, also when it was interrupted and
    resumed. A time limit bends the learning rate down in time and ends early; the weights then depend on the speed of
    the machine.

    Args:
        dataset: Folder of a dataset.
        out: Folder for the results; made when missing.
        iterations: Batches to learn from.
        seed: Of weights, batches and augmentation.
        threads: Of torch; None for one a core.
        progress: Called with (iteration, iterations, loss) after every iteration.
        time_limit_s: Time after which to stop, annealed.
        recipe: Everything else; its own iterations and seed are replaced by the arguments.
        resume: Go on from the checkpoint in `out`, where there is one.

    Raises:
        LearnedArmError: The dataset cannot be used, or the checkpoint belongs to another training.
    """
    recipe = Recipe(**{**vars(recipe or Recipe()), "iterations": iterations, "seed": seed})
    torch.set_num_threads(threads or os.cpu_count() or 1)
    frames = load_frames(dataset)
    out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(frames, recipe)
    path = out / CHECKPOINT_FILE
    if resume and path.is_file():
        trainer.load(path)
    started = time.monotonic()
    every = max(recipe.iterations // 50, 1)
    save_every = max(recipe.iterations // 4, 1)
    while trainer.iteration < recipe.iterations:
        elapsed_s = time.monotonic() - started
        if time_limit_s is not None and elapsed_s >= time_limit_s:
            break
        share = elapsed_s / time_limit_s if time_limit_s is not None else 0.0
        loss = trainer.step(share)
        if progress is not None:
            progress(trainer.iteration, recipe.iterations, loss)
        if trainer.iteration % every == 0:
            trainer.note()
        if trainer.iteration % save_every == 0:
            trainer.save(path)
    trainer.note()
    trainer.save(path)
    write_json(out / LOSS_FILE, {"recipe": asdict(recipe), "curve": trainer.curve})
    last = trainer.losses[-max(len(trainer.losses) // 10, 1) :]
    return TrainingResult(
        checkpoint=path,
        iterations=trainer.iteration,
        seconds=time.monotonic() - started,
        train_loss=float(np.mean(last)) if last else math.nan,
        validation_loss=trainer.curve[-1].get("validation") if trainer.curve else None,
        curve=trainer.curve,
    )


class Trainer:
    """One training, step by step.

    What a step draws depends on the seed and the iteration alone, so that a resumed training goes on as if it had
    never stopped.
    """

    def __init__(self, frames: Frames, recipe: Recipe) -> None:
        contract = frames.contract
        self.frames, self.recipe, self.iteration = frames, recipe, 0
        self.curve: list[dict[str, float]] = []
        self.losses: list[float] = []
        chunks = build_chunks(frames, frames.manifest.indices("train"))
        self.examples = self._examples(chunks)
        held_out = frames.manifest.indices("validation")
        self.held_out = self._examples(build_chunks(frames, held_out)) if held_out else None
        torch.manual_seed(recipe.seed)
        scales = {name: torch.from_numpy(values) for name, values in normalisation(frames, chunks).items()}
        if recipe.memory:
            scales |= glance_scales(frames, chunks.frame)
        network = make_network(network_shape(contract, recipe.memory), scales)
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )

    def step(self, time_share: float = 0.0) -> float:
        """Learn from one batch; the loss before the step.

        Args:
            time_share: Share of the time limit that is over; whichever of time and iterations is further sets the rate.
        """
        recipe = self.recipe
        rng = np.random.default_rng([recipe.seed, self.iteration])
        picked = rng.integers(0, len(self.examples), size=self.examples.batch)
        rate = recipe.learning_rate * schedule(max(self.iteration / recipe.iterations, time_share), self.iteration)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        value = 0.0
        for part in self.examples.losses(self.network, picked, rng):
            part.backward()
            value += float(part.detach())
        if self.recipe.memory:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), _LARGEST_GRADIENT)
        self.optimizer.step()
        self.iteration += 1
        self._update_average()
        if not math.isfinite(value):
            where = f"iteration {self.iteration}"
            raise LearnedArmError("training diverged", where=where, got=value, allowed="a finite loss")
        self.losses.append(value)
        return value

    def note(self) -> None:
        """Add a point to the loss curve."""
        recent = self.losses[-max(self.recipe.iterations // 50, 1) :]
        if not recent or (self.curve and self.curve[-1]["iteration"] == self.iteration):
            return
        point = {"iteration": float(self.iteration), "train": float(np.mean(recent))}
        validation = self.validate()
        if validation is not None:
            point["validation"] = validation
        self.curve.append(point)

    def validate(self) -> float | None:
        """Loss of the averaged weights on validation examples, evenly picked and not augmented; None without any."""
        if self.held_out is None:
            return None
        most = self.held_out.most_validated
        picked = np.unique(np.linspace(0, len(self.held_out) - 1, most).astype(np.int64))
        self.average.eval()
        total = 0.0
        with torch.no_grad():
            for some in _parts(picked, self.held_out.batch):
                total += len(some) * sum(float(part) for part in self.held_out.losses(self.average, some, None))
        return total / len(picked)

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        content = {
            "iteration": self.iteration,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "shape": self.network.shape.to_json(),
            "contract": self.frames.contract.canonical(),
            "dataset_hash": self.frames.manifest.content_hash,
            "recipe": asdict(self.recipe),
            "curve": self.curve,
            "losses": self.losses,
        }
        write_checkpoint(path, content)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of the same dataset and recipe.

        Raises:
            LearnedArmError: It cannot be read, or it belongs to another training.
        """
        content = load_checkpoint(path)
        own = {"recipe": asdict(self.recipe), "dataset_hash": self.frames.manifest.content_hash}
        for key, value in own.items():
            if content[key] != value:
                what = f"checkpoint of another {key.split('_')[0]}"
                raise LearnedArmError(what, where=path, got=content[key], allowed=value)
        self.network.load_state_dict(content["network"])
        self.average.load_state_dict(content["average"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.iteration, self.curve, self.losses = content["iteration"], content["curve"], content["losses"]

    def _examples(self, chunks: Chunks) -> Examples:
        kind = WholeEpisodes if self.recipe.memory else SingleChunks
        return kind(self.frames, chunks, self.recipe)

    def _update_average(self) -> None:
        # Early on a long memory would still hold the random weights of the start.
        decay = min(self.recipe.ema, (1 + self.iteration) / (10 + self.iteration))
        with torch.no_grad():
            new = list(self.network.parameters())
            torch._foreach_lerp_(list(self.average.parameters()), new, 1 - decay)


def schedule(share: float, iteration: int) -> float:
    """Factor of the learning rate: a linear warm-up, then half a cosine over the share that is done."""
    warm = min((iteration + 1) / _WARM_UP, 1.0)
    return warm * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))


def network_shape(contract: Contract, memory: int = 0) -> Shape:
    """The network's shape for a contract."""
    cameras = {name: camera.size for name, camera in contract.cameras.items()}
    numbers = len(contract.state_names)
    return Shape(cameras, contract.history, len(contract.label_names), contract.action.horizon, numbers, memory)


def _parts(values: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
