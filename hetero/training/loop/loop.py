"""The training loop, for any model and any objectives, in one process or under ``torchrun`` (Lightning Fabric)."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Shaped
from lightning_fabric import Fabric
from lightning_fabric.utilities import move_data_to_device
from torch import Tensor

from hetero.data.images import ImageSet
from hetero.display.progress import Bar
from hetero.errors import InputError
from hetero.processes.ranks import on_first_rank, rank, ranks, require_agreement
from hetero.training.batches.feed import Fed, Feed
from hetero.training.batches.inputs import inputs_of
from hetero.training.config import TrainingConfig
from hetero.training.distributed.connect import connect
from hetero.training.distributed.synchronised_norm import SynchronisedBatchNorm
from hetero.training.judging.curves import AGREEMENT, advice
from hetero.training.judging.judgement import Judgement
from hetero.training.loop.checkpoint import Progress, load_checkpoint, save_checkpoint
from hetero.training.loop.log import TrainingLog, in_words
from hetero.training.loop.memory import keep_freed_memory
from hetero.training.loop.meter import Meter
from hetero.training.loop.module import CloudTensors, TrainingModule
from hetero.training.loop.run import Fitted, Run
from hetero.training.optimisation.average import AveragedWeights
from hetero.training.optimisation.optimizer import build_optimizer, set_learning_rate
from hetero.training.optimisation.schedule import Schedule
from hetero.training.reference.beside_cloud import BesideCloud, on_device

LOG_EVERY = 10


def fit(
    module: TrainingModule,
    images: ImageSet,
    config: TrainingConfig,
    run: Run,
    *,
    validate: Callable[[Any], Judgement],
    cloud: CloudTensors | None = None,
    inputs: Mapping[str, Shaped[Tensor, "n ..."]] | None = None,
) -> Fitted:
    """Train, keep the weights that did best on the validation images, and print the advice of the curves.

    Processes that ``torchrun`` started share each batch by whole classes (or images) and take the steps that one
    process would take: objectives see the whole batch, batch norms its statistics, and each image is augmented as in
    one process. Only rank 0 validates, reads and writes.

    Args:
        module: Model and objectives; on return they hold the best weights, on the CPU, in evaluation mode, on every
            rank.
        images: Training images.
        config: Settings of the training.
        run: Directory, seed, and whether to resume.
        validate: Judges ``module.model``; larger is better.
        cloud: Cached cloud embeddings in the order of ``images``.
        inputs: [n, ...] each, what else is known of ``images``, by name; what the images themselves say is added.

    Raises:
        InputError: When the loss stops being finite, there are more processes than classes in a batch, the processes
            would train different things, or this machine cannot train in the configured precision.
        IntegrityError: When the checkpoint is damaged.
    """
    keep_freed_memory()
    fabric = connect(config, in_parts=module.trains_in_parts)
    require_agreement(run.identity, f"{run.label}: every process needs the same images, settings and version of hetero")
    loop = _Loop(fabric, module, images, config, run, validate, cloud)
    known = {**(inputs or {}), **inputs_of(images, module.needs, mixed=bool(config.mixup))}
    module.inputs = {name: loop.fabric.to_device(values) for name, values in known.items()}
    loop.run()
    on_first_rank(lambda: load_checkpoint(run.best, module, loop.optimizer, run.identity))
    module.cpu().eval()
    if ranks() > 1:
        module.load_state_dict(on_first_rank(module.state_dict))
    assert loop.progress.best is not None  # the last step's weights are judged, and are candidates
    lines = on_first_rank(lambda: advice(loop.progress.looks, decay_from=loop.progress.decay_from))
    fitted = Fitted(loop.progress.best, loop.progress.step, lines)
    if fitted.advice and rank() == 0:
        print("\n".join([f"{run.label}: the curves say", *(f"  - {line}" for line in fitted.advice)]), file=sys.stderr)
    return fitted


class _Loop:
    """The state of a run between two steps."""

    def __init__(
        self,
        fabric: Fabric,
        module: TrainingModule,
        images: ImageSet,
        config: TrainingConfig,
        run: Run,
        validate: Callable[[Any], Judgement],
        cloud: CloudTensors | None,
    ) -> None:
        self.fabric, self.module, self.images, self.config = fabric, module, images, config
        self.validate, self.paths = validate, run
        cloud = on_device(fabric, cloud)
        self.feed = Feed(fabric, images, config, cloud, by_class=module.by_class, seed=run.seed)
        shares = self.feed.shares
        module.shares = tuple(share.stop - share.start for share in shares) if len(shares) > 1 else ()
        module.train().to(fabric.device)
        module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.optimizer = build_optimizer(module, config)
        self.average = AveragedWeights(module, config.average) if config.average else None
        if config.compile:
            module.compile_model()
        self.progress = self._restored() or Progress(run.identity, 0)
        self.beside = BesideCloud(module, cloud)
        self.wrapped, self.stepper = fabric.setup(self.beside, self.optimizer)
        self.log = TrainingLog(run.directory / "log.jsonl", self.progress.step) if fabric.is_global_zero else None

    def _restored(self) -> Progress | None:
        """Restore weights and optimiser state from a checkpoint, and return its progress; None without one."""
        module, optimizer, run = self.module, self.optimizer, self.paths
        if not run.resume:
            return None
        average = self.average and self.average.module
        progress = on_first_rank(
            lambda: load_checkpoint(run.checkpoint, module, optimizer, run.identity, average=average)
        )
        if progress:
            self.feed.load(run.copies, progress.step)
        if progress and ranks() > 1:
            if average:
                average.load_state_dict(on_first_rank(lambda: move_data_to_device(average.state_dict(), "cpu")))
            # The weights in training follow when the module is set up.
            optimizer.load_state_dict(on_first_rank(lambda: move_data_to_device(optimizer.state_dict(), "cpu")))
        return progress

    @property
    def schedule(self) -> Schedule:
        """The number of steps and their rate, as far as they are known."""
        return Schedule(self.config, self.progress.decay_from)

    def run(self) -> None:
        """Take all remaining steps."""
        first, total = self.progress.step, self.schedule.last
        meter = Meter(self.feed.batch_size)
        quiet = not self.fabric.is_global_zero
        with Bar(total=total, initial=first, desc=self.paths.label, unit="step", mininterval=0.5, disable=quiet) as bar:
            for step, batch in enumerate(self.feed.batches(first, total), start=first + 1):
                loss, terms = self._step(step, batch)
                meter.count()
                last = self.schedule.last
                saving = step % self.config.checkpoint_every == 0 or step == last
                looking = step % self.config.validate_every == 0 or step == last
                if step % LOG_EVERY == 0 or saving or looking:
                    self._report(step, self._agreed(loss), terms, meter.rate(), bar)
                bar.update()
                if looking:
                    self._validate(step)
                    bar.total = self.schedule.last
                if saving:
                    self._save(step)
                if step == last:
                    break
        self.progress = replace(self.progress, step=self.schedule.last)

    def _step(self, step: int, batch: Fed) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        set_learning_rate(self.optimizer, self.schedule.rate(step))
        self.beside.targets = batch.targets
        with SynchronisedBatchNorm() if ranks() > 1 else nullcontext():
            total, terms = self.wrapped(batch.pixels, batch.labels, batch.rows)
        self.fabric.backward(total)
        if self.config.clip:
            self.fabric.clip_gradients(self.wrapped, self.stepper, max_norm=self.config.clip, error_if_nonfinite=False)
        self.stepper.step()
        self.stepper.zero_grad()
        if self.average:
            self.average.update(self.module, step)
        return total, terms

    def _agreed(self, total: Float[Tensor, ""]) -> float:
        """Return the mean loss of all ranks, so that either all of them continue or none."""
        agreed = self.fabric.all_reduce(total.detach(), reduce_op="mean")
        assert isinstance(agreed, Tensor)
        return float(agreed)

    def _report(self, step: int, loss: float, terms: dict[str, Tensor], rate: float, bar: Bar[Any]) -> None:
        if not math.isfinite(loss):
            raise InputError(
                f"{self.paths.label}: the loss is {loss} at step {step}; lower learning_rate or use 32-true. "
                f"The checkpoint in {self.paths.directory} is from before and stays as it is"
            )
        bar.set_postfix_str(f"loss {loss:.3f}, {rate:.0f} images/s{in_words(self.progress)}", refresh=False)
        values = {name: float(term) for name, term in terms.items()}
        if AGREEMENT in values:
            agreements = (*self.progress.agreements, values[AGREEMENT])
            self.progress = replace(self.progress, agreements=agreements)
        if self.log:
            self.log.write(step, loss=loss, images_per_second=round(rate, 1), **values)

    def _validate(self, step: int) -> None:
        judged = self.average.module if self.average else self.module
        judgement = on_first_rank(lambda: self.validate(judged.model))
        judged.train()
        schedule = self.schedule
        self.progress = self.progress.after(step, judgement)
        look = self.progress.looks[-1]
        if self.log:
            training = {} if look.training is None else {"training_agreement": look.training}
            self.log.write(step, validation=dict(judgement.figures), judged_by=judgement.judged_by, **training)
        if schedule.is_candidate(step) and (
            self.progress.best is None or judgement.figure > self.progress.best.judgement.figure
        ):
            self.progress = replace(self.progress, best=look)
            best = replace(self.progress, step=step)
            on_first_rank(lambda: save_checkpoint(self.paths.best, judged, self.optimizer, best))
        self.progress = replace(self.progress, decay_from=schedule.after(self.progress.looks).decay_from)

    def _save(self, step: int) -> None:
        """Save everything that the run needs to continue from here."""
        progress = replace(self.progress, step=step)
        # A checkpoint refers to the copies, so they are written first.
        on_first_rank(lambda: self.feed.save(self.paths.copies))
        average = self.average and self.average.module
        on_first_rank(
            lambda: save_checkpoint(self.paths.checkpoint, self.module, self.optimizer, progress, average=average)
        )
