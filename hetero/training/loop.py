"""The training loop, for any model and any objectives, on one device or many (Lightning Fabric)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, Int64, UInt8
from lightning_fabric import Fabric
from torch import Tensor, nn
from tqdm import tqdm

from hetero.data.augment import augment
from hetero.data.images import ImageSet
from hetero.data.loader import batches
from hetero.errors import InputError
from hetero.models.model import EmbeddingModel
from hetero.objectives.batch import Batch
from hetero.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from hetero.training.config import TrainingConfig
from hetero.training.log import TrainingLog
from hetero.training.sampling import ClassBalancedSampler

Validate = Callable[[EmbeddingModel], float]


class TrainingModule(nn.Module):
    """Model and objectives as one module, so that every strategy synchronises the weights of both."""

    def __init__(self, model: EmbeddingModel, objectives: Mapping[str, nn.Module], weights: Mapping[str, float]) -> None:
        super().__init__()
        self.model = model
        self.objectives = nn.ModuleDict(objectives)
        self.weights = dict(weights)

    def forward(
        self, pixels: Float[Tensor, "b 3 h w"], labels: Int[Tensor, "b"], cloud: CloudTensors | None, rows: Int[Tensor, "b"]
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Weighted sum of the objectives, and each of them."""
        embeddings = self.model.embed(pixels)
        batch = Batch(embeddings, labels)
        if cloud is not None:
            batch = replace(batch, cloud=cloud.embeddings[rows], bank=cloud.embeddings, bank_labels=cloud.labels)
        terms = {name: objective(batch) for name, objective in self.objectives.items()}
        total = torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()
        return total, {name: term.detach() for name, term in terms.items()}


@dataclass(frozen=True)
class CloudTensors:
    """The cloud model's cached embeddings of the training images.

    Attributes:
        embeddings: float32 [n, d], unit vectors.
        labels: int64 [n].
    """

    embeddings: Float[Tensor, "n d"]
    labels: Int[Tensor, "n"]


@dataclass(frozen=True)
class Fitted:
    """The outcome of a run: the best step and its validation figure."""

    best_step: int
    best: float
    steps: int


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


def fit(
    module: TrainingModule,
    images: ImageSet,
    config: TrainingConfig,
    run: Run,
    *,
    validate: Validate,
    cloud: CloudTensors | None = None,
) -> Fitted:
    """Train, keeping the weights that did best on the validation classes.

    Args:
        module: Model and objectives; on return the model holds the best weights.
        images: Training images.
        config: How to train.
        run: Where, from which seed, whether to resume.
        validate: Figure of the model in evaluation mode; larger is better.
        cloud: Cached cloud embeddings in the order of ``images``.

    Raises:
        InputError: When the loss stops being finite.
    """
    torch.set_num_threads(config.threads or torch.get_num_threads())
    fabric = Fabric(devices=config.devices, accelerator="auto", precision=config.precision)
    fabric.launch()
    module.to(fabric.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer = _optimizer(module, config)
    checkpoint, best_path = run.directory / "checkpoint.safetensors", run.directory / "best.safetensors"
    progress = load_checkpoint(checkpoint, module, optimizer, run.identity) if run.resume else None
    progress = progress or Progress(run.identity, 0)
    wrapped, fabric_optimizer = fabric.setup(module, optimizer)
    if cloud is not None:
        cloud = CloudTensors(fabric.to_device(cloud.embeddings), fabric.to_device(cloud.labels))
    labels = torch.as_tensor(np.asarray(images.labels))
    sampler = _sampler(images, config, run.seed)
    log = TrainingLog(run.directory / "log.jsonl", progress.step) if fabric.is_global_zero else None
    share = slice(fabric.global_rank, None, fabric.world_size)
    rows_of_steps = [sampler.batch(step)[share] for step in range(progress.step, config.steps)]
    bar = tqdm(total=config.steps, initial=progress.step, desc=run.label, unit="step", mininterval=0.5)
    meter = _Meter(sampler.batch_size)
    stream = _prefetched(images, rows_of_steps)
    for step, (rows, raw) in enumerate(stream, start=progress.step + 1):
        _set_rate(optimizer, config, step)
        row_tensor = torch.as_tensor(rows)
        generator = torch.Generator().manual_seed(_step_seed(run.seed, step, fabric.global_rank))
        pixels = augment(fabric.to_device(torch.from_numpy(raw)), config.augment, generator)
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        total, terms = wrapped(pixels, fabric.to_device(labels[row_tensor]), cloud, fabric.to_device(row_tensor))
        fabric.backward(total)
        fabric.clip_gradients(wrapped, fabric_optimizer, max_norm=config.clip, error_if_nonfinite=False)
        fabric_optimizer.step()
        fabric_optimizer.zero_grad()
        meter.add(total)
        last = step == config.steps
        if step % 10 == 0 or last:
            loss = meter.flush()
            _require_finite(loss, step, run)
            bar.set_postfix(loss=f"{loss:.3f}", images_s=f"{meter.rate:.0f}", best=f"{progress.best:.3f}", refresh=False)
            if log:
                values = {name: float(term) for name, term in terms.items()}
                log.write(step, loss=loss, images_per_second=meter.rate, **values)
        bar.update()
        if step % config.validate_every == 0 or last:
            figure = validate(module.model.eval())
            module.train()
            if figure > progress.best:
                progress = replace(progress, best=figure, best_step=step)
                if fabric.is_global_zero:
                    save_checkpoint(best_path, module, optimizer, replace(progress, step=step))
            if log:
                log.write(step, validation=figure)
        if (step % config.checkpoint_every == 0 or last) and fabric.is_global_zero:
            save_checkpoint(checkpoint, module, optimizer, replace(progress, step=step))
    bar.close()
    fabric.barrier()
    load_checkpoint(best_path, module, optimizer, run.identity)
    module.eval()
    return Fitted(progress.best_step, progress.best, config.steps)


def _prefetched(
    images: ImageSet, rows_of_steps: list[Int64[np.ndarray, "b"]]
) -> Iterator[tuple[Int64[np.ndarray, "b"], UInt8[np.ndarray, "b h w 3"]]]:
    return zip(rows_of_steps, batches(images.images, rows_of_steps), strict=True)


def _sampler(images: ImageSet, config: TrainingConfig, seed: int) -> ClassBalancedSampler:
    return ClassBalancedSampler(
        np.asarray(images.labels),
        classes_per_batch=config.classes_per_batch,
        images_per_class=config.images_per_class,
        seed=seed,
    )


def _optimizer(module: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    learnt = [parameter for parameter in module.parameters() if parameter.requires_grad]
    decayed = [parameter for parameter in learnt if parameter.ndim > 1]
    others = [parameter for parameter in learnt if parameter.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=config.learning_rate)


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Linear warm-up, then a cosine down to zero; a pure function of the step (1 to ``steps``)."""
    warm = max(1, round(config.warmup * config.steps))
    if step <= warm:
        return config.learning_rate * step / warm
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, config.steps - warm)))


def _set_rate(optimizer: torch.optim.Optimizer, config: TrainingConfig, step: int) -> None:
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(config, step)


def _step_seed(seed: int, step: int, rank: int) -> int:
    return int(np.random.SeedSequence([seed, 2, step, rank]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _require_finite(loss: float, step: int, run: Run) -> None:
    if not math.isfinite(loss):
        raise InputError(
            f"{run.label}: the loss is {loss} at step {step}; lower learning_rate (or use precision 32-true). "
            f"The checkpoint in {run.directory} is from before and stays as it is"
        )


class _Meter:
    """Mean loss and images a second since the last flush."""

    def __init__(self, batch_size: int) -> None:
        self._batch = batch_size
        self._losses: list[Tensor] = []
        self._since = time.perf_counter()
        self.rate = 0.0

    def add(self, loss: Tensor) -> None:
        self._losses.append(loss.detach())

    def flush(self) -> float:
        now = time.perf_counter()
        self.rate = self._batch * len(self._losses) / max(now - self._since, 1e-9)
        loss = float(torch.stack(self._losses).mean())
        self._losses, self._since = [], now
        return loss
