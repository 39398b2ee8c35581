"""What a training batch is made of: images, changed and mixed, with what the cloud model says of the very same ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import tee
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, Int64, UInt8
from lightning_fabric import Fabric
from torch import Tensor

from hetero.data.augmentation.augment import augmented
from hetero.data.augmentation.config import AugmentConfig
from hetero.data.augmentation.copies import sources_of
from hetero.data.images import ImageSet
from hetero.data.loader import batches
from hetero.errors import InputError
from hetero.training.batches.plan import Plan, Planner
from hetero.training.batches.sampling import sampler_of
from hetero.training.config import TrainingConfig
from hetero.training.distributed.gather import whole_batch
from hetero.training.distributed.ranks import on_first_rank
from hetero.training.loop.module import CloudTensors
from hetero.training.reference.grown import GrownVectors
from hetero.training.reference.live import LiveCloud


@dataclass(frozen=True)
class Fed:
    """One batch on a rank's device.

    Attributes:
        pixels: float32 [m, 3, h, w], this rank's images.
        labels: int64 [b], classes of the whole batch; -1 for mixed images.
        rows: int64 [b], its training images; -1 for mixed images.
        targets: float32 [b, c], the cloud model's vectors of the batch as it is shown; None when these are the cached
            vectors of the rows.
    """

    pixels: Float[Tensor, "m 3 h w"]
    labels: Int[Tensor, " b"]
    rows: Int[Tensor, " b"]
    targets: Float[Tensor, "b c"] | None


class Feed:
    """Makes the batches of a run.

    Args:
        fabric: Says which rank this is, and its device.
        images: Training images.
        config: Which of them make a batch, and how they are changed.
        cloud: Cached vectors and the live cloud model, on the rank's device; None when there is no cloud model.
        by_class: Whether an objective compares images by class.
        seed: Fixes every batch.

    Raises:
        InputError: When images are to be mixed and an objective compares by class, or there is no cloud model; when a
            batch cannot be drawn or shared.
    """

    def __init__(
        self,
        fabric: Fabric,
        images: ImageSet,
        config: TrainingConfig,
        cloud: CloudTensors | None,
        *,
        by_class: bool,
        seed: int,
    ) -> None:
        if config.mixup and (by_class or cloud is None):
            raise InputError(
                "mixup mixes images and the cloud's vectors of them, and a mixed image has no class: expected a cloud "
                "model and objectives that compare with its vectors alone, such as cloud_regression and "
                "instance_contrastive; set mixup = 0, or leave the others out"
            )
        self._fabric, self._images, self._cloud = fabric, images, cloud
        self._changes = config.augment or AugmentConfig()
        self._live: LiveCloud | None = cloud and cloud.live
        self._labels = torch.as_tensor(np.asarray(images.labels))
        sources = sources_of(images.names)
        sampler = sampler_of(config, np.asarray(images.labels), sources, by_class=by_class, seed=seed)
        self.batch_size = sampler.batch_size
        self.shares = sampler.shares(fabric.world_size)
        self._mine = self.shares[fabric.global_rank]
        # A partner may be another rank's.
        self._read = slice(0, self.batch_size) if config.mixup else self._mine
        share = self._live.share if self._live else 0.0
        self._planner = Planner(sampler, sources, share=share, mixup=config.mixup, seed=seed)
        self._grown: GrownVectors | None = None
        if cloud is not None and self._planner.fresh and not self._planner.embeds_all:
            self._grown = GrownVectors(self._planner.fresh, cloud.embeddings.shape[1])

    def save(self, path: Path) -> None:
        """Keep what a continued run could not make again at no cost."""
        if self._grown:
            self._grown.save(path)

    def load(self, path: Path, steps: int) -> None:
        """Take what an interrupted run left after so many steps.

        Raises:
            IntegrityError: When the file lacks something.
        """
        if self._grown:
            self._grown = on_first_rank(lambda grown=self._grown: grown.load(path, steps))

    def batches(self, first: int, last: int) -> Iterator[Fed]:
        """The batches of the steps from ``first`` (counted from 0) to before ``last``, read ahead."""
        plans, to_read, to_see = tee(self._planner.plans(first, last), 3)
        read = batches(self._images.images, (plan.rows[self._read] for plan in to_read))
        seen: Iterator[UInt8[np.ndarray, "k h w 3"] | None] = (None for _ in to_see)
        if self._live and self._live.images is not None:
            seen = batches(self._live.images, (plan.rows[self._seen(plan)] for plan in to_see))
        for plan, images, others in zip(plans, read, seen, strict=True):
            yield self._made(plan, images, others)

    def _seen(self, plan: Plan) -> Int64[np.ndarray, " k"]:
        """Places of the images that this rank's cloud model is given; of a mixture, of both images."""
        if plan.mixture and self._planner.embeds_all:
            return np.arange(self.batch_size)
        return self._fresh(plan, self._mine)

    def _fresh(self, plan: Plan, share: slice) -> Int64[np.ndarray, " k"]:
        return plan.fresh[(plan.fresh >= share.start) & (plan.fresh < share.stop)]

    def _made(
        self, plan: Plan, images: UInt8[np.ndarray, "k h w 3"], others: UInt8[np.ndarray, "s hc wc 3"] | None
    ) -> Fed:
        plain = augmented(self._here(images), self._changes, plan.drawn[:, self._read])
        mixture, start = plan.mixture, self._read.start
        shown = mixture.of(plain) if mixture else plain
        targets = self._targets(plan, plain, shown, others)
        rows, labels = torch.as_tensor(plan.rows), self._labels[torch.as_tensor(plan.rows)]
        if mixture:
            rows, labels = torch.full_like(rows, -1), torch.full_like(labels, -1)
        own = shown[self._mine.start - start : self._mine.stop - start]
        own = own.contiguous(memory_format=torch.channels_last)
        return Fed(own, self._fabric.to_device(labels), self._fabric.to_device(rows), targets)

    def _here(self, images: UInt8[np.ndarray, "k h w 3"]) -> UInt8[Tensor, "k h w 3"]:
        return self._fabric.to_device(torch.from_numpy(images))

    def _targets(
        self,
        plan: Plan,
        plain: Float[Tensor, "k 3 h w"],
        shown: Float[Tensor, "k 3 h w"],
        others: UInt8[np.ndarray, "s hc wc 3"] | None,
    ) -> Float[Tensor, "b c"] | None:
        if self._cloud is None or not (self._live or plan.mixture):
            return None
        if self._live and self._planner.embeds_all:
            return self._embedded(self._live, plan, shown, others)
        targets = self._cloud.embeddings[torch.as_tensor(plan.rows)]
        if self._live and self._grown:
            fresh = self._embedded(self._live, plan, plain, others)
            self._grown.add(fresh)
            targets[torch.as_tensor(plan.fresh)] = fresh
            if (again := np.flatnonzero(plan.known >= 0)).size:
                targets[torch.as_tensor(again)] = self._fabric.to_device(self._grown.of(plan.known[again]))
        return plan.mixture.of_vectors(targets) if plan.mixture else targets

    def _embedded(
        self,
        live: LiveCloud,
        plan: Plan,
        pixels: Float[Tensor, "k 3 h w"],
        others: UInt8[np.ndarray, "s hc wc 3"] | None,
    ) -> Float[Tensor, "m c"]:
        """The cloud model's vectors of the batch's fresh images, gathered of all ranks."""
        assert self._cloud is not None
        fresh, cached = self._fresh(plan, self._mine), self._cloud.embeddings
        if others is None:
            pixels = pixels[torch.as_tensor(fresh - self._read.start)]
        elif len(others):
            places = self._seen(plan)
            frame = live.frame_at(plan.rows[places])
            pixels = augmented(self._here(others), self._changes, plan.drawn[:, places], frame)
            if plan.mixture and self._planner.embeds_all:
                pixels = plan.mixture.of(pixels)[torch.as_tensor(fresh)]
        if not len(fresh):  # all of them are other ranks'
            vectors = cached.new_empty((0, cached.shape[1]))
        else:
            pixels = pixels.contiguous(memory_format=torch.channels_last)
            vectors = live.embed(pixels, self._fabric.autocast())
        counts = [len(self._fresh(plan, share)) for share in self.shares] if len(self.shares) > 1 else []
        return whole_batch(vectors, counts)
