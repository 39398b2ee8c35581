"""The training loop, for any model and any objectives, in one process or under ``torchrun`` (Lightning Fabric)."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from lightning_fabric import Fabric
from torch import Tensor
from tqdm import tqdm

from hetero.data.augment import augment
from hetero.data.images import ImageSet
from hetero.data.loader import batches
from hetero.errors import InputError
from hetero.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from hetero.training.config import TrainingConfig
from hetero.training.log import TrainingLog
from hetero.training.memory import keep_freed_memory
from hetero.training.module import CloudTensors, TrainingModule
from hetero.training.optimizer import build_optimizer, learning_rate, set_learning_rate
from hetero.training.sampling import ClassBalancedSampler

LOG_EVERY = 10


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
        directory: Where checkpoint and log go.
        identity: Digest of everything that decides the outcome; a checkpoint of another identity is not continued.
        seed: Fixes batches and augmentation.
        label: Shown beside the progress bar.
        resume: Whether to continue from a checkpoint.
    """

    directory: Path
    identity: str
    seed: int
    label: str
    resume: bool = True

    @property
    def checkpoint(self) -> Path:
        """Everything that the run needs to continue."""
        return self.directory / "checkpoint.safetensors"

    @property
    def best(self) -> Path:
        """The weights that did best on validation."""
        return self.directory / "best.safetensors"


@dataclass(frozen=True)
class Fitted:
    """The outcome of a run: the best step, its validation figure, and all steps."""

    best_step: int
    best: float
    steps: int


def fit(
    module: TrainingModule,
    images: ImageSet,
    config: TrainingConfig,
    run: Run,
    *,
    validate: Callable[[Any], float],
    cloud: CloudTensors | None = None,
) -> Fitted:
    """Train, keeping the weights that did best on the validation classes.

    Args:
        module: Model and objectives; on return they hold the best weights, on the CPU, in evaluation mode.
        images: Training images.
        config: How to train.
        run: Where, from which seed, whether to resume.
        validate: Figure of ``module.model`` in evaluation mode; larger is better.
        cloud: Cached cloud embeddings in the order of ``images``.

    Raises:
        InputError: When the loss stops being finite.
        IntegrityError: When the checkpoint is damaged.
    """
    keep_freed_memory()
    if config.threads:
        torch.set_num_threads(config.threads)
    fabric = _fabric(config)
    loop = _Loop(fabric, module, images, config, run, validate, cloud)
    loop.run()
    fabric.barrier()
    load_checkpoint(run.best, module, loop.optimizer, run.identity)
    module.cpu().eval()
    return Fitted(loop.progress.best_step, loop.progress.best, config.steps)


class _Loop:
    """The state of a run between two steps."""

    def __init__(
        self,
        fabric: Fabric,
        module: TrainingModule,
        images: ImageSet,
        config: TrainingConfig,
        run: Run,
        validate: Callable[[Any], float],
        cloud: CloudTensors | None,
    ) -> None:
        self.fabric, self.module, self.images, self.config = fabric, module, images, config
        self.validate, self.paths = validate, run
        module.train().to(fabric.device)
        module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.optimizer = build_optimizer(module, config)
        restored = load_checkpoint(run.checkpoint, module, self.optimizer, run.identity) if run.resume else None
        self.progress = restored or Progress(run.identity, 0)
        self.wrapped, self.stepper = fabric.setup(module, self.optimizer)
        self.cloud = _on(fabric, cloud)
        self.labels = torch.as_tensor(np.asarray(images.labels))
        self.sampler = ClassBalancedSampler(
            np.asarray(images.labels),
            classes_per_batch=config.classes_per_batch,
            images_per_class=config.images_per_class,
            seed=run.seed,
        )
        self.log = TrainingLog(run.directory / "log.jsonl", self.progress.step) if fabric.is_global_zero else None

    def run(self) -> None:
        """All steps that are left."""
        first, last = self.progress.step, self.config.steps
        mine = slice(self.fabric.global_rank, None, self.fabric.world_size)
        rows_of_steps = [self.sampler.batch(step)[mine] for step in range(first, last)]
        meter = _Meter(self.sampler.batch_size)
        with tqdm(total=last, initial=first, desc=self.paths.label, unit="step", mininterval=0.5) as bar:
            for step, images in enumerate(batches(self.images.images, rows_of_steps), start=first + 1):
                total, terms = self._step(step, rows_of_steps[step - first - 1], images)
                meter.count()
                saving = step % self.config.checkpoint_every == 0 or step == last
                if step % LOG_EVERY == 0 or saving:
                    self._report(step, float(total.detach()), terms, meter.rate(), bar)
                bar.update()
                if step % self.config.validate_every == 0 or step == last:
                    self._validate(step)
                if saving:
                    self._save(self.paths.checkpoint, step)

    def _step(
        self, step: int, rows: Int64[np.ndarray, " b"], images: UInt8[np.ndarray, "b h w 3"]
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        set_learning_rate(self.optimizer, learning_rate(self.config, step))
        generator = torch.Generator().manual_seed(_seed_of(self.paths.seed, step, self.fabric.global_rank))
        pixels = augment(self.fabric.to_device(torch.from_numpy(images)), self.config.augment, generator)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        row_tensor = torch.as_tensor(rows)
        labels = self.fabric.to_device(self.labels[row_tensor])
        total, terms = self.wrapped(pixels, labels, self.fabric.to_device(row_tensor), self.cloud)
        self.fabric.backward(total)
        if self.config.clip:
            self.fabric.clip_gradients(self.wrapped, self.stepper, max_norm=self.config.clip, error_if_nonfinite=False)
        self.stepper.step()
        self.stepper.zero_grad()
        return total, terms

    def _report(self, step: int, loss: float, terms: dict[str, Tensor], rate: float, bar: tqdm[Any]) -> None:
        if not math.isfinite(loss):
            raise InputError(
                f"{self.paths.label}: the loss is {loss} at step {step}; lower learning_rate or use 32-true. "
                f"The checkpoint in {self.paths.directory} is from before and stays as it is"
            )
        bar.set_postfix_str(f"loss {loss:.3f}, {rate:.0f} images/s, best {self.progress.best:.3f}", refresh=False)
        if self.log:
            values = {name: float(term) for name, term in terms.items()}
            self.log.write(step, loss=loss, images_per_second=round(rate, 1), **values)

    def _validate(self, step: int) -> None:
        figure = self.validate(self.module.model)
        self.module.train()
        if self.log:
            self.log.write(step, validation=figure)
        candidate = step >= self.config.candidates_from * self.config.steps
        if candidate and figure > self.progress.best:
            self.progress = replace(self.progress, best=figure, best_step=step)
            self._save(self.paths.best, step)

    def _save(self, path: Path, step: int) -> None:
        if self.fabric.is_global_zero:
            save_checkpoint(path, self.module, self.optimizer, replace(self.progress, step=step))


def _fabric(config: TrainingConfig) -> Fabric:
    # Under torchrun its environment says how many processes there are; otherwise there is one.
    processes, nodes = (int(os.environ.get(name, "1")) for name in ("LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE"))
    fabric = Fabric(devices=processes, num_nodes=nodes, accelerator="auto", precision=config.precision)
    fabric.launch()
    return fabric


def _on(fabric: Fabric, cloud: CloudTensors | None) -> CloudTensors | None:
    if cloud is None:
        return None

    def here(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else fabric.to_device(tensor)

    return CloudTensors(
        fabric.to_device(cloud.embeddings),
        fabric.to_device(cloud.labels),
        cloud.bank,
        sources=here(cloud.sources),
        prototypes=here(cloud.prototypes),
        live=None if cloud.live is None else cloud.live.eval().requires_grad_(False).to(fabric.device),
        previous=here(cloud.previous),
        previous_right=here(cloud.previous_right),
    )


def _seed_of(seed: int, step: int, rank: int) -> int:
    state = np.random.SeedSequence([seed, 2, step, rank]).generate_state(1, np.uint64)[0]
    return int(state >> np.uint64(1))


class _Meter:
    """Images a second since the last look."""

    def __init__(self, batch_size: int) -> None:
        self._batch = batch_size
        self._steps = 0
        self._since = time.perf_counter()

    def count(self) -> None:
        self._steps += 1

    def rate(self) -> float:
        now = time.perf_counter()
        rate = self._batch * self._steps / max(now - self._since, 1e-9)
        self._steps, self._since = 0, now
        return rate
