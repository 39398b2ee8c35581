"""Training batches: changed and mixed images, with the cloud model's vectors of exactly the same images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import tee
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, Int64, UInt8
from lightning_fabric import Fabric
from torch import Tensor

from hetero.data.augmentation.augment import augmented
from hetero.data.augmentation.config import AugmentConfig
from hetero.data.augmentation.copies import sources_of
from hetero.data.augmentation.shown import ShownImages, require_same_part
from hetero.data.images import ImageSet
from hetero.data.loader import batches
from hetero.errors import InputError
from hetero.processes.ranks import on_first_rank
from hetero.training.batches.plan import Plan, Planner
from hetero.training.batches.sampling import sampler_of
from hetero.training.config import TrainingConfig
from hetero.training.distributed.gather import whole_batch
from hetero.training.loop.module import CloudTensors
from hetero.training.reference.grown import GrownVectors
from hetero.training.reference.live import LiveCloud


@dataclass(frozen=True)
class Fed:
    """One batch on a rank's device.

    Attributes:
        pixels: float32 [m, 3, h, w], this rank's images.
        labels: int64 [b], classes of the whole batch; -1 for mixed images.
        rows: int64 [b], the batch's training images; -1 for mixed images.
        targets: float32 [b, c], the cloud model's vectors of the batch as changed and mixed; None when these are the
            cached vectors of the rows.
    """

    pixels: Float[Tensor, "m 3 h w"]
    labels: Int[Tensor, " b"]
    rows: Int[Tensor, " b"]
    targets: Float[Tensor, "b c"] | None


class Feed:
    """The source of a run's batches.

    Args:
        fabric: Gives the rank and its device.
        images: Training images.
        config: Sampling of the batches, and changes of their images.
        cloud: Cached vectors and the live cloud model, on the rank's device; None when there is no cloud model.
        by_class: True if an objective compares images by class.
        seed: Fixes every batch.

    Raises:
        InputError: When images are to be mixed and an objective compares by class, or there is no cloud model; when a
            batch cannot be drawn or shared, or crops be cut.
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
        self._fabric, self._cloud = fabric, cloud
        self._changes = config.augment or AugmentConfig()
        self._live: LiveCloud | None = cloud and cloud.live
        self._shown, self._shown_live = ShownImages(images, self._changes), None
        if self._live and self._live.images is not None:
            require_same_part(self._changes, self._live.frames)
            self._shown_live = ShownImages(self._live.images, self._changes)
        self._labels = torch.as_tensor(np.asarray(images.labels))
        sources = sources_of(images.names)
        sampler = sampler_of(config, np.asarray(images.labels), sources, by_class=by_class, seed=seed)
        self.batch_size = sampler.batch_size
        self.shares = sampler.shares(fabric.world_size)
        self._mine = self.shares[fabric.global_rank]
        # A partner may belong to another rank.
        self._read = slice(0, self.batch_size) if config.mixup else self._mine
        share = self._live.share if self._live else 0.0
        self._planner = Planner(sampler, sources, share=share, mixup=config.mixup, seed=seed)
        self._grown: GrownVectors | None = None
        if cloud is not None and self._planner.fresh and not self._planner.embeds_all:
            self._grown = GrownVectors(self._planner.fresh, cloud.embeddings.shape[1])

    def save(self, path: Path) -> None:
        """Save the grown vectors, which a continued run could not make again without cost."""
        if self._grown:
            self._grown.save(path)

    def load(self, path: Path, steps: int) -> None:
        """Load the grown vectors that an interrupted run saved, as of a number of steps.

        Raises:
            IntegrityError: When the file is not complete.
        """
        if self._grown:
            self._grown = on_first_rank(lambda grown=self._grown: grown.load(path, steps))

    def batches(self, first: int, last: int) -> Iterator[Fed]:
        """Yield the batches of the steps from ``first`` (counted from 0) to before ``last``, read ahead."""
        plans, own_plans, cloud_plans, cached_plans = tee(self._planner.plans(first, last), 4)
        own_images = self._shown.batches((plan.rows[self._read], plan.drawn[:, self._read]) for plan in own_plans)
        cloud_images: Iterator[UInt8[np.ndarray, "k h w 3"] | None] = (None for _ in cloud_plans)
        if self._shown_live:
            places = ((plan, self._cloud_places(plan)) for plan in cloud_plans)
            cloud_images = self._shown_live.batches((plan.rows[some], plan.drawn[:, some]) for plan, some in places)
        cached = self._cached(cached_plans)
        for plan, images, others, vectors in zip(plans, own_images, cloud_images, cached, strict=True):
            yield self._batch(plan, images, others, vectors)

    def _cached(self, plans: Iterator[Plan]) -> Iterator[Float32[np.ndarray, "b c"] | None]:
        """Yield each batch's cached vectors where they are read from a map; None where they need not be."""
        if self._cloud is None or self._planner.embeds_all or isinstance(self._cloud.embeddings, Tensor):
            return (None for _ in plans)
        return batches(self._cloud.embeddings, (plan.rows for plan in plans))

    def _cloud_places(self, plan: Plan) -> Int64[np.ndarray, " k"]:
        """Return the places of the images that this rank's cloud model embeds; for a mixture, of both images."""
        if plan.mixture and self._planner.embeds_all:
            return np.arange(self.batch_size)
        return self._fresh(plan, self._mine)

    def _fresh(self, plan: Plan, share: slice) -> Int64[np.ndarray, " k"]:
        return plan.fresh[(plan.fresh >= share.start) & (plan.fresh < share.stop)]

    def _batch(
        self,
        plan: Plan,
        images: UInt8[np.ndarray, "k h w 3"],
        others: UInt8[np.ndarray, "s hc wc 3"] | None,
        vectors: Float32[np.ndarray, "b c"] | None,
    ) -> Fed:
        plain = augmented(self._on_device(images), self._changes, plan.drawn[:, self._read])
        mixture, start = plan.mixture, self._read.start
        pixels = mixture.of(plain) if mixture else plain
        cached = None if vectors is None else self._fabric.to_device(torch.from_numpy(vectors))
        targets = self._targets(plan, plain, pixels, others, cached)
        rows, labels = torch.as_tensor(plan.rows), self._labels[torch.as_tensor(plan.rows)]
        if mixture:
            rows, labels = torch.full_like(rows, -1), torch.full_like(labels, -1)
        own = pixels[self._mine.start - start : self._mine.stop - start]
        own = own.contiguous(memory_format=torch.channels_last)
        return Fed(own, self._fabric.to_device(labels), self._fabric.to_device(rows), targets)

    def _on_device(self, images: UInt8[np.ndarray, "k h w 3"]) -> UInt8[Tensor, "k h w 3"]:
        pixels = torch.from_numpy(images)
        if self._fabric.device.type == "cuda":
            pixels = pixels.pin_memory()  # copied while the GPU computes
        return self._fabric.to_device(pixels)

    def _targets(
        self,
        plan: Plan,
        plain: Float[Tensor, "k 3 h w"],
        pixels: Float[Tensor, "k 3 h w"],
        others: UInt8[np.ndarray, "s hc wc 3"] | None,
        cached: Float[Tensor, "b c"] | None,
    ) -> Float[Tensor, "b c"] | None:
        if self._cloud is None or not (self._live or plan.mixture):
            return cached
        if self._live and self._planner.embeds_all:
            return self._embedded(self._live, plan, pixels, others)
        targets = self._cloud.of(torch.as_tensor(plan.rows)) if cached is None else cached
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
        """Return the cloud model's vectors of the batch's fresh images, gathered from all ranks."""
        assert self._cloud is not None
        fresh = self._fresh(plan, self._mine)
        if others is None:
            pixels = pixels[torch.as_tensor(fresh - self._read.start)]
        elif len(others):
            places = self._cloud_places(plan)
            drawn = plan.drawn[:, places]
            frame = live.frames and live.frames.at(plan.rows[places], self._shown.crops(drawn))
            pixels = augmented(self._on_device(others), self._changes, drawn, frame)
            if plan.mixture and self._planner.embeds_all:
                pixels = plan.mixture.of(pixels)[torch.as_tensor(fresh)]
        if not len(fresh):  # all of them belong to other ranks
            vectors = torch.empty((0, self._cloud.embeddings.shape[1]), device=self._fabric.device)
        else:
            pixels = pixels.contiguous(memory_format=torch.channels_last)
            vectors = live.embed(pixels, self._fabric.autocast())
        counts = [len(self._fresh(plan, share)) for share in self.shares] if len(self.shares) > 1 else []
        return whole_batch(vectors, counts)
